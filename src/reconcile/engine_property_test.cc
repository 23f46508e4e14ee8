// Whatever happens in a cluster, in whatever order: the engine keeps the constraints at each
// commit, comes to rest, and another engine that reads the same records has nothing to add.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/glob.h"
#include "fmt/core.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::ClusterModel;
using testing::Text;

const std::vector<std::string> kMachines = {"m1", "m2", "m3", "m4"};
const std::vector<std::string> kUnits = {"a.service", "b.service",     "c.service",
                                         "d.service", "web@1.service", "web@2.service"};
const std::vector<std::string> kTexts = {
    "",
    "MachineOf=a.service",
    "MachineOf=a.service\nReserveCPU=1",
    "MachineOf=b.service",
    "MachineOf=a.service b.service",
    "MachineOf=a.service\nCollocateWithin=zone=c.service",
    "ReserveCPU=1",
    "ReserveCPU=2\nPriority=1",
    "ReserveCPU=1\nReserveMemory=1G\nPriority=2",
    "MachineMetadata=zone=a",
    "MachineMetadata=zone=b\nReserveCPU=1",
    "MachineID=m1",
    "Conflicts=a.service c.service",
    "ConflictsWithin=zone=web@*.service",
    "CollocateWithin=zone=a.service",
    "CollocateWithin=zone=c.service\nReserveCPU=1",
    "SpreadOver=zone\nReserveCPU=1",
    "Replaces=c.service d.service",
    "OnIsolation=stop",
    "OnIsolation=stop\nMachineOf=a.service",
    "Reschedule=on-failure",
    "Reschedule=on-failure\nReserveCPU=1\nOnIsolation=stop",
    "Global=true",
    "Global=true\nReserveCPU=1\nMachineMetadata=zone=a",
};

const EngineSettings kSettings = {.ttl = absl::Seconds(10),
                                  .loss_grace = absl::Milliseconds(500),
                                  .mass_loss_hold = absl::Seconds(60)};
// Of a unit with OnIsolation=stop, from the loss of its machine to its next start elsewhere.
const absl::Duration kIsolation = 1.03 * absl::Seconds(15);

// A unit follows only those before it, so that there are no circles.
bool MayHave(const std::string& unit, const std::string& options) {
  for (const std::string& other : kUnits) {
    const bool follows =
        options.starts_with("MachineOf=") || options.starts_with("CollocateWithin");
    if (follows && options.find(other) != std::string::npos && other >= unit) return false;
  }
  return true;
}

class World {
 public:
  World() { NewLeader(); }

  void Do() {
    const std::string& unit = *rc::gen::elementOf(kUnits);
    const std::string& machine = *rc::gen::elementOf(kMachines);
    switch (*rc::gen::inRange(0, 20)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const std::string options = *rc::gen::elementOf(kTexts);
        if (!MayHave(unit, options)) break;
        Log("unit {} {}", unit, options);
        model_.PutUnit(unit, Text(options));
        break;
      }
      case 4:
        Log("destroy {}", unit);
        model_.DestroyUnit(unit);
        break;
      case 5:
        if (model_.records().units.Find(unit) == nullptr) break;
        Log("toggle {}", unit);
        model_.SetDesired(unit, model_.Unit(unit).desired == DesiredState::kLaunched
                                    ? DesiredState::kInactive
                                    : DesiredState::kLaunched);
        break;
      case 6:
      case 7: {
        const std::string zone = *rc::gen::elementOf(std::vector<std::string>{"a", "b", "c"});
        // A capacity that shrinks keeps what it has, and is no subject here.
        const int64_t cores = *rc::gen::inRange<int64_t>(1, 4);
        capacity_[machine] = std::max(capacity_[machine], cores);
        Log("machine {} zone={} cores={}", machine, zone, capacity_[machine]);
        model_.PutMachineOf(machine, capacity_[machine], 2, {{"zone", zone}});
        break;
      }
      case 8:
        if (model_.records().machines.Find(machine) == nullptr) break;
        Log("lose {}", machine);
        model_.LoseMachine(machine);
        lost_at_[machine] = now();
        break;
      case 9: {
        const auto* record = model_.records().machines.Find(machine);
        if (record == nullptr) break;
        Log("leave {}", machine);
        MachineRecord leaving = record->value;
        leaving.leaving = true;
        static_cast<SimulatedRegistry&>(model_).PutMachine(machine, leaving);
        break;
      }
      case 10:
        if (model_.records().units.Find(unit) == nullptr) break;
        Log("move {} to {}", unit, machine);
        model_.SetMoveTo(unit, machine);
        break;
      case 11:
        Log("agent {}", machine);
        if (model_.records().machines.Find(machine) != nullptr) model_.RunAgent(machine);
        break;
      case 12:
        Log("new leader");
        NewLeader();
        break;
      case 13: {
        const auto duration = absl::Milliseconds(*rc::gen::inRange(100, 20'000));
        Log("{} pass", absl::FormatDuration(duration));
        engine_->now += duration;
        break;
      }
      case 14:
      case 15:
        Fail(unit);
        break;
      case 16:
        if (model_.records().machines.Find(machine) != nullptr) break;
        Log("forget {}", machine);
        model_.PutSettings(machine, {.forgotten = true});
        break;
      default:
        Settle();
    }
    Pass();
  }

  // As Simulation::Pass(), with a look at each commit.
  size_t Pass(bool may_only_refuse = false) {
    engine_->engine.Apply(model_.TakeChange());
    const auto decisions = engine_->engine.Decide(engine_->now);
    for (const Decision& decision : decisions) {
      RC_ASSERT(!decision.events.empty());
      for (const EventEntry& event : decision.events) {
        Log("  {} {} {}: {}", event.kind, event.unit, event.machine, event.reason);
        RC_ASSERT(!event.reason.empty());
        RC_ASSERT(!may_only_refuse || event.kind == "refused");
      }
      const int64_t revision = model_.Commit(decision);
      RC_ASSERT(revision != 0);  // the view was current
      engine_->engine.OnCommitted(decision.id, revision);
      CheckCommit(decision);
    }
    return decisions.size();
  }

  void Settle() {
    Log("settle");
    for (int turn = 0; turn < 300; ++turn) {
      const int64_t before = model_.revision();
      Pass();
      model_.RunAgents();
      engine_->engine.Apply(model_.TakeChange());
      if (model_.revision() != before) continue;
      // What waits for the time to pass is waited for.
      const absl::Time next = engine_->engine.NextWakeup();
      if (next > now() && next != absl::InfiniteFuture()) {
        engine_->now = next;
        continue;
      }
      CheckSettled();
      return;
    }
    RC_FAIL("it does not come to rest");
  }

  void CheckSettled() {
    for (const auto& [place, stored] : model_.records().assignments) {
      if (stored.value.state != AssignmentState::kGone) CheckPlace(place);
    }
    for (const auto& [unit, stored] : model_.records().units) {
      const UnitRecord& record = stored.value;
      RC_ASSERT(record.nominated_machine.empty());
      RC_ASSERT(record.move_to.empty());
      if (record.desired == DesiredState::kInactive || RequirementsOf(unit).global) continue;
      if (model_.MachinesOf(unit).empty()) RC_ASSERT(!record.refusal.empty());  // L3
    }
    // Reasons may have changed with what was placed elsewhere meanwhile.
    engine_->engine.JudgeAll();
    Log("sweep");
    Pass(/*may_only_refuse=*/true);
    engine_->engine.Apply(model_.TakeChange());
    engine_->engine.JudgeAll();
    RC_ASSERT(Pass() == 0u);  // L2
    Log("fresh");
    auto before = std::exchange(engine_, std::make_unique<Simulation>(&model_, kSettings));
    RC_ASSERT(Pass() == 0u);
    engine_ = std::move(before);
  }

 private:
  absl::Time now() const { return engine_->now; }

  void NewLeader() {
    const absl::Time at = engine_ == nullptr ? absl::UnixEpoch() : now();
    engine_ = std::make_unique<Simulation>(&model_, kSettings);
    engine_->now = at;
    engine_->engine.BeginLeading(at);
  }

  void Fail(const std::string& unit) {
    const auto machines = model_.MachinesOf(unit);
    if (machines.empty() || model_.records().machines.Find(machines[0]) == nullptr) return;
    const Assignment& assignment = *model_.AssignmentOf(unit, machines[0]);
    if (assignment.state != AssignmentState::kLaunched) return;
    Log("{} fails on {}", unit, machines[0]);
    model_.Report(machines[0], unit,
                  {.uid = assignment.uid,
                   .generation = assignment.generation,
                   .content_hash = assignment.content_hash,
                   .active_state = "failed",
                   .settled = true});
  }

  // S1 of units with OnIsolation=stop: where they may be running, they have stopped.
  void CheckIsolation(const std::string& unit, const std::string& machine) {
    for (auto it = FirstOf(model_.records().assignments, unit);
         InUnit(it, model_.records().assignments, unit); ++it) {
      const std::string& other = it->first.machine;
      if (other == machine || model_.records().machines.Find(other) != nullptr) continue;
      const auto its = ReadRequirements(model_.records(), unit, it->second.value.content_hash);
      if ((*its)->stops_on_isolation) RC_ASSERT(now() >= lost_at_.at(other) + kIsolation);
    }
  }

  template <typename... Args>
  void Log(fmt::format_string<Args...> format, Args&&... args) {
    RC_LOG() << fmt::format(format, std::forward<Args>(args)...) << "\n";
  }

  Requirements RequirementsOf(const std::string& unit) const {
    const auto* record = model_.records().units.Find(unit);
    if (record == nullptr) return {};
    const auto* content = model_.records().contents.Find(record->value.content_hash);
    return *ParseRequirements(*content->value.file, *UnitName::Parse(unit));
  }

  std::string ZoneOf(const std::string& machine) const {
    const auto* record = model_.records().machines.Find(machine);
    return record == nullptr ? "" : record->value.metadata.at("zone");
  }

  void CheckCommit(const Decision& decision) {
    std::map<std::string, std::set<std::string>> touched;
    for (const Write& write : decision.writes) {
      if (const auto* put = std::get_if<PutAssignment>(&write)) {
        RC_ASSERT(touched[put->unit].insert(put->machine).second);
        if (put->assignment.state == AssignmentState::kGone) continue;
        if (!RequirementsOf(put->unit).global) {  // S1
          RC_ASSERT(model_.MachinesOf(put->unit) == std::vector<std::string>{put->machine});
        }
        CheckIsolation(put->unit, put->machine);
        CheckPlace({put->unit, put->machine});
      } else if (const auto* removed = std::get_if<DeleteAssignment>(&write)) {
        RC_ASSERT(touched[removed->unit].insert(removed->machine).second);
      }
    }
  }

  // S2, for a unit on a machine that is there and stays.
  void CheckPlace(const UnitOnMachine& place) const {
    const auto* machine = model_.records().machines.Find(place.machine);
    if (machine == nullptr || machine->value.leaving) return;
    const Requirements its = RequirementsOf(place.unit);
    for (const auto& [key, values] : its.metadata) {
      RC_ASSERT(values.contains(machine->value.metadata.at(key)));
    }
    if (!its.machine_id.empty()) RC_ASSERT(its.machine_id == place.machine);
    for (const std::string& parent : its.machine_of) {
      const auto on = MachinesHeldBy(parent);
      RC_ASSERT(std::find(on.begin(), on.end(), place.machine) != on.end());
    }
    for (const Within& within : its.collocate_within) {
      const auto on = MachinesHeldBy(within.name);
      RC_ASSERT(std::any_of(on.begin(), on.end(), [&](const std::string& other) {
        return ZoneOf(other).empty() || ZoneOf(other) == ZoneOf(place.machine);
      }));
    }
    Requirements sum;
    for (const auto& [other, stored] : model_.records().assignments) {
      if (!Occupies(other, stored.value)) continue;
      const Requirements theirs = RequirementsOf(other.unit);
      if (other.machine == place.machine) {
        const auto running =
            ReadRequirements(model_.records(), other.unit, stored.value.content_hash);
        RC_ASSERT(running.ok());
        sum.reserve_milli_cores += (*running)->reserve_milli_cores;
        sum.reserve_memory += (*running)->reserve_memory;
      }
      if (other.unit == place.unit) continue;
      if (other.machine == place.machine) {
        RC_ASSERT(!Matches(its.conflicts, other.unit));
        RC_ASSERT(!Matches(theirs.conflicts, place.unit));
      }
      if (ZoneOf(other.machine) != ZoneOf(place.machine)) continue;
      for (const Within& within : its.conflicts_within) {
        RC_ASSERT(!GlobMatches(within.name, other.unit));
      }
      for (const Within& within : theirs.conflicts_within) {
        RC_ASSERT(!GlobMatches(within.name, place.unit));
      }
    }
    if (its.reserve_milli_cores > 0) {
      RC_ASSERT(sum.reserve_milli_cores <= machine->value.milli_cores);
    }
    if (its.reserve_memory > 0) RC_ASSERT(sum.reserve_memory <= machine->value.memory_bytes);
  }

  // With those that are reserved for it: who is there already may stay.
  std::vector<std::string> MachinesHeldBy(const std::string& unit) const {
    std::vector<std::string> machines = model_.MachinesOf(unit);
    const auto* record = model_.records().units.Find(unit);
    if (record != nullptr) machines.push_back(record->value.nominated_machine);
    for (const auto& [place, stored] : model_.records().assignments) {
      if (place.unit == unit && !stored.value.next_machine.empty()) {
        machines.push_back(stored.value.next_machine);
      }
    }
    return machines;
  }

  bool Occupies(const UnitOnMachine& place, const Assignment& assignment) const {
    if (model_.records().machines.Find(place.machine) == nullptr) return false;
    const auto* report = model_.records().states.Find(place);
    return report == nullptr || !report->value.gone ||
           report->value.generation != assignment.generation;
  }

  static bool Matches(const std::vector<std::string>& globs, const std::string& unit) {
    return std::any_of(globs.begin(), globs.end(),
                       [&](const std::string& glob) { return GlobMatches(glob, unit); });
  }

  ClusterModel model_;
  std::unique_ptr<Simulation> engine_;
  std::map<std::string, absl::Time> lost_at_;
  std::map<std::string, int64_t> capacity_;
};

RC_GTEST_PROP(EngineProperties, KeepTheConstraintsAndComeToRest, ()) {
  World world;
  const int steps = *rc::gen::inRange(1, 40);
  for (int step = 0; step < steps; ++step) world.Do();
  world.Settle();
}

}  // namespace
}  // namespace fleet::reconcile
