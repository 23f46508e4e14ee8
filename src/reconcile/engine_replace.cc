// Replaces: a unit that is placed for the first time takes the machine of one that it replaces, if
// that one has somewhere else to go. The machine is reserved for it in its record
// (`nominated_machine`) in the transaction that begins the other's move, and it starts there once
// the other has reported that it is gone. Afterwards Replaces has no effect on it any more.

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "absl/strings/str_join.h"
#include "base/glob.h"
#include "fmt/core.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

namespace {

bool MatchesOne(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return GlobMatches(glob, name); });
}

}  // namespace

EngineReconciler::Replacement EngineReconciler::JudgeReplacer(const std::string& unit,
                                                              const Stored<UnitRecord>& record,
                                                              const Requirements& requirements,
                                                              std::vector<Decision>& decisions) {
  if (!record.value.nominated_machine.empty()) {
    return JudgeNominated(unit, record.value, requirements);
  }
  if (requirements.replaces.empty()) return {};
  const std::string circle = CircleOfReplacers(unit, requirements);
  if (!circle.empty()) {
    Refuse(unit, record, circle, decisions);
    return {.is_decided = true};
  }
  bool has_to_wait = false;
  std::string without_alternative;
  for (const std::string& victim : UnitsMatching(requirements.replaces)) {
    if (victim == unit || occupancy_.IsGlobal(victim)) continue;
    if (IsBeingMoved(victim)) {
      has_to_wait = true;
    } else if (TakesMachineOf(victim, unit, record, requirements, decisions)) {
      return {.is_decided = true};
    } else if (without_alternative.empty() && IsPlaced(victim)) {
      without_alternative = victim;
    }
  }
  if (has_to_wait) {
    HoldBack(unit);
    return {.is_decided = true};
  }
  if (without_alternative.empty()) return {};
  return {.note = fmt::format("Replaces has no effect: {} cannot leave its machine to it",
                              without_alternative)};
}

EngineReconciler::Replacement EngineReconciler::JudgeNominated(const std::string& unit,
                                                               const UnitRecord& record,
                                                               const Requirements& requirements) {
  const std::string& machine = record.nominated_machine;
  if (view_->machines.Find(machine) == nullptr) {
    if (IsLost(machine)) return {.note = fmt::format("machine {} is lost", machine)};
    at_wakeup_.insert(unit);
    return {.is_decided = true};
  }
  for (const std::string& replaced : UnitsMatching(requirements.replaces)) {
    const auto* stored = view_->assignments.Find(UnitOnMachine{replaced, machine});
    const bool may_run = stored != nullptr && stored->value.state == AssignmentState::kGone &&
                         !ReportedGone(*view_, replaced, machine, stored->value);
    if (!may_run && !(stored != nullptr && in_flight_.contains(replaced))) continue;
    HoldBack(unit);
    return {.is_decided = true};
  }
  const std::string why =
      occupancy_.scheduler().RulesOut(unit, requirements, machine, /*newcomer=*/true);
  if (why.empty()) return {.machine = machine};
  return {.note = fmt::format("machine {}, reserved for it, is ruled out by {}", machine, why)};
}

// Moves `victim` off its machine and reserves that for `unit`. False, and nothing is done, if one
// of them has no machine to go to.
bool EngineReconciler::TakesMachineOf(const std::string& victim, const std::string& unit,
                                      const Stored<UnitRecord>& record,
                                      const Requirements& requirements,
                                      std::vector<Decision>& decisions) {
  const auto placed = AssignmentsOf(victim);
  const auto live = std::find_if(placed.begin(), placed.end(), [](const Placed& one) {
    return one.stored->value.state != AssignmentState::kGone;
  });
  const auto* victim_record = view_->units.Find(victim);
  if (live == placed.end() || victim_record == nullptr) return false;
  // What follows it would have to go along, or stop.
  for (const std::string& follower : occupancy_.FollowersOf(victim)) {
    if (IsPlaced(follower)) return false;
  }
  const auto* machine = view_->machines.Find(live->machine);
  if (machine == nullptr || machine->value.leaving) return false;
  const auto its = occupancy_.RequirementsOf(*view_, victim, victim_record->value.content_hash);
  if (!its.ok() || FollowsOneInFlight(**its)) return false;
  if (!occupancy_.RulesOutWithout(victim, unit, requirements, live->machine).empty()) return false;
  const auto choice = occupancy_.scheduler().Choose(victim, **its, live->machine);
  if (!choice.machine) return false;

  Decision decision =
      Begin(victim, {"moving", victim, live->machine, fmt::format("{} replaces it", unit)});
  decision.other_unit = unit;
  GuardUnit(decision, victim);
  GuardUnit(decision, unit);
  PutTombstone(decision, *live, *choice.machine);
  GuardTarget(decision, *choice.machine);
  GuardFollowed(decision, **its, *choice.machine);
  GuardTarget(decision, live->machine);
  GuardFollowed(decision, requirements, live->machine);
  UnitRecord nominated = record.value;
  nominated.refusal.clear();
  nominated.nominated_machine = live->machine;
  decision.writes.emplace_back(PutUnit{unit, std::move(nominated)});
  Emit(std::move(decision), decisions);
  return true;
}

// Registered units whose name one of the globs matches, in the order of their names.
std::vector<std::string> EngineReconciler::UnitsMatching(
    const std::vector<std::string>& globs) const {
  std::set<std::string> names;
  for (const std::string& glob : globs) {
    const std::string prefix(GlobLiteralPrefix(glob));
    for (auto it = view_->units.lower_bound(prefix);
         it != view_->units.end() && it->first.starts_with(prefix); ++it) {
      if (GlobMatches(glob, it->first)) names.insert(it->first);
    }
  }
  return {names.begin(), names.end()};
}

bool EngineReconciler::IsPlaced(const std::string& unit) const {
  const auto* record = view_->units.Find(unit);
  if (record != nullptr && !record->value.nominated_machine.empty()) return true;
  const auto placed = AssignmentsOf(unit);
  return std::any_of(placed.begin(), placed.end(), [](const Placed& one) {
    return one.stored->value.state != AssignmentState::kGone;
  });
}

bool EngineReconciler::IsBeingMoved(const std::string& unit) const {
  if (in_flight_.contains(unit)) return true;
  const auto* record = view_->units.Find(unit);
  if (record == nullptr || record->value.desired == DesiredState::kInactive) return false;
  bool has_target = !record->value.nominated_machine.empty();
  for (const Placed& placed : AssignmentsOf(unit)) {
    if (placed.stored->value.state != AssignmentState::kGone) return false;
    has_target = has_target || !placed.stored->value.next_machine.empty();
  }
  return has_target;
}

// What forbids to place a unit that replaces, over any number of others, one that is placed and
// replaces it in turn: each would push the other away for ever. Empty if nothing does.
std::string EngineReconciler::CircleOfReplacers(const std::string& unit,
                                                const Requirements& requirements) {
  std::map<std::string, std::vector<std::string>> globs;  // of the units that are wanted
  for (const std::string& replacer : occupancy_.replacers()) {
    const auto* record = view_->units.Find(replacer);
    if (record == nullptr || record->value.desired == DesiredState::kInactive) continue;
    const auto its = occupancy_.RequirementsOf(*view_, replacer, record->value.content_hash);
    if (its.ok()) globs.emplace(replacer, (*its)->replaces);
  }
  globs[unit] = requirements.replaces;
  // From whom each unit is reached; `from` itself only over others.
  const auto reach = [&](const std::string& from) {
    std::map<std::string, std::string> reached;
    std::deque<std::string> next = {from};
    for (; !next.empty(); next.pop_front()) {
      for (const auto& [other, its] : globs) {
        if (other == next.front() || reached.contains(other)) continue;
        if (!MatchesOne(globs.at(next.front()), other)) continue;
        reached.emplace(other, next.front());
        if (other != from) next.push_back(other);
      }
    }
    return reached;
  };
  const auto path = [](const std::map<std::string, std::string>& reached, const std::string& from,
                       const std::string& to) {
    std::vector<std::string> names = {to};
    while (names.back() != from) names.push_back(reached.at(names.back()));
    std::reverse(names.begin(), names.end());
    return names;
  };
  const auto reached = reach(unit);
  if (!reached.contains(unit)) return {};
  for (const auto& [other, by] : reached) {
    if (other == unit || !IsPlaced(other)) continue;
    const auto back = reach(other);
    if (!back.contains(unit)) continue;
    std::vector<std::string> circle = path(reached, unit, other);
    const auto rest = path(back, other, unit);
    circle.insert(circle.end(), rest.begin() + 1, rest.end());
    return fmt::format("Replaces leads in a circle ({}), and {} is placed already",
                       absl::StrJoin(circle, " -> "), other);
  }
  return {};
}

}  // namespace fleet::reconcile
