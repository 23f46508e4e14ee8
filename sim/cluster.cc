#include "sim/cluster.h"

#include <limits>
#include <utility>

#include "fmt/core.h"

namespace fleet::sim {

namespace {

constexpr absl::Duration kSweep = absl::Seconds(60);

// Small ones are seen often, large ones now and then.
size_t Skewed(Random& random, size_t low, size_t high) {
  const double share = random.Real();
  return low + static_cast<size_t>(share * share * share * static_cast<double>(high - low + 1));
}

}  // namespace

Cluster::Cluster(const ClusterOptions& options) : random(options.seed), trace_(options.trace) {
  const registry::Keys keys("/fleet/");
  checker = std::make_unique<Checker>(
      keys, [this] { return Truth(); }, [this](const std::string& line) { Trace(line); });
  etcd = std::make_unique<Etcd>(
      &queue, [this](const Revision& revision) { checker->OnRevision(revision); },
      [this] { checker->OnRestore(etcd->contents(), etcd->revision()); });
  world = {.queue = &queue,
           .random = &random,
           .etcd = etcd.get(),
           .tamper = options.tamper,
           .faults = &store_faults,
           .trace = [this](const std::string& line) { Trace(line); }};
  const size_t machine_count = options.machines > 0 ? options.machines : Skewed(random, 3, 12);
  const size_t unit_count = options.units > 0 ? options.units : Skewed(random, 20, 200);
  ttl = absl::Seconds(random.Between(2, 10));
  reconcile::EngineSettings settings;
  settings.ttl = ttl;
  settings.loss_grace = random.Chance(0.5) ? absl::Milliseconds(500) : absl::ZeroDuration();
  mass_loss_hold = random.Chance(0.3) ? absl::ZeroDuration() : absl::Seconds(random.Between(5, 20));
  settings.mass_loss_hold = mass_loss_hold;
  settings.isolation_stop_timeout = absl::Seconds(1);
  settings.rebalances = random.Chance(0.2);
  settings.rebalance_after = absl::Seconds(20);
  if (settings.rebalances) rebalance_after = settings.rebalance_after;
  if (random.Chance(0.2)) settings.placement = scheduler::Placement::kPack;
  const absl::Duration engine_ttl = random.Chance(0.3) ? absl::Seconds(2) : ttl;
  std::vector<std::string> ids;
  for (size_t i = 0; i < machine_count; ++i) {
    const std::string name = fmt::format("m{}", i + 1);
    ids.push_back(name);
    machines.push_back(std::make_unique<Machine>(
        &world,
        MachineOptions{.name = name,
                       .id = name,
                       .metadata = {{"zone", std::string(1, "abc"[i % 3])}},
                       .has_engine = i < 3,
                       .agent_ttl = ttl,
                       .engine_ttl = engine_ttl,
                       .engine = settings,
                       .sweep_interval = kSweep},
        checker.get()));
  }
  user = std::make_unique<User>(&world, keys, unit_count, ids);
  if (options.seed % 8 == 0 || options.seed % 8 == 7) {
    roller = std::make_unique<Roller>(&world, keys);
  }
  // Some are in the middle of an update when they begin.
  if (options.seed % 3 == 0) {
    machines[(options.seed / 3) % machine_count]->SetVersion(OlderVersion(options.seed / 9));
  }
  for (auto& machine : machines) machine->Boot(/*wipe=*/false);
}

std::vector<std::string> Cluster::OlderVersion(uint64_t which) {
  static const std::vector<std::vector<std::string>> kVersions = {
      {},
      {"isolation", "reschedule"},
      {"drain-deadline", "isolation", "reschedule"},
  };
  return kVersions[which % kVersions.size()];
}

Cluster::~Cluster() {
  // Processes end before what they talk to.
  roller.reset();
  user.reset();
  duplicates.clear();
  machines.clear();
}

void Cluster::Run(absl::Duration span) { RunWithin(span, std::numeric_limits<uint64_t>::max()); }

bool Cluster::RunWithin(absl::Duration span, uint64_t steps) {
  const absl::Time end = queue.now() + span;
  const uint64_t begin = queue.steps();
  while (!queue.empty() && queue.next() <= end) {
    if (queue.steps() - begin >= steps) return false;
    queue.RunNext();
  }
  queue.PassTo(end);
  return true;
}

void Cluster::Trace(const std::string& line) {
  const std::string stamped =
      fmt::format("{:12.6f} {}",
                  absl::ToDoubleSeconds(queue.now() - absl::FromUnixSeconds(1'700'000'000)), line);
  for (const char c : stamped) {
    trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  if (trace_) trace_(stamped);
}

std::map<std::string, MachineTruth> Cluster::Truth() const {
  std::map<std::string, MachineTruth> truth;
  for (const auto& machine : machines) {
    truth[machine->options().name] = {&machine->os(), machine->options().id, machine->leaves(),
                                      machine->runs(), false};
  }
  for (const auto& machine : duplicates) {
    truth[machine->options().name] = {&machine->os(), machine->options().id, machine->leaves(),
                                      machine->runs(), true};
  }
  return truth;
}

Machine& Cluster::AddDuplicate(const Machine& original) {
  MachineOptions options = original.options();
  options.name = fmt::format("{}~{}", options.name, duplicates.size() + 1);
  duplicates.push_back(std::make_unique<Machine>(&world, options, checker.get()));
  return *duplicates.back();
}

std::vector<std::string> Cluster::UnitsOn(const Machine& machine) const {
  std::vector<std::string> names;
  for (const auto& [name, file] : machine.os().files) names.push_back(name);
  return names;
}

}  // namespace fleet::sim
