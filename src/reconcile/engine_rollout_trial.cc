// Whether units have a place with the text that a rollout is about to bring: what the engine asks
// once they have it is asked before, so that nothing that runs is stopped for a text that fits
// nowhere. See engine_reconciler.h for the whole.

#include <algorithm>
#include <optional>
#include <utility>

#include "fmt/core.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

// Pretends that it has been brought, and that the unit has gone where it has to go: what comes
// next finds less room.
void EngineReconciler::TryStep(const RolloutStep& step, bool others_move, RolloutTrial& trial) {
  const RolloutRecord& rollout = view_->rollouts.Find(step.name)->value;
  Stored<UnitRecord> record = *view_->units.Find(step.unit);
  Member member = {.unit = step.unit, .record = &record, .placed = AssignmentsOf(step.unit)};
  if (rollout.restarts) return;
  const auto live = LiveOf(member);
  const auto* machine = live ? view_->machines.Find(live->machine) : nullptr;
  const bool stands = machine != nullptr && !machine->value.leaving;
  if (!stands && !HasAPlace(step.unit)) return;  // with the text that it has neither

  trial.texts.push_back(step.unit);
  const auto requirements = occupancy_.PretendText(*view_, step.unit, rollout.content_hash);
  if (!requirements.ok()) {
    trial.no_place = fmt::format("{} goes on with the text that it has: {}", step.unit,
                                 std::string(requirements.status().message()));
    return;
  }
  pretended_.insert_or_assign(step.unit, rollout.content_hash);
  record.value = WithText(std::move(record.value), rollout.content_hash, **requirements);
  member.requirements = *requirements;
  member.id = occupancy_.IdOf(step.unit);
  if (!stands) {
    if (ChooseFor({member}, "") || WhatWouldBePushedOut({member})) return;
    trial.no_place = fmt::format(
        "{} does not run now, and would have no place with the text that is brought: {}", step.unit,
        WhyNowhere({member}));
    return;
  }
  const std::string why = MustLeave(member, *live);
  if (why.empty()) return;

  const Group group = GroupOn(member, live->machine);
  const bool in_flight = std::any_of(
      group.begin(), group.end(), [&](const Member& one) { return in_flight_.contains(one.unit); });
  trial.has_to_wait = others_move || in_flight || FollowsOneInFlight(group);
  if (trial.has_to_wait) return;
  if (const auto target = ChooseFor(group, live->machine)) {
    for (const Member& one : group) {
      trial.moves.push_back({one.id, occupancy_.PretendAlsoOn(one.id, *target), *target});
    }
    return;
  }
  if (HasAPlaceOnceOthersHaveGone(member, group, *live, trial)) {
    trial.has_to_wait = true;
    return;
  }
  // It would be stopped with those that follow it. Then nothing of its former text is left, which
  // may ask for more, and others may have to go for it.
  const Group stopped = FollowersWithin(group, step.unit);
  occupancy_.scheduler().SetUnit(step.unit, *requirements);
  if (ChooseFor(stopped, "") || WhatWouldBePushedOut(stopped)) return;
  trial.no_place = fmt::format(
      "{} goes on with the text that it has: with the one that is brought it may not stay on {} "
      "({}), and {}",
      step.unit, live->machine, why, WhyNowhere(stopped));
}

// Those whose turn is the same leave room where they are.
bool EngineReconciler::HasAPlaceOnceOthersHaveGone(const Member& member, const Group& group,
                                                   const Placed& live, const RolloutTrial& trial) {
  if (trial.moves.empty()) return false;
  std::vector<Occupancy::Places> before;
  before.reserve(trial.moves.size());
  for (const RolloutTrial::Move& move : trial.moves) {
    before.push_back(occupancy_.PretendOnlyOn(move.id, move.to));
  }
  const bool has_a_place =
      MustLeave(member, live).empty() || ChooseFor(group, live.machine).has_value();
  for (size_t i = 0; i < before.size(); ++i) occupancy_.Restore(trial.moves[i].id, before[i]);
  return has_a_place;
}

// Whether there is a machine for the unit with the text that it has.
bool EngineReconciler::HasAPlace(const std::string& unit) {
  const auto known = FindMember(unit);
  return known && (ChooseFor({*known}, "") || WhatWouldBePushedOut({*known}));
}

std::string EngineReconciler::WhyNowhere(const Group& group) {
  return occupancy_.scheduler()
      .Explain(IdsOf(group), std::nullopt, scheduler::Detail::kCounts)
      .Summary();
}

// All is as the view and what is in flight say.
void EngineReconciler::EndTrial(const RolloutTrial& trial) {
  pretended_.clear();
  for (auto it = trial.moves.rbegin(); it != trial.moves.rend(); ++it) {
    occupancy_.Restore(it->id, it->before);
  }
  for (const std::string& unit : trial.texts) {
    const std::string& hash = view_->units.Find(unit)->value.content_hash;
    static_cast<void>(occupancy_.PretendText(*view_, unit, hash));
  }
}

}  // namespace fleet::reconcile
