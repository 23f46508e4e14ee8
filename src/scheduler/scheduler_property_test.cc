// Random sequences of calls, against a model that looks at every machine and every unit.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/glob.h"
#include "fmt/format.h"
#include "gtest/gtest.h"
#include "rapidcheck/gtest.h"
#include "scheduler/scheduler.h"

namespace fleet::scheduler {
namespace {

struct Placed {
  RequirementsPtr requirements;
  Hold hold = Hold::kRuns;
};

// What the scheduler was told, and the answers by the definition of each constraint.
struct Model {
  std::map<std::string, Machine> machines;
  std::map<std::pair<std::string, std::string>, Placed> placed;  // by machine, unit

  static bool Conflict(const std::string& a, const Requirements& of_a, const std::string& b,
                       const Requirements& of_b) {
    const auto declares = [](const Requirements& requirements, const std::string& other) {
      return std::any_of(requirements.conflicts.begin(), requirements.conflicts.end(),
                         [&](const std::string& glob) { return GlobMatches(glob, other); });
    };
    return declares(of_a, b) || declares(of_b, a);
  }

  bool Runs(const std::string& unit, const std::string& machine) const {
    auto found = placed.find({machine, unit});
    return found != placed.end() && found->second.hold == Hold::kRuns;
  }

  std::vector<std::string> ConflictsOn(const std::string& unit, const Requirements& requirements,
                                       const std::string& machine) const {
    std::vector<std::string> conflicts;
    for (auto it = placed.lower_bound({machine, ""});
         it != placed.end() && it->first.first == machine; ++it) {
      const std::string& other = it->first.second;
      if (other != unit && Conflict(unit, requirements, other, *it->second.requirements)) {
        conflicts.push_back(other);
      }
    }
    return conflicts;
  }

  bool MayStay(const std::string& unit, const Requirements& requirements,
               const std::string& id) const {
    const Machine& machine = machines.at(id);
    for (const auto& [key, values] : requirements.metadata) {
      auto found = machine.metadata.find(key);
      if (found == machine.metadata.end() || !values.contains(found->second)) return false;
    }
    if (!requirements.machine_id.empty() && requirements.machine_id != id) return false;
    for (const std::string& followed : requirements.machine_of) {
      if (!Runs(followed, id)) return false;
    }
    return ConflictsOn(unit, requirements, id).empty();
  }

  std::vector<std::string> Eligible(const std::string& unit,
                                    const Requirements& requirements) const {
    std::vector<std::string> eligible;
    for (const auto& [id, machine] : machines) {
      if (machine.schedulable && MayStay(unit, requirements, id)) eligible.push_back(id);
    }
    return eligible;
  }

  std::optional<std::string> Best(const std::string& unit, const Requirements& requirements,
                                  const std::string& avoid) const {
    std::optional<std::tuple<size_t, bool, std::string>> best;
    for (const std::string& id : Eligible(unit, requirements)) {
      if (id == avoid) continue;
      size_t load = 0;
      for (const auto& [where, what] : placed) {
        if (where.first == id && where.second != unit) ++load;
      }
      const auto key = std::tuple(load, !Runs(unit, id), id);
      if (!best || key < *best) best = key;
    }
    if (!best) return std::nullopt;
    return std::get<std::string>(*best);
  }
};

std::vector<std::string> UnitNames() {
  return {"app.service",   "db.1.service",   "db.2.service", "db.10.service", "web@1.service",
          "web@2.service", "web@10.service", "web.timer",    "webx.service"};
}

std::string MachineId(int number) { return fmt::format("m{:03}", number * 37 % 251); }

rc::Gen<Requirements> AnyRequirements() {
  const auto globs = rc::gen::container<std::set<std::string>>(
      rc::gen::element<std::string>("web@*", "db.?.service", "web@[12].service", "app.service",
                                    "*.timer", "w*e", "none*", "*", "web@1.service", "db.1*"));
  return rc::gen::exec([globs] {
    Requirements requirements;
    // Most units say nothing, or one thing.
    const auto kinds =
        *rc::gen::weightedElement<int>({{4, 0}, {4, 1}, {2, 2}, {1, 3}, {1, 4}, {2, 5}});
    if (kinds == 1 || kinds == 5) {
      const std::set<std::string> some = *rc::gen::resize(3, globs);
      requirements.conflicts.assign(some.begin(), some.end());
    }
    if (kinds == 2 || kinds == 5) {
      requirements.metadata["zone"].insert(*rc::gen::element<std::string>("a", "b"));
      if (*rc::gen::arbitrary<bool>()) requirements.metadata["zone"].insert("c");
      if (*rc::gen::arbitrary<bool>()) requirements.metadata["disk"].insert("ssd");
    }
    if (kinds == 3) requirements.machine_id = MachineId(*rc::gen::inRange(0, 8));
    if (kinds == 4) {
      requirements.machine_of = {*rc::gen::elementOf(UnitNames())};
    }
    return requirements;
  });
}

// Tells the scheduler and the model the same.
struct Pair {
  Scheduler scheduler;
  Model model;

  void SetMachine(const Machine& machine) {
    scheduler.SetMachine(machine);
    model.machines[machine.id] = machine;
  }
  void Place(const std::string& unit, const RequirementsPtr& requirements,
             const std::string& machine, Hold hold) {
    scheduler.Place(unit, requirements, machine, hold);
    model.placed[{machine, unit}] = {requirements, hold};
  }
};

Machine AnyMachine(const std::string& id) {
  Machine machine = {.id = id};
  const auto zone = *rc::gen::element<std::string>("", "a", "b", "c");
  if (!zone.empty()) machine.metadata["zone"] = zone;
  if (*rc::gen::arbitrary<bool>()) machine.metadata["disk"] = "ssd";
  machine.schedulable = *rc::gen::weightedElement<bool>({{6, true}, {1, false}});
  return machine;
}

void DoSomething(Pair& pair) {
  const std::string unit = *rc::gen::elementOf(UnitNames());
  const std::string machine = MachineId(*rc::gen::inRange(0, 8));
  switch (*rc::gen::weightedElement<int>({{3, 0}, {1, 1}, {4, 2}, {3, 3}, {8, 4}, {1, 5}})) {
    case 0:
      pair.SetMachine(AnyMachine(machine));
      break;
    case 1:
      pair.scheduler.RemoveMachine(machine);
      pair.model.machines.erase(machine);
      break;
    case 2:
      pair.Place(unit, std::make_shared<Requirements>(*AnyRequirements()), machine,
                 *rc::gen::element(Hold::kRuns, Hold::kLeaves));
      break;
    case 3:
      pair.scheduler.Unplace(unit, machine);
      pair.model.placed.erase({machine, unit});
      break;
    case 4: {  // as the engine does
      const auto requirements = std::make_shared<Requirements>(*AnyRequirements());
      const Choice choice = pair.scheduler.Choose(unit, *requirements);
      RC_ASSERT(choice.machine == pair.model.Best(unit, *requirements, ""));
      if (choice.machine) pair.Place(unit, requirements, *choice.machine, Hold::kRuns);
      break;
    }
    default:  // so many machines that slots are numbered anew
      for (int number = 8; number < 120; ++number) {
        const std::string id = MachineId(number);
        pair.SetMachine({.id = id, .metadata = {{"zone", number % 2 == 0 ? "a" : "d"}}});
      }
      for (int number = 8; number < 120; ++number) {
        if (number % 3 != 0) continue;
        pair.scheduler.RemoveMachine(MachineId(number));
        pair.model.machines.erase(MachineId(number));
      }
      break;
  }
}

Pair AfterRandomCalls() {
  Pair pair;
  const int calls = *rc::gen::inRange(0, 60);
  for (int i = 0; i < calls; ++i) DoSomething(pair);
  return pair;
}

Scheduler Rebuilt(const Model& model) {
  Scheduler scheduler;
  for (const auto& [where, what] : model.placed) {
    scheduler.Place(where.second, what.requirements, where.first, what.hold);
  }
  for (const auto& [id, machine] : model.machines) scheduler.SetMachine(machine);
  return scheduler;
}

RC_GTEST_PROP(SchedulerProperties, ChoosesWhatLookingAtEverythingChooses, ()) {
  const Pair pair = AfterRandomCalls();
  for (const std::string& unit : UnitNames()) {
    const Requirements requirements = *AnyRequirements();
    const std::string avoid = *rc::gen::element<std::string>("", MachineId(0), MachineId(1));
    RC_ASSERT(pair.scheduler.Choose(unit, requirements, avoid).machine ==
              pair.model.Best(unit, requirements, avoid));
    RC_ASSERT(pair.scheduler.EligibleMachines(unit, requirements) ==
              pair.model.Eligible(unit, requirements));
  }
}

RC_GTEST_PROP(SchedulerProperties, NoChoiceBreaksAHardConstraint, ()) {  // S2
  const Pair pair = AfterRandomCalls();
  for (const std::string& unit : UnitNames()) {
    const Requirements requirements = *AnyRequirements();
    const auto chosen = pair.scheduler.Choose(unit, requirements).machine;
    if (!chosen) continue;
    RC_ASSERT(pair.model.machines.at(*chosen).schedulable);
    RC_ASSERT(pair.model.MayStay(unit, requirements, *chosen));
    RC_ASSERT(pair.scheduler.RulesOut(unit, requirements, *chosen, true).empty());
  }
}

RC_GTEST_PROP(SchedulerProperties, OneMachineIsJudgedAsAllOfThemAre, ()) {
  const Pair pair = AfterRandomCalls();
  for (const std::string& unit : UnitNames()) {
    const Requirements requirements = *AnyRequirements();
    const std::vector<std::string> eligible = pair.scheduler.EligibleMachines(unit, requirements);
    for (const auto& [id, machine] : pair.model.machines) {
      const bool is_eligible = std::binary_search(eligible.begin(), eligible.end(), id);
      RC_ASSERT(is_eligible == pair.scheduler.RulesOut(unit, requirements, id, true).empty());
      RC_ASSERT(pair.model.MayStay(unit, requirements, id) ==
                pair.scheduler.RulesOut(unit, requirements, id, false).empty());
      RC_ASSERT(pair.scheduler.ConflictsOn(unit, requirements, id) ==
                pair.model.ConflictsOn(unit, requirements, id));
    }
  }
}

RC_GTEST_PROP(SchedulerProperties, IsTheSameAsOneBuiltFromTheFinalState, ()) {
  const Pair pair = AfterRandomCalls();
  const Scheduler rebuilt = Rebuilt(pair.model);
  for (const std::string& unit : UnitNames()) {
    const Requirements requirements = *AnyRequirements();
    const Choice a = pair.scheduler.Choose(unit, requirements);
    const Choice b = rebuilt.Choose(unit, requirements);
    RC_ASSERT(a.machine == b.machine);
    RC_ASSERT(a.explanation.machines == b.explanation.machines);
    RC_ASSERT(a.explanation.ruled_out == b.explanation.ruled_out);
    RC_ASSERT(a.explanation.Summary() == b.explanation.Summary());
  }
}

RC_GTEST_PROP(SchedulerProperties, AnExplanationAccountsForEachMachineOnce, ()) {  // L3
  const Pair pair = AfterRandomCalls();
  for (const std::string& unit : UnitNames()) {
    const Requirements requirements = *AnyRequirements();
    const Choice choice = pair.scheduler.Choose(unit, requirements);
    if (choice.machine) continue;
    int ruled_out = 0;
    for (const RuledOut& by : choice.explanation.ruled_out) ruled_out += by.machines;
    RC_ASSERT(choice.explanation.machines == static_cast<int>(pair.model.machines.size()));
    RC_ASSERT(ruled_out == choice.explanation.machines);
  }
}

}  // namespace
}  // namespace fleet::scheduler
