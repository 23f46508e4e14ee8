// Whatever happens in a cluster, in whatever order: the engine keeps the constraints at each
// commit, comes to rest, and another engine that reads the same records has nothing to add.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/budget.h"
#include "base/glob.h"
#include "fmt/core.h"
#include "model/unit_status.h"
#include "reconcile/engine_facts.h"
#include "reconcile/planner.h"
#include "reconcile/rollout.h"
#include "reconcile/testing/cluster_model.h"
#include "reconcile/testing/commit_checks.h"

namespace fleet::reconcile {
namespace {

using testing::ClusterModel;
using testing::MachinesHeldBy;
using testing::Occupies;
using testing::Text;
using testing::WhatVersionsForbid;

const std::vector<std::string> kMachines = {"m1", "m2", "m3", "m4"};
const std::vector<std::string> kUnits = {"a.service", "b.service",     "c.service",
                                         "d.service", "web@1.service", "web@2.service"};
const char* const kTemplate = "web@.service";
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
    "MaxUnavailable=2\nReserveCPU=1",
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
  World() {
    model_.EnableFeatures({});
    NewLeader();
  }

  void Do() {
    const std::string& unit = *rc::gen::elementOf(kUnits);
    const std::string& machine = *rc::gen::elementOf(kMachines);
    switch (*rc::gen::inRange(0, 27)) {
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
        model_.PutMachineOf(machine, capacity_[machine], 2, {{"zone", zone}});
        MachineRecord record = model_.records().machines.Find(machine)->value;
        if (*rc::gen::inRange(0, 4) == 0) record.features = {"reschedule"};  // an older version
        Log("machine {} zone={} cores={} features={}", machine, zone, capacity_[machine],
            record.features.size());
        static_cast<SimulatedRegistry&>(model_).PutMachine(machine, record);
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
        ForgetMachine(machine);
        break;
      case 17:
      case 18:
        Scale();
        break;
      case 19:
      case 20:
        Roll();
        break;
      case 21:
      case 22:
      case 23: {
        const auto* known = model_.records().settings.Find(machine);
        MachineSettings settings = known == nullptr ? MachineSettings{} : known->value;
        if (*rc::gen::arbitrary<bool>()) {
          const int within = *rc::gen::inRange(-30, 30);  // seconds; negative: no deadline
          settings.Drain(within < 0 ? absl::InfiniteFuture() : now() + absl::Seconds(within),
                         *rc::gen::arbitrary<bool>());
        } else {
          settings.Open();
        }
        settings.cordoned = *rc::gen::arbitrary<bool>();
        settings.lock_group = *rc::gen::elementOf(std::vector<std::string>{"", "", "g"});
        if (settings.lock_group.empty()) settings.lock_granted = false;
        Log("{}: cordoned {} drained {} until {}", machine, settings.cordoned, settings.drained,
            absl::FormatTime(settings.drain_deadline));
        model_.PutSettings(machine, settings);
        break;
      }
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
      CheckVoluntary(decision);
      RC_ASSERT(WhatVersionsForbid(model_.records(), decision) == "");
      const int64_t revision = model_.Commit(decision);
      RC_ASSERT(revision != 0);  // the view was current
      engine_->engine.OnCommitted(decision.id, revision);
      CheckCommit(decision);
      CheckRollout(decision);
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
    CheckReplicas();
    for (const auto& [place, stored] : model_.records().assignments) {
      if (stored.value.state != AssignmentState::kGone) CheckPlace(place);
    }
    for (const auto& [unit, stored] : model_.records().units) {
      const UnitRecord& record = stored.value;
      RC_ASSERT(record.nominated_machine.empty());
      RC_ASSERT(record.move_to.empty());
      if (record.desired == DesiredState::kInactive || IsTemplate(unit)) continue;
      if (RequirementsOf(unit).global) continue;
      if (model_.MachinesOf(unit).empty()) RC_ASSERT(!record.refusal.empty());  // L3
    }
    // L4: what is still on a machine that is emptied cannot leave it.
    for (const auto& [machine, stored] : model_.records().settings) {
      const auto* record = model_.records().machines.Find(machine);
      if (!stored.value.IsEmptied() || record == nullptr || record->value.leaving) continue;
      for (const HeldUnit& held : ExplainDrain(model_.view(), kSettings, machine)) {
        Log("{} holds {}: {}", held.unit, machine, held.reason);
        RC_ASSERT(held.cannot_move);
        RC_ASSERT(!held.reason.empty());
      }
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

  // web@1.service and web@2.service are units like others, too.
  void Scale() {
    const UnitRecord* record = Template();
    if (record == nullptr || *rc::gen::inRange(0, 8) == 0) {
      Log("template {}", record == nullptr ? "made" : "destroyed");
      if (record != nullptr) {
        model_.DestroyUnit(kTemplate);
      } else {
        model_.PutUnit(kTemplate, Text("Replicas=2\nReserveCPU=0.5"), DesiredState::kInactive);
      }
      return;
    }
    UnitRecord scaled = *record;
    scaled.replicas = *rc::gen::inRange(0, 5);
    Log("scale {}", *scaled.replicas);
    static_cast<SimulatedRegistry&>(model_).PutUnit(kTemplate, scaled);
  }

  void Roll() {
    const UnitRecord* record = Template();
    if (record == nullptr) return;
    const auto* stored = model_.records().rollouts.Find(kTemplate);
    const RolloutRecord* last = stored == nullptr ? nullptr : &stored->value;
    const std::string before = record->content_hash;
    const std::string uid = fmt::format("rollout {}", ++rollouts_);
    RolloutRecord rollout;
    if (last != nullptr && last->state == RolloutState::kPaused && *rc::gen::arbitrary<bool>()) {
      rollout = *last;
      rollout.state = RolloutState::kRunning;
    } else if (*rc::gen::inRange(0, 4) == 0) {
      rollout = RestartOf(last, uid, before);
    } else {
      model_.PutUnit(kTemplate,
                     Text(fmt::format("Replicas=2\nReserveCPU=0.{}", *rc::gen::inRange(1, 9))),
                     DesiredState::kInactive);
      rollout = RolloutOf(last, uid, model_.Unit(kTemplate).content_hash, before, now(), "update");
      rollout.rolls_back = *rc::gen::arbitrary<bool>();
    }
    rollout.max_unavailable = fmt::format("{}", *rc::gen::inRange(1, 3));
    Log("rollout {} of {}", rollout.uid, rollout.restarts ? "restarts" : "a text");
    if (rollout.uid == uid && *rc::gen::arbitrary<bool>()) TakeAlong(rollout);
    for (const std::string& name : NamesOfRollout(model_.records(), kTemplate, rollout)) {
      auto its = name == kTemplate ? rollout : model_.records().rollouts.Find(name)->value;
      its.state = rollout.state;
      its.max_unavailable = rollout.max_unavailable;
      model_.PutRollout(name, its);
    }
  }

  // Another unit, which is no instance, becomes a part of the rollout.
  void TakeAlong(RolloutRecord& rollout) {
    for (const auto& [unit, stored] : model_.records().units) {
      if (!TemplateOf(unit).empty() || IsTemplate(unit) || RequirementsOf(unit).global) continue;
      RolloutRecord its = rollout;
      its.content_hash = stored.value.content_hash;
      its.together = rollout.together = {unit, kTemplate};
      Log("  together with {}", unit);
      return model_.PutRollout(unit, its);
    }
  }

  const UnitRecord* Template() const {
    const auto* stored = model_.records().units.Find(kTemplate);
    return stored == nullptr ? nullptr : &stored->value;
  }

  // L1: the instances are those that are asked for. L4: a rollout says what holds it.
  void CheckReplicas() {
    const UnitRecord* record = Template();
    const auto replicas =
        record == nullptr ? std::optional<int64_t>(0)
        : record->replicas
            ? record->replicas
            : (*ReadRequirements(model_.records(), kTemplate, record->content_hash))->replicas;
    for (int64_t number = 1; number <= 5; ++number) {
      const auto* unit = model_.records().units.Find(fmt::format("web@{}.service", number));
      const bool was_made = unit != nullptr && unit->value.made_by_replicas;
      const bool is_there = unit != nullptr;
      if (number <= *replicas) RC_ASSERT(is_there);
      if (number > *replicas) RC_ASSERT(!was_made);
    }
    const auto* rollout = model_.records().rollouts.Find(kTemplate);
    if (rollout == nullptr) return;
    RC_ASSERT(record != nullptr);  // C3
    if (rollout->value.state != RolloutState::kRunning) return;
    RC_ASSERT(!ProgressOf(model_.records(), kTemplate, rollout->value).not_started.empty());
  }

  // S6: what a rollout brings is down in no more units than it may.
  void CheckRollout(const Decision& decision) {
    const auto* rollout = model_.records().rollouts.Find(kTemplate);
    const bool brings =
        std::any_of(decision.events.begin(), decision.events.end(),
                    [](const EventEntry& event) { return event.kind == "rolling"; });
    if (!brings || rollout == nullptr) return;
    int64_t down = 0;
    std::vector<std::string> units;
    for (const std::string& name : NamesOfRollout(model_.records(), kTemplate, rollout->value)) {
      // As they go together, so they end.
      RC_ASSERT(model_.records().rollouts.Find(name)->value.state == rollout->value.state);
      for (const auto& unit : UnitsOfRollout(model_.records(), name)) units.push_back(unit);
    }
    for (const std::string& unit : units) {
      const UnitRecord& record = model_.Unit(unit);
      // Made or moved just now, by somebody else; or with a text of its own by now.
      if (model_.MachinesOf(unit).empty()) continue;
      const auto* its = model_.records().rollouts.Find(unit);
      if (ShareIn(its ? its->value : rollout->value, record) == RolloutShare::kNone) continue;
      // One that waits for a machine is down for that.
      const Progress progress = StatusOf(model_.records(), *UnitName::Parse(unit)).progress;
      if (record.rollout == rollout->value.uid && record.desired == DesiredState::kLaunched &&
          progress != Progress::kReached && progress != Progress::kWaiting) {
        ++down;
      }
    }
    RC_ASSERT(down <= ParseBudget(rollout->value.max_unavailable)->amount);
  }

  void NewLeader() {
    const absl::Time at = engine_ == nullptr ? absl::UnixEpoch() : now();
    engine_ = std::make_unique<Simulation>(&model_, kSettings);
    engine_->now = at;
    engine_->engine.BeginLeading(at);
  }

  void ForgetMachine(const std::string& machine) {
    const auto* known = model_.records().settings.Find(machine);
    MachineSettings settings = known == nullptr ? MachineSettings{} : known->value;
    settings.forgotten = true;
    model_.PutSettings(machine, settings);
  }

  // S6, before the commit: nothing new on a closed machine, at most one machine is emptied by
  // voluntary moves at once, and FleetLock grants one slot.
  void CheckVoluntary(const Decision& decision) {
    const auto& records = model_.records();
    std::erase_if(voluntary_, [&](const auto& move) {
      const auto* stored = records.assignments.Find(UnitOnMachine{move.first, move.second});
      return stored == nullptr || stored->value.state != AssignmentState::kGone ||
             stored->value.next_machine.empty() || records.machines.Find(move.second) == nullptr;
    });
    for (const Write& write : decision.writes) {
      if (const auto* put = std::get_if<PutSettings>(&write); put != nullptr) {
        for (const auto& [machine, stored] : records.settings) {
          const bool is_another = stored.value.lock_granted && machine != put->machine;
          RC_ASSERT(!(put->settings.lock_granted && is_another));
        }
      }
      const auto* put = std::get_if<PutAssignment>(&write);
      if (put == nullptr) continue;
      const UnitOnMachine place{put->unit, put->machine};
      if (put->assignment.state != AssignmentState::kGone) {
        const auto* settings = records.settings.Find(put->machine);
        const auto* before = records.assignments.Find(place);
        const bool was_there =
            (before != nullptr && before->value.state != AssignmentState::kGone) ||
            records.states.Find(place) != nullptr;
        const bool is_open = settings == nullptr || !settings->value.IsClosed();
        RC_ASSERT((is_open || was_there));
        continue;
      }
      // A drain that has expired begins nothing more.
      const auto* source = records.settings.Find(put->machine);
      const bool is_drain = decision.events[0].reason.ends_with("is drained");
      RC_ASSERT(!(is_drain && source != nullptr && source->value.drain_expired));
      const std::string& why = decision.events[0].reason;
      if (why.ends_with("is drained") || why.ends_with("(FleetLock)") || why == "rebalance") {
        if (!put->assignment.next_machine.empty()) voluntary_[put->unit] = put->machine;
      }
    }
    std::set<std::string> sources;
    for (const auto& [unit, machine] : voluntary_) sources.insert(machine);
    RC_ASSERT(sources.size() <= 1u);
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

  // S1 of units with OnIsolation=stop: where they may be running, they have stopped. One that has
  // become global is to run on each machine.
  void CheckIsolation(const std::string& unit, const std::string& machine) {
    if (RequirementsOf(unit).global) return;  // by now, another unit of that name
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
    // What is restarted where it is may stay there.
    const bool restarts = std::any_of(decision.events.begin(), decision.events.end(),
                                      [](const auto& e) { return e.reason == "a restart"; });
    for (const Write& write : decision.writes) {
      if (const auto* put = std::get_if<PutAssignment>(&write)) {
        RC_ASSERT(touched[put->unit].insert(put->machine).second);
        if (put->assignment.state == AssignmentState::kGone) continue;
        if (!RequirementsOf(put->unit).global) {  // S1
          RC_ASSERT(model_.MachinesOf(put->unit) == std::vector<std::string>{put->machine});
          // A text that is changed where the unit is starts it nowhere else.
          if (decision.events[0].kind != "updated") CheckIsolation(put->unit, put->machine);
        }
        if (!restarts) CheckPlace({put->unit, put->machine});
      } else if (const auto* removed = std::get_if<DeleteAssignment>(&write)) {
        RC_ASSERT(touched[removed->unit].insert(removed->machine).second);
      }
    }
  }

  // S2, for a unit on a machine that is there and stays.
  void CheckPlace(const UnitOnMachine& place) const {
    const auto* machine = model_.records().machines.Find(place.machine);
    if (machine == nullptr || machine->value.leaving) return;
    // It runs on with its former text while the new one is too early.
    const auto* unit = model_.records().units.Find(place.unit);
    if (unit != nullptr && unit->value.refusal.starts_with("it needs the feature")) return;
    const Requirements its = RequirementsOf(place.unit);
    for (const auto& [key, values] : its.metadata) {
      RC_ASSERT(values.contains(machine->value.metadata.at(key)));
    }
    if (!its.machine_id.empty()) RC_ASSERT(its.machine_id == place.machine);
    for (const std::string& parent : its.machine_of) {
      const auto on = MachinesHeldBy(model_.records(), parent);
      RC_ASSERT(std::find(on.begin(), on.end(), place.machine) != on.end());
    }
    for (const Within& within : its.collocate_within) {
      const auto on = MachinesHeldBy(model_.records(), within.name);
      RC_ASSERT(std::any_of(on.begin(), on.end(), [&](const std::string& other) {
        return ZoneOf(other).empty() || ZoneOf(other) == ZoneOf(place.machine);
      }));
    }
    Requirements sum;
    for (const auto& [other, stored] : model_.records().assignments) {
      if (!Occupies(model_.records(), other, stored.value)) continue;
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

  static bool Matches(const std::vector<std::string>& globs, const std::string& unit) {
    return std::any_of(globs.begin(), globs.end(),
                       [&](const std::string& glob) { return GlobMatches(glob, unit); });
  }

  ClusterModel model_;
  std::unique_ptr<Simulation> engine_;
  std::map<std::string, std::string> voluntary_;  // moves under way: off which machine
  std::map<std::string, absl::Time> lost_at_;
  std::map<std::string, int64_t> capacity_;
  int rollouts_ = 0;
};

RC_GTEST_PROP(EngineProperties, KeepTheConstraintsAndComeToRest, ()) {
  World world;
  const int steps = *rc::gen::inRange(1, 40);
  for (int step = 0; step < steps; ++step) world.Do();
  world.Settle();
}

}  // namespace
}  // namespace fleet::reconcile
