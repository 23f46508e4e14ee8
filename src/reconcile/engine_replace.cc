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
#include "reconcile/engine_facts.h"
#include "reconcile/engine_limits.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

EngineReconciler::Replacement EngineReconciler::JudgeReplacer(const Group& group,
                                                              std::vector<Decision>& decisions) {
  bool has_to_wait = false;
  std::string without_alternative;
  for (const Member& member : group) {
    // It holds for the first placement only.
    if (member.requirements->replaces.empty() || !member.placed.empty()) continue;
    const std::string circle = CircleOfReplacers(member.unit, *member.requirements);
    if (!circle.empty()) {
      RefuseGroup(group, Origin{}, circle, decisions);
      return {.is_decided = true};
    }
    for (const std::string& victim : UnitsMatching(member.requirements->replaces)) {
      const bool is_member = std::any_of(group.begin(), group.end(),
                                         [&](const Member& one) { return one.unit == victim; });
      if (is_member || occupancy_.IsGlobal(victim)) continue;
      if (IsBeingMoved(victim)) {
        has_to_wait = true;
      } else if (TakesMachineOf(victim, member, group, decisions)) {
        return {.is_decided = true};
      } else if (without_alternative.empty() && IsPlaced(victim)) {
        without_alternative = victim;
      }
    }
  }
  if (has_to_wait) {
    for (const Member& member : group) HoldBack(member.unit);
    return {.is_decided = true};
  }
  if (without_alternative.empty()) return {};
  return {.note = fmt::format("Replaces has no effect: {} cannot leave its machine to it",
                              without_alternative)};
}

// Moves `victim` off its machine and reserves that for the replacer and all that share its machine.
// False, and nothing is done, if one of them has no machine to go to.
bool EngineReconciler::TakesMachineOf(const std::string& victim, const Member& replacer,
                                      const Group& group, std::vector<Decision>& decisions) {
  const auto its = FindMember(victim);
  if (!its || group.size() > kMaxTogether) return false;
  const auto live = LiveOf(*its);
  if (!live) return false;
  // What follows it would have to go along, or stop.
  for (const std::string& follower : occupancy_.FollowersOf(victim)) {
    if (IsPlaced(follower)) return false;
  }
  const auto* machine = view_->machines.Find(live->machine);
  if (machine == nullptr || machine->value.leaving) return false;
  if (FollowsOneInFlight({*its})) return false;
  const scheduler::UnitId without[] = {its->id};
  if (!occupancy_.RulesOutTogether(IdsOf(group), live->machine, without).empty()) return false;
  // Where it can go once the others are there.
  std::vector<std::pair<scheduler::UnitId, Occupancy::Places>> before;
  for (const scheduler::UnitId id : IdsOf(group)) {
    before.emplace_back(id, occupancy_.PretendOnlyOn(id, live->machine));
  }
  const auto target = ChooseFor({*its}, live->machine);
  for (const auto& [id, places] : before) occupancy_.Restore(id, places);
  if (!target) return false;

  Decision decision = Begin();
  AddUnit(decision, victim);
  decision.events.push_back(
      {"moving", victim, live->machine, fmt::format("{} replaces it", replacer.unit)});
  GuardUnit(decision, victim);
  PutTombstone(decision, victim, *live, *target);
  GuardTarget(decision, *target);
  GuardFollowed(decision, *its->requirements, *target);
  Nominate(decision, group, live->machine);
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

bool EngineReconciler::IsBeingMoved(const std::string& unit) const {
  if (in_flight_.contains(unit)) return true;
  if (occupancy_.IsGlobal(unit)) return false;
  const auto* record = view_->units.Find(unit);
  if (record == nullptr || record->value.desired == DesiredState::kInactive) return false;
  if (!record->value.nominated_machine.empty()) return true;
  bool has_target = false;
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
