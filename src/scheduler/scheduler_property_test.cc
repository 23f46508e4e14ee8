// Random stories, after which the scheduler answers as the naive one does, which looks at every
// machine.

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "gtest/gtest.h"
#include "scheduler/scheduler.h"
#include "scheduler/testing/answer_texts.h"
#include "scheduler/testing/any_tape.h"
#include "scheduler/testing/naive.h"
#include "scheduler/testing/random_cluster.h"

namespace fleet::scheduler {
namespace {

std::optional<std::string> AnyMachineToAvoid(Asked& asked) {
  if (!asked.tape.OneIn(3)) return std::nullopt;
  return asked.tape.Of(asked.world.machines);
}

std::optional<Slot> SlotOf(Both& both, const std::optional<std::string>& machine) {
  if (!machine) return std::nullopt;
  return both.scheduler.SlotOf(*machine);
}

// A question as a step of a golden case, with the right answer and the one that was given.
std::string Question(const std::vector<std::string>& units, const std::optional<std::string>& avoid,
                     const std::optional<std::string>& chosen,
                     const std::optional<std::string>& expected) {
  return fmt::format("together {}{}\n  = {}\n# it was {}\n", fmt::join(units, " "),
                     avoid ? " avoiding " + *avoid : "", expected.value_or("none"),
                     chosen.value_or("none"));
}

STORY_PROP(SchedulerProperties, ChoosesWhatLookingAtEveryMachineChooses) {
  Asked asked;
  for (const std::string& unit : asked.world.units) {
    const auto avoid = AnyMachineToAvoid(asked);
    const auto slot = SlotOf(asked.both, avoid);
    const UnitId id = asked.both.IdOf(unit);
    const auto chosen = asked.both.NameOf(asked.both.scheduler.Choose(id, slot));
    const auto expected = asked.both.naive.Choose({&unit, 1}, avoid);
    RC_LOG() << Question({unit}, avoid, chosen, expected);
    RC_ASSERT(chosen == expected);
    RC_ASSERT(asked.both.MachineNamesOf(asked.both.scheduler.EligibleMachines(id)) ==
              asked.both.naive.Eligible({&unit, 1}));
  }
}

STORY_PROP(SchedulerProperties, RanksAllEligibleMachinesInTheOrderInWhichItWouldChooseThem) {
  Asked asked;
  for (const auto& group : UnitsAndGroups(asked.tape, asked.both, 3)) {
    const auto ids = asked.both.IdsOf(group);
    const auto ranked = asked.both.scheduler.Ranked(ids);
    RC_ASSERT(ranked.size() == asked.both.naive.Eligible(group).size());
    const auto best = asked.both.scheduler.ChooseTogether(ids);
    RC_ASSERT(best == (ranked.empty() ? std::nullopt : std::optional(ranked[0])));
    if (ranked.empty()) continue;
    const auto next = asked.both.scheduler.ChooseTogether(ids, ranked[0]);
    RC_ASSERT(next == (ranked.size() == 1 ? std::nullopt : std::optional(ranked[1])));
    const auto rest = asked.both.scheduler.Ranked(ids, ranked[0]);
    RC_ASSERT(rest == std::vector<Slot>(ranked.begin() + 1, ranked.end()));
  }
}

STORY_PROP(SchedulerProperties, ChoosesForAGroupWhatLookingAtEveryMachineChooses) {
  Asked asked;
  for (int i = 0; i < 8; ++i) {
    const std::vector<std::string> group = AnyGroup(asked.tape, asked.both);
    if (group.empty()) continue;
    const auto avoid = AnyMachineToAvoid(asked);
    const auto slot = SlotOf(asked.both, avoid);
    const std::vector<UnitId> ids = asked.both.IdsOf(group);
    const auto chosen = asked.both.NameOf(asked.both.scheduler.ChooseTogether(ids, slot));
    const auto expected = asked.both.naive.Choose(group, avoid);
    RC_LOG() << Question(group, avoid, chosen, expected);
    RC_ASSERT(chosen == expected);
  }
}

STORY_PROP(SchedulerProperties, JudgesEachMachineAsByTheDefinitions) {
  Asked asked;
  for (const std::string& unit : asked.world.units) {
    RC_ASSERT(Texts(asked.both.scheduler.Judge(std::vector{asked.both.IdOf(unit)})) ==
              Texts(asked.both.naive.Judge({&unit, 1})));
  }
  const std::vector<std::string> group = AnyGroup(asked.tape, asked.both);
  if (group.empty()) return;
  RC_LOG() << fmt::format("{}", group) << "\n";
  RC_ASSERT(Texts(asked.both.scheduler.Judge(asked.both.IdsOf(group))) ==
            Texts(asked.both.naive.Judge(group)));
}

STORY_PROP(SchedulerProperties, OneMachineIsJudgedAsAllOfThemAre) {
  Asked asked;
  Scheduler& scheduler = asked.both.scheduler;
  for (const std::string& unit : asked.world.units) {
    for (const std::string& machine : asked.world.machines) {
      const UnitId id = asked.both.IdOf(unit);
      const Slot slot = scheduler.SlotOf(machine);
      for (const As as : {As::kResident, As::kChanged, As::kNewcomer}) {
        RC_ASSERT(scheduler.RulesOut(id, slot, as) == asked.both.naive.RulesOut(unit, machine, as));
      }
      if (!scheduler.IsPresent(slot)) continue;
      RC_ASSERT(asked.both.NamesOf(scheduler.Conflicts(id, slot)) ==
                asked.both.naive.Conflicts(unit, machine));
    }
  }
}

STORY_PROP(SchedulerProperties, RemembersWhatItWasTold) {
  Asked asked;
  Scheduler& scheduler = asked.both.scheduler;
  std::map<std::string, std::vector<std::string>> on;
  for (const std::string& unit : asked.world.units) {
    std::vector<std::string> runs_on;
    std::vector<std::string> occupies;
    for (const auto& [machine, hold] : asked.both.naive.Places(unit)) {
      if (hold == Hold::kRuns) runs_on.push_back(machine);
      occupies.push_back(machine);
      on[machine].push_back(unit);
    }
    const UnitId id = asked.both.IdOf(unit);
    RC_ASSERT(asked.both.MachineNamesOf(scheduler.RunsOn(id)) == runs_on);
    RC_ASSERT(asked.both.MachineNamesOf(scheduler.Occupies(id)) == occupies);
    RC_ASSERT(scheduler.UnitName(id) == unit);
    RC_ASSERT(scheduler.RequirementsOf(id) == asked.both.naive.RequirementsOf(unit));
  }
  RC_ASSERT(scheduler.present_machines() == asked.both.naive.PresentMachines().size());
  for (const std::string& machine : asked.world.machines) {
    const auto found = scheduler.FindMachine(machine);
    const bool present = asked.both.naive.IsPresent(machine);
    if (present || on.contains(machine)) RC_ASSERT(found.has_value());
    if (!found) continue;
    std::vector<std::string>& units = on[machine];
    std::sort(units.begin(), units.end());
    RC_ASSERT(scheduler.IsPresent(*found) == present);
    RC_ASSERT(asked.both.NamesOf(scheduler.UnitsOn(*found)) == units);
    RC_ASSERT(scheduler.ReservedOn(*found) == asked.both.naive.ReservedOn(machine));
  }
}

STORY_PROP(SchedulerProperties, AnExplanationAccountsForEachMachineOnce) {  // L3
  Asked asked;
  for (const std::string& unit : asked.world.units) {
    const auto avoid = AnyMachineToAvoid(asked);
    const auto slot = SlotOf(asked.both, avoid);
    const std::vector<UnitId> ids = {asked.both.IdOf(unit)};
    if (asked.both.scheduler.Choose(ids[0], slot)) continue;
    const Explanation explanation = asked.both.scheduler.Explain(ids, slot);
    int ruled_out = 0;
    for (const RuledOut& by : explanation.ruled_out) ruled_out += by.machines;
    RC_ASSERT(ruled_out == explanation.machines);
    const Explanation expected = asked.both.naive.Count({&unit, 1}, avoid);
    RC_ASSERT(explanation.machines == expected.machines);
    RC_ASSERT(WithoutUnits(explanation.ruled_out) == WithoutUnits(expected.ruled_out));
    RC_ASSERT(WithoutUnits(explanation.also) == WithoutUnits(expected.also));
    std::set<std::string> conflicts;
    for (const std::string& machine : asked.both.naive.PresentMachines()) {
      for (const std::string& other : asked.both.naive.Conflicts(unit, machine)) {
        conflicts.insert(other);
      }
    }
    RC_ASSERT(explanation.conflicts ==
              std::vector<std::string>(conflicts.begin(), conflicts.end()));
  }
}

STORY_PROP(SchedulerProperties, AnExplanationOfAGroupAccountsForEachMachineOnce) {
  Asked asked;
  for (int i = 0; i < 8; ++i) {
    const std::vector<std::string> group = AnyGroup(asked.tape, asked.both);
    const std::vector<UnitId> ids = asked.both.IdsOf(group);
    if (group.empty() || asked.both.scheduler.ChooseTogether(ids)) continue;
    const Explanation explanation = asked.both.scheduler.Explain(ids);
    const Explanation expected = asked.both.naive.Count(group);
    RC_LOG() << fmt::format("{}", group) << "\n";
    RC_ASSERT(explanation.machines == expected.machines);
    RC_ASSERT(WithoutUnits(explanation.ruled_out) == WithoutUnits(expected.ruled_out));
    RC_ASSERT(WithoutUnits(explanation.also) == WithoutUnits(expected.also));
  }
}

// Which unit is where against its requirements, or on a machine that is promised too much.
std::set<std::string> Violations(const Both& both) {
  std::set<std::string> violations;
  for (const std::string& unit : both.naive.Units()) {
    for (const auto& [machine, hold] : both.naive.Places(unit)) {
      if (hold != Hold::kRuns || !both.naive.IsPresent(machine)) continue;
      const std::string why = both.naive.RulesOut(unit, machine, As::kChanged);
      if (!why.empty()) violations.insert(fmt::format("{} on {}", unit, machine));
    }
  }
  return violations;
}

STORY_PROP(SchedulerProperties, NoChoiceBreaksAHardConstraint) {  // S2
  Asked asked;
  for (int i = 0; i < 20; ++i) {
    const std::set<std::string> before = Violations(asked.both);
    const std::vector<std::string> group = AnyGroup(asked.tape, asked.both);
    if (group.empty()) break;
    const auto chosen = asked.both.scheduler.ChooseTogether(asked.both.IdsOf(group));
    if (!chosen) continue;
    const std::string machine = asked.both.scheduler.MachineName(*chosen);
    for (const std::string& unit : group) asked.both.Place(unit, machine, Hold::kRuns);
    for (const std::string& violation : Violations(asked.both)) {
      RC_LOG() << violation << "\n";
      RC_ASSERT(before.contains(violation));
    }
  }
}

STORY_PROP(SchedulerProperties, IsTheSameAsOneBuiltFromTheFinalState) {
  Asked asked;
  Scheduler& scheduler = asked.both.scheduler;
  Scheduler rebuilt = asked.both.Rebuilt();
  const auto anything = [](UnitId) { return true; };
  for (const auto& group : UnitsAndGroups(asked.tape, asked.both, 4)) {
    const std::vector<UnitId> ids = asked.both.IdsOf(group);
    std::vector<UnitId> same;
    same.reserve(group.size());
    for (const std::string& unit : group) same.push_back(*rebuilt.FindUnit(unit));
    const auto name = [](const Scheduler& of, std::optional<Slot> machine) {
      return machine ? of.MachineName(*machine) : std::string("none");
    };
    RC_ASSERT(name(scheduler, scheduler.ChooseTogether(ids)) ==
              name(rebuilt, rebuilt.ChooseTogether(same)));
    RC_ASSERT(Texts(scheduler.Explain(ids)) == Texts(rebuilt.Explain(same)));
    RC_ASSERT(Texts(scheduler.Judge(ids)) == Texts(rebuilt.Judge(same)));
    const auto a = scheduler.Preempt(ids, anything);
    const auto b = rebuilt.Preempt(same, anything);
    RC_ASSERT(a.has_value() == b.has_value());
    if (!a) continue;
    RC_ASSERT(name(scheduler, a->machine) == name(rebuilt, b->machine));
    RC_ASSERT(a->victims.size() == b->victims.size());
    for (size_t i = 0; i < a->victims.size(); ++i) {
      RC_ASSERT(scheduler.UnitName(a->victims[i].unit) == rebuilt.UnitName(b->victims[i].unit));
      RC_ASSERT(name(scheduler, a->victims[i].target) == name(rebuilt, b->victims[i].target));
    }
  }
}

STORY_PROP(SchedulerProperties, AskingTwiceAnswersTheSame) {
  Asked asked;
  const Scheduler& scheduler = asked.both.scheduler;
  for (const std::string& unit : asked.world.units) {
    const std::vector<UnitId> ids = {asked.both.IdOf(unit)};
    const auto chosen = scheduler.Choose(ids[0]);
    const auto explained = Texts(scheduler.Explain(ids));
    const auto judged = Texts(scheduler.Judge(ids));
    RC_ASSERT(scheduler.Choose(ids[0]) == chosen);
    RC_ASSERT(Texts(scheduler.Explain(ids)) == explained);
    RC_ASSERT(Texts(scheduler.Judge(ids)) == judged);
    RC_ASSERT(scheduler.Choose(ids[0]) == chosen);
  }
}

}  // namespace
}  // namespace fleet::scheduler
