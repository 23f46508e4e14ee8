#include "sim/simulation.h"

#include <memory>
#include <utility>
#include <vector>

#include "fmt/core.h"
#include "sim/cluster.h"
#include "sim/mutants.h"

namespace fleet::sim {

namespace {

// L1, beside the TTLs: what it allows, and the units' own starts and stops one after the other.
constexpr absl::Duration kRest = absl::Seconds(10);
constexpr absl::Duration kOwnTimes = absl::Seconds(15);
// Longer than the engine's sweep.
constexpr absl::Duration kQuiet = absl::Seconds(65);
constexpr absl::Duration kBegin = absl::Seconds(2);
// Far more than any cluster needs to come to rest; one that never does would take them without end.
constexpr uint64_t kRestSteps = 200'000;

Fault PickFault(Random& random) {
  int total = 0;
  for (size_t i = 0; i < kFaultKinds; ++i) total += WeightOf(static_cast<Fault>(i));
  int left = static_cast<int>(random.Below(static_cast<size_t>(total)));
  for (size_t i = 0; i < kFaultKinds; ++i) {
    left -= WeightOf(static_cast<Fault>(i));
    if (left < 0) return static_cast<Fault>(i);
  }
  return Fault::kKillFleetd;
}

// What is violated by now, and while nothing is broken any more.
std::vector<Violation> ComeToRest(Cluster& cluster) {
  const auto rests = [&](absl::Duration span) { return cluster.RunWithin(span, kRestSteps); };
  const auto restless = [&] {
    std::vector<Violation> violations = cluster.checker->violations();
    violations.push_back({"L2", fmt::format("no rest within {} steps", kRestSteps)});
    return violations;
  };
  const absl::Duration by_fleet = 2 * cluster.ttl + kRest + cluster.mass_loss_hold;
  // What is rebalanced then starts once more.
  const absl::Duration rebalanced = cluster.rebalance_after > absl::ZeroDuration()
                                        ? cluster.rebalance_after + kOwnTimes
                                        : absl::ZeroDuration();
  if (!rests(by_fleet + kOwnTimes + rebalanced)) return restless();
  cluster.checker->CheckConverged();
  cluster.user->CheckPromises(*cluster.checker);
  cluster.checker->BeginQuiet();
  const uint64_t ranges = cluster.etcd->ranges();
  if (!rests(kQuiet)) return restless();
  std::vector<Violation> violations = cluster.checker->violations();
  if (cluster.etcd->ranges() != ranges) {
    violations.push_back(
        {"C1", fmt::format("{} reads while nothing happened", cluster.etcd->ranges() - ranges)});
  }
  return violations;
}

}  // namespace

RunResult RunOnce(const RunOptions& options) {
  const std::unique_ptr<Tamper> mutant = MakeMutant(options.mutant);
  Cluster cluster({.seed = options.seed,
                   .machines = options.machines,
                   .units = options.units,
                   .tamper = mutant.get(),
                   .trace = options.trace});
  RunResult result;
  Random& random = cluster.random;
  cluster.Run(kBegin);
  // Calm ones and stormy ones.
  const absl::Duration pace = random.Between(absl::Milliseconds(50), absl::Milliseconds(600));
  const double fault_chance = 0.05 + 0.2 * random.Real();
  size_t faults = 0;
  while (cluster.queue.steps() < options.steps || faults < options.faults) {
    cluster.Run(random.Between(absl::ZeroDuration(), 2 * pace));
    const size_t actions = random.Below(4);
    for (size_t i = 0; i < actions; ++i) cluster.user->Act();
    if (cluster.roller != nullptr && random.Chance(0.3)) cluster.roller->Act();
    if (random.Chance(0.02)) cluster.user->SetMetadata();
    if (options.drains && random.Chance(0.05)) cluster.user->SetDrain();
    if (!random.Chance(fault_chance)) continue;
    const Fault fault = PickFault(random);
    if (NameOf(fault) == options.without || !Inject(cluster, fault)) continue;
    ++faults;
    ++result.faults[static_cast<size_t>(fault)];
  }
  HealAll(cluster);
  result.violations = ComeToRest(cluster);
  result.steps = cluster.queue.steps();
  result.seconds =
      absl::ToDoubleSeconds(cluster.queue.now() - absl::FromUnixSeconds(1'700'000'000));
  result.machines = cluster.machines.size();
  result.changes = cluster.user->changes();
  result.placements = cluster.checker->placements();
  result.runs = cluster.checker->runs();
  result.refused = cluster.user->refused();
  if (cluster.roller != nullptr) result.refused += cluster.roller->refused();
  result.trace_hash = cluster.trace_hash();
  return result;
}

}  // namespace fleet::sim
