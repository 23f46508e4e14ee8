#include "sim/machine.h"

#include <utility>

namespace fleet::sim {

namespace {

// RestartSec= of fleet.service.
constexpr absl::Duration kRestart = absl::Milliseconds(500);
constexpr size_t kEventsMax = 200;

}  // namespace

Machine::Machine(const StoreWorld* world, MachineOptions options, RunObserver* observer)
    : world_(world),
      options_(std::move(options)),
      os_(options_.name, world->queue, world->random, observer),
      link_(world->queue, world->random) {
  clock_.since = clock_.then = world->queue->now();
}

Machine::~Machine() { Close(); }

void Machine::Boot(bool wipe) {
  if (os_.on()) return;
  if (wipe) {
    os_.identity = {};
    os_.contents.clear();
  }
  os_.Boot();
  stopped_ = leaves_ = false;
  StartFleetd();
}

void Machine::LosePower() {
  Close();
  if (os_.on()) os_.LosePower();
}

void Machine::StartFleetd() {
  if (runs() || !os_.on()) return;
  stopped_ = leaves_ = false;
  ++starts_;
  process_ = std::make_unique<Process>(world_->queue, &clock_, [this] { OnKilled(); });
  const auto store = [&](Client::Role role) {
    return std::make_unique<SimStore>(world_, Client{role, options_.id}, &link_, process_.get());
  };
  machine_store_ = store(Client::Role::kAgent);
  lease_store_ = store(Client::Role::kLease);
  engine_store_ = store(Client::Role::kEngine);
  systemd_ = ConnectSystemd(&os_, process_.get());
  units_ = OpenUnitDirectory(&os_);
  journal_ = OpenJournal();
  contents_ = OpenContentCache(&os_);
  guard_ = OpenGuard(&os_, process_.get(), &clock_);
  if (os_.identity.token.empty()) os_.identity.token = world_->random->Id();
  const fleetd::MemberDeps deps = {.machine_loop = process_.get(),
                                   .lease_loop = process_.get(),
                                   .engine_loop = process_.get(),
                                   .machine_store = machine_store_.get(),
                                   .lease_store = lease_store_.get(),
                                   .engine_store = engine_store_.get(),
                                   .systemd = systemd_.get(),
                                   .units = units_.get(),
                                   .journal = journal_.get(),
                                   .contents = contents_.get(),
                                   .guard = guard_.get(),
                                   .save_identity = [this](const agent::Identity& identity) {
                                     if (os_.disk_full) {
                                       return absl::ResourceExhaustedError("no space left");
                                     }
                                     os_.identity = identity;
                                     return absl::OkStatus();
                                   }};
  reconcile::EngineSettings engine = options_.engine;
  engine.features = running_features_ = features_;
  const fleetd::MemberSettings settings = {
      .machine_id = options_.id,
      .agent_ttl = options_.agent_ttl,
      .engine_ttl = options_.engine_ttl,
      .disable_engine = !options_.has_engine,
      .isolation_stop_timeout = options_.engine.isolation_stop_timeout,
      .engine = {.machine_id = options_.id,
                 .settings = std::move(engine),
                 .sweep_interval = options_.sweep_interval,
                 .events_max = kEventsMax,
                 .random_id = [random = world_->random] { return random->Id(); }}};
  const MachineRecord record = {.address = "10.0.0.1",
                                .hostname = options_.name,
                                .metadata = options_.metadata,
                                .milli_cores = options_.milli_cores,
                                .memory_bytes = options_.memory_bytes,
                                .version = "sim",
                                .boot_id = os_.boot_id(),
                                .token = os_.identity.token,
                                .features = features_};
  member_ = std::make_unique<fleetd::Member>(deps, registry::Keys("/fleet/"), settings, record,
                                             os_.identity, fleetd::MemberListener());
  process_->Post([this] {
    if (!member_->Start().ok()) throw Killed();
  });
}

void Machine::Close() {
  os_.SetListener(nullptr, nullptr);
  if (process_ != nullptr) process_->Kill();
  member_.reset();
  guard_.reset();
  contents_.reset();
  journal_.reset();
  units_.reset();
  systemd_.reset();
  engine_store_.reset();
  lease_store_.reset();
  machine_store_.reset();
  process_.reset();
}

void Machine::OnKilled() { KillFleetd(); }

void Machine::KillFleetd() {
  Close();
  if (stopped_) return;
  world_->queue->After(kRestart, [this, starts = starts_] {
    if (starts == starts_ && !stopped_) StartFleetd();
  });
}

void Machine::PauseFleetd() {
  if (runs()) process_->Pause();
}

void Machine::ResumeFleetd() {
  if (paused()) process_->Resume();
}

void Machine::SetVersion(std::vector<std::string> features) {
  features_ = std::move(features);
  // One that was paused when it was to be updated still is the old one.
  if (features_ != running_features_) StopFleetd(/*leaves=*/false);
}

void Machine::StopFleetd(bool leaves) {
  if (!runs() || paused() || leaves_) return;
  leaves_ = leaves;
  process_->Post([this, leaves] {
    const auto ended = [this] {
      // It must not be destroyed by its own task.
      world_->queue->After(absl::ZeroDuration(), [this, starts = starts_] {
        if (starts == starts_ && runs()) KillFleetd();
      });
    };
    stopped_ = leaves;
    member_->Stop(
        leaves, [] {}, ended);
  });
}

}  // namespace fleet::sim
