#include "fleetd/daemon.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "agent/agent.h"
#include "agent/identity.h"
#include "api/api.h"
#include "api/server.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/status.h"
#include "engine/engine.h"
#include "fleetd/engine_settings.h"
#include "fleetd/memory.h"
#include "fleetd/record.h"
#include "fleetd/signals.h"
#include "fmt/core.h"
#include "fmt/format.h"
#include "host/host.h"
#include "host/journal.h"
#include "host/notify.h"
#include "host/own_job.h"
#include "host/systemd/systemd_bus.h"
#include "host/unit_directory.h"
#include "registry/lease_keeper.h"
#include "registry/mirror.h"
#include "store/embedded/embedded_store.h"
#include "store/etcd/etcd_store.h"

namespace fleet::fleetd {

namespace {

// A stop that takes longer after its units have stopped ends all the same.
constexpr absl::Duration kGoodbyeLimit = absl::Seconds(8);
constexpr absl::Duration kCauseInterval = absl::Milliseconds(200);
// By then a start is over: what it alone has used can go.
constexpr absl::Duration kSettled = absl::Seconds(5);

// A value that one loop writes and another one reads.
template <typename T>
class Shared {
 public:
  void Set(T value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
  }
  T Get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  T value_;
};

store::EtcdTlsFiles EtcdTlsFilesOf(const Config& config) {
  return {config.etcd_cafile, config.etcd_certfile, config.etcd_keyfile};
}

absl::StatusOr<std::unique_ptr<store::Store>> OpenStore(
    const Config& config, std::function<store::EtcdTlsFiles()> tls_files, Executor* executor) {
  if (config.etcd_servers.empty()) {
    const std::string path = config.state_directory + "registry.db";
    log::Info("the registry is embedded, in {}: this is a single machine", path);
    return store::MakeEmbeddedStore(path, executor);
  }
  log::Info("the registry is etcd at {}, below {}", fmt::join(config.etcd_servers, ", "),
            config.etcd_key_prefix);
  return store::MakeEtcdStore({.endpoints = config.etcd_servers,
                               .request_timeout = config.etcd_request_timeout,
                               .tls_files = std::move(tls_files),
                               .username = config.etcd_username,
                               .password = config.etcd_password},
                              executor);
}

}  // namespace

class Daemon::Impl {
 public:
  Impl(LoadedConfig config, absl::AnyInvocable<absl::StatusOr<LoadedConfig>()> reread)
      : config_(std::move(config.config)),
        reread_(std::move(reread)),
        keys_(config_.etcd_key_prefix) {
    for (const std::string& notice : config.notices) log::Warning("{}", notice);
  }

  absl::Status Run() {
    RETURN_IF_ERROR(Open());
    StartThreads();
    machine_loop_.Run();
    StopThreads();
    return absl::OkStatus();
  }

 private:
  absl::Status Open();
  absl::Status OpenApi();
  void OpenLease();
  void StartThreads();
  void StopThreads();
  void OnViewChange(const ViewChange& change);
  void DropOwnLead(const ClusterView& view);
  void OnJoined(store::LeaseId lease);
  void OnLeaseHeld(store::LeaseId lease, absl::Duration ttl);
  void UpdateUnavailableCause();
  void OnSignal(int signal);
  void Stop();
  void Leave();
  void Finish();
  void Reload();
  void ReloadTls(const Config& config);
  void LogState();
  void PingWatchdog();

  Config config_;
  absl::AnyInvocable<absl::StatusOr<LoadedConfig>()> reread_;
  const registry::Keys keys_;
  host::MachineFacts facts_;
  agent::Identity identity_;

  Shared<store::EtcdTlsFiles> etcd_tls_files_;

  // The loops come first: what lives in them is destroyed before them.
  Loop machine_loop_{"machine"};
  Loop lease_loop_{"lease"};
  Loop engine_loop_{"engine"};
  std::thread lease_thread_;
  std::thread engine_thread_;

  // Machine loop.
  std::unique_ptr<Signals> signals_;
  std::unique_ptr<store::Store> machine_store_;
  std::unique_ptr<host::Systemd> systemd_;
  std::unique_ptr<host::UnitDirectory> units_;
  std::unique_ptr<host::Journal> journal_;
  std::unique_ptr<agent::Agent> agent_;
  bool stopping_ = false;
  bool finishing_ = false;

  // Lease loop.
  std::unique_ptr<store::Store> lease_store_;
  std::unique_ptr<registry::LeaseKeeper> lease_;
  std::unique_ptr<registry::LeaseKeeper> lead_lease_;  // if the leader's TTL is another one
  bool leads_with_own_lease() const { return config_.engine_ttl != config_.agent_ttl; }

  // Engine loop.
  std::unique_ptr<store::Store> engine_store_;
  std::unique_ptr<registry::Mirror> mirror_;
  std::unique_ptr<engine::Engine> engine_;
  bool serving_ = false;  // this machine has joined: the API may show the cluster

  // API loop.
  api::Server server_;
  std::unique_ptr<store::Store> api_store_;
  std::unique_ptr<api::Api> api_;
  Shared<std::string> unavailable_cause_;
  Shared<std::string> lease_failure_;
};

absl::Status Daemon::Impl::Open() {
  ASSIGN_OR_RETURN(signals_,
                   Signals::Watch(&machine_loop_, [this](int signal) { OnSignal(signal); }));
  ASSIGN_OR_RETURN(facts_, host::ReadMachineFacts());
  ASSIGN_OR_RETURN(identity_, agent::LoadIdentity(config_.state_directory));
  etcd_tls_files_.Set(EtcdTlsFilesOf(config_));
  ASSIGN_OR_RETURN(machine_store_,
                   OpenStore(
                       config_, [this] { return etcd_tls_files_.Get(); }, &machine_loop_));
  lease_store_ = machine_store_->Bind(&lease_loop_);
  engine_store_ = machine_store_->Bind(&engine_loop_);
  api_store_ = machine_store_->Bind(&server_.executor());
  RETURN_IF_ERROR(OpenApi());

  systemd_ = host::OpenSystemd({.user = config_.systemd_user}, &machine_loop_);
  units_ = std::make_unique<host::FileUnitDirectory>(
      config_.units_directory, host::RuntimeLinkDirectory(config_.systemd_user));
  journal_ = host::OpenJournal({.user = config_.systemd_user});
  agent_ = std::make_unique<agent::Agent>(
      agent::AgentDeps{.executor = &machine_loop_,
                       .store = machine_store_.get(),
                       .systemd = systemd_.get(),
                       .units = units_.get(),
                       .journal = journal_.get(),
                       .on_joined = [this](store::LeaseId lease) { OnJoined(lease); }},
      keys_, facts_.machine_id, MakeMachineRecord(config_, facts_, identity_.token),
      config_.state_directory + "contents");
  RETURN_IF_ERROR(agent_->Start());
  OpenLease();

  mirror_ = std::make_unique<registry::Mirror>(
      engine_store_.get(), &engine_loop_, keys_,
      [this](const ViewChange& change) { OnViewChange(change); });
  mirror_->SetHealthListener([this](const absl::Status& health) {
    server_.executor().Post([this, health] { api_->OnRegistryHealth(health); });
  });
  if (!config_.disable_engine) {
    engine_ = std::make_unique<engine::Engine>(
        engine_store_.get(), &engine_loop_, keys_,
        engine::EngineOptions{.machine_id = facts_.machine_id,
                              .settings = EngineSettingsOf(config_),
                              .sweep_interval = config_.engine_reconcile_interval,
                              .events_max = static_cast<size_t>(config_.events_max)});
  }
  return absl::OkStatus();
}

absl::Status Daemon::Impl::OpenApi() {
  for (const host::PassedSocket& socket : host::PassedSockets()) {
    RETURN_IF_ERROR(server_.Adopt(socket.fd));
  }
  std::optional<api::TlsFiles> tls;
  if (!config_.listen_certfile.empty()) {
    tls = api::TlsFiles{config_.listen_cafile, config_.listen_certfile, config_.listen_keyfile};
  }
  for (const ListenAddress& address : config_.listen) {
    if (!tls && !IsLoopback(address)) {
      log::Warning("the API listens at {} without encryption and for everybody (listen_insecure)",
                   ToString(address));
    }
    ASSIGN_OR_RETURN(const uint16_t port, server_.Listen(ToString(address), tls));
    log::Info("the API listens at {}:{}", address.host, port);
  }
  unavailable_cause_.Set("it has not been reached yet");
  api_ = std::make_unique<api::Api>(
      api::ApiContext{.executor = &server_.executor(),
                      .store = api_store_.get(),
                      .keys = keys_,
                      .version = FLEET_VERSION,
                      .token_limit = static_cast<size_t>(config_.token_limit),
                      .unavailable_cause = [this] { return unavailable_cause_.Get(); },
                      .settings = EngineSettingsOf(config_)});
  return absl::OkStatus();
}

void Daemon::Impl::OpenLease() {
  registry::LeaseKeeper::Listener listener;
  listener.on_held = [this](store::LeaseId lease, absl::Duration ttl) {
    lease_failure_.Set("");
    machine_loop_.Post([this, lease, ttl] { OnLeaseHeld(lease, ttl); });
  };
  listener.on_lost = [this] {
    machine_loop_.Post([this] { agent_->OnLeaseLost(); });
    if (leads_with_own_lease()) return;
    engine_loop_.Post([this] {
      if (engine_) engine_->OnLeaseLost();
    });
  };
  listener.on_failure = [this](const absl::Status& why) {
    lease_failure_.Set(std::string(why.message()));
  };
  listener.on_cut_off = [](const absl::Status& why) {
    log::Error("Server monitor triggered: Monitor timed out before successful heartbeat: {}",
               std::string(why.message()));
  };
  lease_ = std::make_unique<registry::LeaseKeeper>(
      lease_store_.get(), &lease_loop_, config_.agent_ttl, identity_.lease, std::move(listener));
  if (!leads_with_own_lease() || config_.disable_engine) return;
  registry::LeaseKeeper::Listener lead;
  lead.on_held = [this](store::LeaseId lease, absl::Duration) {
    engine_loop_.Post([this, lease] { engine_->OnLease(lease); });
  };
  lead.on_lost = [this] { engine_loop_.Post([this] { engine_->OnLeaseLost(); }); };
  lead.on_failure = [](const absl::Status&) {};
  lead.on_cut_off = [](const absl::Status&) {};
  lead_lease_ = std::make_unique<registry::LeaseKeeper>(
      lease_store_.get(), &lease_loop_, config_.engine_ttl, /*saved=*/0, std::move(lead));
}

void Daemon::Impl::StartThreads() {
  server_.Start(api_.get());
  lease_loop_.Post([this] {
    lease_->Start();
    if (lead_lease_) lead_lease_->Start();
  });
  engine_loop_.Post([this] { mirror_->Start(); });
  lease_thread_ = std::thread([this] { lease_loop_.Run(); });
  engine_thread_ = std::thread([this] { engine_loop_.Run(); });
  machine_loop_.Post([this] {
    UpdateUnavailableCause();
    PingWatchdog();
    host::NotifyReady(fmt::format("machine {}", facts_.machine_id));
    log::Info("fleetd {} is ready on machine {}", FLEET_VERSION, facts_.machine_id);
  });
}

// What lives in a loop ends in it; the store's last handle goes last.
void Daemon::Impl::StopThreads() {
  server_.Stop();
  engine_loop_.Post([this] {
    engine_.reset();
    mirror_.reset();
    engine_store_.reset();
    engine_loop_.Stop();
  });
  lease_loop_.Post([this] {
    lead_lease_.reset();
    lease_.reset();
    lease_store_.reset();
    lease_loop_.Stop();
  });
  engine_thread_.join();
  lease_thread_.join();
  api_.reset();
  api_store_.reset();
  agent_.reset();
  systemd_.reset();
  machine_store_.reset();
}

void Daemon::Impl::OnLeaseHeld(store::LeaseId lease, absl::Duration ttl) {
  if (identity_.lease != lease) {
    identity_.lease = lease;
    const absl::Status saved = agent::SaveIdentity(config_.state_directory, identity_);
    if (!saved.ok()) {
      log::Error("the lease is not kept over a restart: {}", std::string(saved.message()));
    }
  }
  if (ttl != config_.agent_ttl) {
    log::Info("the registry granted a TTL of {}; {} was asked for", DurationText(ttl),
              DurationText(config_.agent_ttl));
  }
  agent_->OnLease(lease);
}

void Daemon::Impl::OnJoined(store::LeaseId lease) {
  machine_loop_.PostAfter(kSettled, [] { TrimStartupMemory(); });
  engine_loop_.Post([this, lease] {
    if (engine_ && !leads_with_own_lease()) engine_->OnLease(lease);
    if (std::exchange(serving_, true) || mirror_->view() == nullptr) return;
    OnViewChange(ViewChange{mirror_->view(), {}, /*reset=*/true});
  });
}

// In the engine loop.
void Daemon::Impl::OnViewChange(const ViewChange& change) {
  if (!engine_) DropOwnLead(*change.view);
  if (!serving_) {
    if (engine_) engine_->OnViewChange(change);
    return;
  }
  server_.executor().Post([this, change] { api_->OnViewChange(change); });
  if (engine_) engine_->OnViewChange(change);
}

// A machine whose engine was disabled while it led: its record would keep all others from leading.
void Daemon::Impl::DropOwnLead(const ClusterView& view) {
  if (!view.leader || view.leader->value.machine != facts_.machine_id) return;
  store::Txn txn;
  txn.compares.push_back(
      {store::Compare::Target::kModRevision, keys_.Leader(), view.leader->mod_revision});
  txn.ops.emplace_back(store::Delete{{keys_.Leader(), ""}});
  engine_store_->Commit(std::move(txn), [](const absl::StatusOr<store::TxnResult>& result) {
    if (!result.ok()) log::Warning("the lead was not given up: {}", result.status().ToString());
  });
}

// Why there is nothing to show yet, kept up to date until there is.
void Daemon::Impl::UpdateUnavailableCause() {
  const absl::Status membership = agent_->membership_status();
  if (membership.ok()) return;
  const std::string lease_failure = lease_failure_.Get();
  if (!absl::IsUnavailable(membership)) {
    unavailable_cause_.Set(std::string(membership.message()));
  } else if (!lease_failure.empty()) {
    unavailable_cause_.Set(lease_failure);
  } else {
    engine_loop_.Post([this, membership] {
      const absl::Status health = mirror_ ? mirror_->health() : absl::OkStatus();
      unavailable_cause_.Set(std::string((health.ok() ? membership : health).message()));
    });
  }
  machine_loop_.PostAfter(kCauseInterval, [this] { UpdateUnavailableCause(); });
}

void Daemon::Impl::PingWatchdog() {
  const absl::Duration interval = host::WatchdogInterval();
  if (interval == absl::InfiniteDuration()) return;
  host::NotifyWatchdog();
  machine_loop_.PostAfter(interval, [this] { PingWatchdog(); });
}

void Daemon::Impl::OnSignal(int signal) {
  switch (signal) {
    case SIGHUP:
      Reload();
      break;
    case SIGUSR1:
      LogState();
      break;
    default:
      Stop();
  }
}

void Daemon::Impl::Stop() {
  if (std::exchange(stopping_, true)) return;
  const auto job = host::FindOwnJob(config_.systemd_user);
  const bool leaves = job.ok() && (*job == host::OwnJob::kStop || *job == host::OwnJob::kShutdown);
  if (!job.ok()) {
    log::Warning("systemd does not say why fleetd is stopped, so its units are kept: {}",
                 std::string(job.status().message()));
  }
  host::NotifyStopping(leaves ? "leaving the cluster" : "units keep running");
  log::Info("fleetd is stopping; {}",
            leaves ? "its units are stopped and may move" : "its units keep running");
  engine_loop_.Post([this, leaves] {
    const auto next = [this, leaves] {
      machine_loop_.Post([this, leaves] {
        if (leaves) {
          Leave();
        } else {
          Finish();
        }
      });
    };
    if (engine_) {
      engine_->Resign(next);
    } else {
      next();
    }
  });
  if (!leaves) machine_loop_.PostAfter(kGoodbyeLimit, [this] { Finish(); });
}

void Daemon::Impl::Leave() {
  const auto goodbye = [this] {
    lease_loop_.Post(
        [this] { lease_->Release([this] { machine_loop_.Post([this] { Finish(); }); }); });
    machine_loop_.PostAfter(kGoodbyeLimit, [this] { Finish(); });
  };
  machine_loop_.PostAfter(config_.leave_timeout, [this] {
    if (finishing_) return;
    // The lease is kept: what still runs here must not be started elsewhere.
    log::Warning("units have not stopped within leave_timeout ({}); waiting until they have",
                 DurationText(config_.leave_timeout));
  });
  agent_->Leave([this, goodbye] {
    identity_.lease = 0;
    const absl::Status saved = agent::SaveIdentity(config_.state_directory, identity_);
    if (!saved.ok()) log::Warning("{}", std::string(saved.message()));
    goodbye();
  });
}

void Daemon::Impl::Finish() {
  if (std::exchange(finishing_, true)) return;
  machine_loop_.Stop();
}

void Daemon::Impl::Reload() {
  log::Info("Reloading configuration");
  host::NotifyReloading();
  auto reread = reread_();
  if (!reread.ok()) {
    log::Error("the configuration stays as it was: {}", std::string(reread.status().message()));
  } else {
    for (const std::string& key : KeysThatNeedARestart(config_, reread->config)) {
      log::Warning("{} has changed and takes effect when fleetd is restarted", key);
    }
    config_.verbosity = reread->config.verbosity;
    log::SetLevel(config_.verbosity > 0 ? log::Level::kDebug : log::Level::kInfo);
    config_.metadata = reread->config.metadata;
    config_.capacity_cpu = reread->config.capacity_cpu;
    config_.capacity_memory = reread->config.capacity_memory;
    config_.reserved_cpu = reread->config.reserved_cpu;
    config_.reserved_memory = reread->config.reserved_memory;
    agent_->SetRecord(Reconfigured(agent_->record(), config_, facts_));
    ReloadTls(reread->config);
  }
  host::NotifyReady(fmt::format("machine {}", facts_.machine_id));
}

// Of the API and of etcd. A set of files that cannot be used leaves the former one in effect.
void Daemon::Impl::ReloadTls(const Config& config) {
  const bool encrypts = !config.listen_certfile.empty();
  if (encrypts != !config_.listen_certfile.empty()) {
    log::Warning("listen_certfile has changed and takes effect when fleetd is restarted");
  } else if (encrypts) {
    const api::TlsFiles files = {config.listen_cafile, config.listen_certfile,
                                 config.listen_keyfile};
    const absl::Status tls = server_.ReloadTls(files);
    if (!tls.ok()) log::Error("the API keeps its certificates: {}", std::string(tls.message()));
  }
  const store::EtcdTlsFiles files = EtcdTlsFilesOf(config);
  if (const absl::Status usable = store::CheckEtcdTlsFiles(files); !usable.ok()) {
    log::Error("etcd's certificates stay as they were: {}", std::string(usable.message()));
    return;
  }
  etcd_tls_files_.Set(files);
}

void Daemon::Impl::LogState() {
  log::Info("agent {}", agent_->DebugJson());
  engine_loop_.Post([this] {
    if (engine_) log::Info("engine {}", engine_->DebugJson());
  });
}

Daemon::Daemon(LoadedConfig config, absl::AnyInvocable<absl::StatusOr<LoadedConfig>()> reread)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(reread))) {}
Daemon::~Daemon() = default;
absl::Status Daemon::Run() { return impl_->Run(); }

}  // namespace fleet::fleetd
