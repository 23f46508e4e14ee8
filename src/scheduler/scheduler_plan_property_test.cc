// What the scheduler proposes, carried out on the naive one: remedies, preemptions, rebalancing.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "gtest/gtest.h"
#include "scheduler/scheduler.h"
#include "scheduler/testing/any_tape.h"
#include "scheduler/testing/naive.h"
#include "scheduler/testing/random_cluster.h"

namespace fleet::scheduler {
namespace {

void Change(Naive& naive, const std::string& unit,
            const std::function<void(Requirements&)>& change) {
  auto requirements = std::make_shared<Requirements>(naive.RequirementsOf(unit));
  change(*requirements);
  naive.SetUnit(unit, requirements);
}

void Apply(Naive& naive, const Both& both, const Remedy& remedy) {
  const std::string& unit = remedy.of;
  const Within within = {remedy.key, remedy.name};
  switch (remedy.kind) {
    case Remedy::Kind::kMetadata:
      Change(naive, unit, [&](Requirements& r) { RC_ASSERT(r.metadata.erase(remedy.key) == 1U); });
      break;
    case Remedy::Kind::kMachineId:
      Change(naive, unit, [&](Requirements& r) { r.machine_id.clear(); });
      break;
    case Remedy::Kind::kMachineOf:
      Change(naive, unit,
             [&](Requirements& r) { RC_ASSERT(std::erase(r.machine_of, remedy.name) == 1U); });
      break;
    case Remedy::Kind::kCollocate:
      Change(naive, unit,
             [&](Requirements& r) { RC_ASSERT(std::erase(r.collocate_within, within) == 1U); });
      break;
    case Remedy::Kind::kWithoutUnit:
      for (const auto& [machine, hold] : naive.Places(remedy.name)) {
        naive.Unplace(remedy.name, machine);
      }
      break;
    case Remedy::Kind::kReserveCpu:
      Change(naive, unit, [&](Requirements& r) { r.reserve_milli_cores = remedy.amount; });
      break;
    case Remedy::Kind::kReserveMemory:
      Change(naive, unit, [&](Requirements& r) { r.reserve_memory = remedy.amount; });
      break;
    case Remedy::Kind::kUncordon: {
      const auto found = std::find_if(both.machines().begin(), both.machines().end(),
                                      [&](const Machine& m) { return m.id == remedy.name; });
      RC_ASSERT(found != both.machines().end());
      Machine machine = *found;
      RC_ASSERT(!machine.schedulable);
      machine.schedulable = true;
      naive.SetMachine(machine);
      break;
    }
  }
}

STORY_PROP(SchedulerPlans, EachRemedyMakesTheUnitPlaceable) {
  Asked asked;
  for (const auto& group : UnitsAndGroups(asked.tape, asked.both, 6)) {
    const std::vector<UnitId> ids = asked.both.IdsOf(group);
    if (asked.both.scheduler.ChooseTogether(ids)) continue;
    const Explanation explanation = asked.both.scheduler.Explain(ids);
    for (const Remedy& remedy : explanation.remedies) {
      Naive changed = asked.both.naive;
      Apply(changed, asked.both, remedy);
      const auto eligible = static_cast<int>(changed.Eligible(group).size());
      RC_LOG() << fmt::format("{}: {}: {} eligible\n", group, remedy.text, eligible);
      RC_ASSERT(remedy.machines > 0);
      // Without a unit there may be room, too.
      if (remedy.kind == Remedy::Kind::kWithoutUnit) RC_ASSERT(eligible >= remedy.machines);
      if (remedy.kind != Remedy::Kind::kWithoutUnit) RC_ASSERT(eligible == remedy.machines);
    }
  }
}

using RemedyKey = std::tuple<Remedy::Kind, std::string, std::string, std::string>;

// The changes of requirements that would help, by trying each.
std::set<RemedyKey> ChangesThatHelp(const Naive& naive, const std::vector<std::string>& group) {
  std::set<RemedyKey> keys;
  for (const std::string& unit : group) {
    const Requirements& r = naive.RequirementsOf(unit);
    for (const auto& [key, values] : r.metadata) {
      keys.insert({Remedy::Kind::kMetadata, unit, key, ""});
    }
    if (!r.machine_id.empty()) keys.insert({Remedy::Kind::kMachineId, unit, "", r.machine_id});
    for (const std::string& name : r.machine_of) {
      keys.insert({Remedy::Kind::kMachineOf, unit, "", name});
    }
    for (const Within& within : r.collocate_within) {
      keys.insert({Remedy::Kind::kCollocate, unit, within.key, within.name});
    }
  }
  std::erase_if(keys, [&](const RemedyKey& key) {
    const auto& [kind, unit, metadata_key, name] = key;
    Naive changed = naive;
    Change(changed, unit, [&](Requirements& r) {
      if (kind == Remedy::Kind::kMetadata) r.metadata.erase(metadata_key);
      if (kind == Remedy::Kind::kMachineId) r.machine_id.clear();
      if (kind == Remedy::Kind::kMachineOf) std::erase(r.machine_of, name);
      if (kind == Remedy::Kind::kCollocate) {
        std::erase(r.collocate_within, Within{metadata_key, name});
      }
    });
    return changed.Eligible(group).empty();
  });
  return keys;
}

STORY_PROP(SchedulerPlans, NoRemedyIsForgotten) {
  Asked asked;
  for (const auto& group : UnitsAndGroups(asked.tape, asked.both, 3)) {
    if (asked.both.naive.Choose(group)) continue;
    std::set<RemedyKey> changes;
    bool less_cores = false;
    bool less_memory = false;
    std::set<std::string> uncordon;
    for (const Remedy& remedy : asked.both.scheduler.Explain(asked.both.IdsOf(group)).remedies) {
      RC_LOG() << fmt::format("{}: {}\n", group, remedy.text);
      if (remedy.kind == Remedy::Kind::kReserveCpu) less_cores = true;
      if (remedy.kind == Remedy::Kind::kReserveMemory) less_memory = true;
      if (remedy.kind == Remedy::Kind::kUncordon) uncordon.insert(remedy.name);
      if (remedy.kind <= Remedy::Kind::kCollocate) {
        changes.insert({remedy.kind, remedy.of, remedy.key, remedy.name});
      }
    }
    RC_ASSERT(changes == ChangesThatHelp(asked.both.naive, group));
    std::set<std::string> only_cordoned;
    for (const Verdict& verdict : asked.both.naive.Judge(group)) {
      if (verdict.ruled_out_by.size() != 1) continue;
      const std::string& why = verdict.ruled_out_by[0];
      if (why == kNotSchedulableText && only_cordoned.size() < 3) {
        only_cordoned.insert(verdict.machine);
      }
      if (group.size() > 1) continue;  // it may not be enough if one of them reserves less
      if (why.starts_with("ReserveCPU")) RC_ASSERT(less_cores);
      if (why.starts_with("ReserveMemory")) RC_ASSERT(less_memory);
    }
    RC_ASSERT(uncordon == only_cordoned);
  }
}

// The best preemption by trying each subset of the units on each machine: the lowest that the
// highest priority of a victim can be, and the machines where it is so. nullopt: none helps.
struct BestPreemption {
  int64_t highest = 0;
  std::set<std::string> machines;
};

using MayGo = std::set<std::string>;

std::vector<std::string> PossibleVictims(const Naive& naive, const std::vector<std::string>& group,
                                         const std::string& machine, const MayGo& may_go) {
  int64_t priority = std::numeric_limits<int64_t>::max();
  for (const std::string& unit : group) {
    priority = std::min(priority, naive.RequirementsOf(unit).priority);
  }
  std::set<std::string> needed(group.begin(), group.end());  // the group, and what it follows
  for (const std::string& unit : group) {
    const Requirements& requirements = naive.RequirementsOf(unit);
    needed.insert(requirements.machine_of.begin(), requirements.machine_of.end());
    for (const Within& within : requirements.collocate_within) needed.insert(within.name);
  }
  std::vector<std::string> possible;
  for (const std::string& unit : naive.Units()) {
    const Requirements& requirements = naive.RequirementsOf(unit);
    const auto places = naive.Places(unit);
    const auto place = places.find(machine);
    if (place != places.end() && place->second == Hold::kRuns && requirements.Reserves() &&
        requirements.priority < priority && may_go.contains(unit) && !needed.contains(unit)) {
      possible.push_back(unit);
    }
  }
  return possible;
}

bool FitsWithout(const Naive& naive, const std::vector<std::string>& group,
                 const std::string& machine, const std::vector<std::string>& gone) {
  Naive changed = naive;
  for (const std::string& unit : gone) changed.Unplace(unit, machine);
  const std::vector<std::string> eligible = changed.Eligible(group);
  return std::find(eligible.begin(), eligible.end(), machine) != eligible.end();
}

bool OnlyLacksRoom(const Verdict& verdict) {
  return std::all_of(
      verdict.ruled_out_by.begin(), verdict.ruled_out_by.end(),
      [](const std::string& constraint) { return constraint.starts_with("Reserve"); });
}

std::optional<BestPreemption> TryAll(const Naive& naive, const std::vector<std::string>& group,
                                     const MayGo& may_go) {
  std::optional<BestPreemption> best;
  for (const Verdict& verdict : naive.Judge(group)) {
    const std::string& machine = verdict.machine;
    if (!OnlyLacksRoom(verdict)) continue;
    const std::vector<std::string> possible = PossibleVictims(naive, group, machine, may_go);
    if (possible.size() > 6 || !FitsWithout(naive, group, machine, possible)) continue;
    for (size_t subset = 1; subset < (size_t{1} << possible.size()); ++subset) {
      std::vector<std::string> victims;
      int64_t highest = std::numeric_limits<int64_t>::min();
      for (size_t i = 0; i < possible.size(); ++i) {
        if ((subset >> i & 1) == 0) continue;
        victims.push_back(possible[i]);
        highest = std::max(highest, naive.RequirementsOf(possible[i]).priority);
      }
      if ((best && best->highest < highest) || !FitsWithout(naive, group, machine, victims)) {
        continue;
      }
      if (!best || highest < best->highest) best = {highest, {}};
      best->machines.insert(machine);
    }
  }
  return best;
}

STORY_PROP(SchedulerPlans, APreemptionIsTheLeastThatHelps) {
  Asked asked;
  const Naive& naive = asked.both.naive;
  MayGo may_go;
  for (const std::string& unit : asked.world.units) {
    if (!asked.tape.OneIn(8)) may_go.insert(unit);
  }
  for (const auto& group : UnitsAndGroups(asked.tape, asked.both, 3)) {
    if (naive.RequirementsOf(group[0]).global) continue;
    const auto preemption = asked.both.scheduler.Preempt(asked.both.IdsOf(group), [&](UnitId unit) {
      return may_go.contains(asked.both.scheduler.UnitName(unit));
    });
    RC_LOG() << fmt::format("{}\n", group);
    if (naive.Choose(group)) continue;
    const auto best = TryAll(naive, group, may_go);
    RC_ASSERT(preemption.has_value() == best.has_value());
    if (!preemption) continue;
    const std::string machine = asked.both.scheduler.MachineName(preemption->machine);
    std::vector<std::string> victims;
    int64_t highest = std::numeric_limits<int64_t>::min();
    for (const Victim& victim : preemption->victims) {
      victims.push_back(asked.both.scheduler.UnitName(victim.unit));
      highest = std::max(highest, naive.RequirementsOf(victims.back()).priority);
    }
    RC_LOG() << fmt::format("{} from {}\n", victims, machine);
    RC_ASSERT(std::is_sorted(victims.begin(), victims.end()));
    const std::vector<std::string> possible = PossibleVictims(naive, group, machine, may_go);
    for (const std::string& victim : victims) {
      RC_ASSERT(std::find(possible.begin(), possible.end(), victim) != possible.end());
      std::vector<std::string> others = victims;
      std::erase(others, victim);
      RC_ASSERT(!FitsWithout(naive, group, machine, others));
    }
    RC_ASSERT(FitsWithout(naive, group, machine, victims));
    RC_ASSERT(highest == best->highest);
    RC_ASSERT(best->machines.contains(machine));
  }
}

STORY_PROP(SchedulerPlans, VictimsGoWhereTheyMayOnceTheOtherIsPlaced) {
  Asked asked;
  for (const std::string& unit : asked.world.units) {
    if (asked.both.naive.RequirementsOf(unit).global) continue;
    const auto preemption = asked.both.scheduler.Preempt(std::vector{asked.both.IdOf(unit)},
                                                         [](UnitId) { return true; });
    if (!preemption) continue;
    Naive changed = asked.both.naive;
    const std::string machine = asked.both.scheduler.MachineName(preemption->machine);
    std::vector<Victim> victims = preemption->victims;
    std::sort(victims.begin(), victims.end(), [&](const Victim& a, const Victim& b) {
      const Scheduler& scheduler = asked.both.scheduler;
      return std::pair(-scheduler.RequirementsOf(a.unit).priority, scheduler.UnitName(a.unit)) <
             std::pair(-scheduler.RequirementsOf(b.unit).priority, scheduler.UnitName(b.unit));
    });
    changed.Place(unit, machine, Hold::kRuns);
    for (const Victim& victim : victims) {
      const std::string name = asked.both.scheduler.UnitName(victim.unit);
      const auto target = asked.both.NameOf(victim.target);
      RC_LOG() << fmt::format("{}: {} from {} to {}\n", unit, name, machine, target.value_or("-"));
      if (changed.RequirementsOf(name).global) {
        RC_ASSERT(!target);
      } else {
        RC_ASSERT(target == changed.Choose({&name, 1}, machine));
      }
      if (target) changed.Place(name, *target, Hold::kRuns);
    }
  }
}

// Which unit is where against its requirements.
std::set<std::string> Violations(const Naive& naive) {
  std::set<std::string> violations;
  for (const std::string& unit : naive.Units()) {
    for (const auto& [machine, hold] : naive.Places(unit)) {
      if (hold != Hold::kRuns || !naive.IsPresent(machine)) continue;
      const std::string why = naive.RulesOut(unit, machine, As::kChanged);
      if (!why.empty()) violations.insert(fmt::format("{} on {}", unit, machine));
    }
  }
  return violations;
}

void CarryOut(Both& both, const std::vector<Move>& moves, const std::set<std::string>& may_move) {
  std::set<std::string> moved;
  for (const Move& move : moves) {
    const std::string unit = both.scheduler.UnitName(move.unit);
    const std::string from = both.scheduler.MachineName(move.from);
    const std::string to = both.scheduler.MachineName(move.to);
    RC_LOG() << fmt::format("{}: {} → {}: {}\n", unit, from, to, move.reason);
    RC_ASSERT(moved.insert(unit).second);
    RC_ASSERT(may_move.contains(unit));
    RC_ASSERT(!both.naive.RequirementsOf(unit).global);
    RC_ASSERT(both.naive.Places(unit) == (std::map<std::string, Hold>{{from, Hold::kRuns}}));
    const std::vector<std::string> eligible = both.naive.Eligible({&unit, 1});
    RC_ASSERT(std::find(eligible.begin(), eligible.end(), to) != eligible.end());
    const std::set<std::string> before = Violations(both.naive);
    both.Unplace(unit, from);
    both.Place(unit, to, Hold::kRuns);
    for (const std::string& violation : Violations(both.naive)) {
      RC_LOG() << violation << "\n";
      RC_ASSERT(before.contains(violation));
    }
  }
}

STORY_PROP(SchedulerPlans, RebalancingBreaksNothingAndIsDoneWhenItIsDone) {
  Asked asked;
  Both& both = asked.both;
  std::set<std::string> units;
  for (const std::string& unit : asked.world.units) {
    if (!asked.tape.OneIn(8)) units.insert(unit);
  }
  const auto may_move = [&](UnitId unit) { return units.contains(both.scheduler.UnitName(unit)); };
  const size_t max_moves = asked.tape.Below(6);
  const std::vector<Move> some = both.scheduler.Rebalance(max_moves, may_move);
  RC_ASSERT(some.size() <= max_moves);
  CarryOut(both, some, units);
  CarryOut(both, both.scheduler.Rebalance(1000, may_move), units);
  for (const Move& move : both.scheduler.Rebalance(1000, may_move)) {
    RC_LOG() << fmt::format("again {}: {} → {}: {}\n", both.scheduler.UnitName(move.unit),
                            both.scheduler.MachineName(move.from),
                            both.scheduler.MachineName(move.to), move.reason);
    RC_FAIL("a second run moves something");
  }
}

// What the naive one knows of a machine for a unit.
Score ScoreAt(const Naive& naive, const std::string& unit, const std::string& machine) {
  for (const Verdict& verdict : naive.Judge({&unit, 1})) {
    if (verdict.machine == machine) return verdict.score;
  }
  return {};
}

// Without conflicts, and with room for everybody: otherwise two units may have to change places,
// which a rebalance does not do.
void MakePeace(Both& both) {
  for (const std::string& unit : both.naive.Units()) {
    auto requirements = std::make_shared<Requirements>(both.naive.RequirementsOf(unit));
    requirements->conflicts.clear();
    requirements->conflicts_within.clear();
    both.SetUnit(unit, requirements);
  }
  const std::vector<Machine> machines = both.machines();
  for (Machine machine : machines) {
    machine.capacity = {100, 100};
    both.SetMachine(machine);
  }
}

STORY_PROP(SchedulerPlans, AfterRebalancingNoUnitHasAClearlyBetterMachine) {
  Asked asked;
  Both& both = asked.both;
  MakePeace(both);
  const std::set<std::string> all(asked.world.units.begin(), asked.world.units.end());
  CarryOut(both, both.scheduler.Rebalance(1000, [](UnitId) { return true; }), all);
  std::set<std::string> followed;  // which may have to stay for others
  for (const std::string& unit : asked.world.units) {
    const Requirements& requirements = both.naive.RequirementsOf(unit);
    followed.insert(requirements.machine_of.begin(), requirements.machine_of.end());
    for (const Within& within : requirements.collocate_within) followed.insert(within.name);
  }
  for (const std::string& unit : asked.world.units) {
    const auto places = both.naive.Places(unit);
    if (places.size() != 1 || places.begin()->second != Hold::kRuns || followed.contains(unit) ||
        both.naive.RequirementsOf(unit).global || !both.naive.IsPresent(places.begin()->first)) {
      continue;
    }
    const std::string& from = places.begin()->first;
    const auto best = both.naive.Choose({&unit, 1}, from);
    if (!best) continue;
    const Score here = ScoreAt(both.naive, unit, from);
    const Score there = ScoreAt(both.naive, unit, *best);
    RC_LOG() << fmt::format("{}: {} → {}\n", unit, from, *best);
    RC_ASSERT(there.spread >= here.spread);
    if (there.spread > here.spread || asked.both.placement() == Placement::kPack) continue;
    const int64_t weight = both.naive.RequirementsOf(unit).weight;
    // Loads are without the unit itself.
    if (!here.by_share) RC_ASSERT(there.load + weight >= here.load + weight);
  }
}

STORY_PROP(SchedulerPlans, PreemptingOnlyAsksAndDoesNotChangeAnything) {
  Asked asked;
  Both& both = asked.both;
  for (int i = 0; i < 8; ++i) {
    const std::vector<std::string> group = AnyGroup(asked.tape, both);
    if (!group.empty()) both.scheduler.Preempt(both.IdsOf(group), [](UnitId) { return true; });
  }
  for (const std::string& unit : asked.world.units) {
    std::vector<std::string> occupies;
    std::vector<std::string> runs_on;
    for (const auto& [machine, hold] : both.naive.Places(unit)) {
      occupies.push_back(machine);
      if (hold == Hold::kRuns) runs_on.push_back(machine);
    }
    RC_ASSERT(both.MachineNamesOf(both.scheduler.Occupies(both.IdOf(unit))) == occupies);
    RC_ASSERT(both.MachineNamesOf(both.scheduler.RunsOn(both.IdOf(unit))) == runs_on);
    RC_ASSERT(both.Choose(unit) == both.naive.Choose({&unit, 1}));
  }
}

STORY_PROP(SchedulerPlans, RebalancingOnlyAsksAndDoesNotChangeAnything) {
  Asked asked;
  Both& both = asked.both;
  const auto anything = [](UnitId) { return true; };
  const std::vector<Move> first = both.scheduler.Rebalance(1000, anything);
  for (const std::string& unit : asked.world.units) {
    std::vector<std::string> occupies;
    for (const auto& [machine, hold] : both.naive.Places(unit)) occupies.push_back(machine);
    RC_ASSERT(both.MachineNamesOf(both.scheduler.Occupies(both.IdOf(unit))) == occupies);
    RC_ASSERT(both.Choose(unit) == both.naive.Choose({&unit, 1}));
  }
  const std::vector<Move> second = both.scheduler.Rebalance(1000, anything);
  RC_ASSERT(first.size() == second.size());
  Scheduler rebuilt = both.Rebuilt();
  const std::vector<Move> third = rebuilt.Rebalance(1000, anything);
  RC_ASSERT(first.size() == third.size());
  for (size_t i = 0; i < first.size(); ++i) {
    RC_ASSERT(first[i].unit == second[i].unit);
    RC_ASSERT(first[i].to == second[i].to);
    RC_ASSERT(both.scheduler.UnitName(first[i].unit) == rebuilt.UnitName(third[i].unit));
    RC_ASSERT(both.scheduler.MachineName(first[i].from) == rebuilt.MachineName(third[i].from));
    RC_ASSERT(both.scheduler.MachineName(first[i].to) == rebuilt.MachineName(third[i].to));
    RC_ASSERT(first[i].reason == third[i].reason);
  }
}

}  // namespace
}  // namespace fleet::scheduler
