// Moves that nobody needs, for the sake of balance: a unit's `move_to` names the machine that it is
// to go to, and the engine carries that out within the disruption budget (engine_drain.cc). See
// engine_reconciler.h for the whole.

#include <algorithm>
#include <limits>
#include <utility>

#include "fmt/core.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/planner.h"

namespace fleet::reconcile {

namespace {

// So many moves have to be worth while before running units are moved without being asked to.
constexpr size_t kClearGain = 2;

}  // namespace

void EngineReconciler::SyncMover(const std::string& unit) {
  const auto* record = view_->units.Find(unit);
  if (record == nullptr || record->value.move_to.empty()) {
    movers_.erase(unit);
  } else {
    movers_.insert(unit);
  }
}

// A placed unit with a `move_to`. True if something is decided about it.
bool EngineReconciler::JudgeMover(const Member& member, const Placed& live,
                                  std::vector<Decision>& decisions) {
  const std::string target = member.record->value.move_to;
  if (target.empty()) return false;
  Decision decision = Begin();
  AddUnit(decision, member.unit);
  GuardUnit(decision, member.unit);
  const std::string why = RulesOutMove(member, live);
  if (!why.empty()) {
    decision.events.push_back({"cleared", member.unit, target, why});
    decision.writes.emplace_back(PutUnit{member.unit, WithoutNotes(member.record->value)});
    Emit(std::move(decision), decisions);
    return true;
  }
  if (!WhatHoldsMove({member}, live.machine).empty()) {
    queued_movers_.insert(member.unit);
    return false;
  }
  decision.events.push_back({"moving", member.unit, live.machine, "rebalance"});
  PutTombstone(decision, member.unit, live, target);
  GuardTarget(decision, target);
  Emit(std::move(decision), decisions);
  return true;
}

// Why the unit is not to go to its `move_to` any more; empty if it is.
std::string EngineReconciler::RulesOutMove(const Member& member, const Placed& live) const {
  const std::string& target = member.record->value.move_to;
  if (target == live.machine) return "it is there already";
  if (IsTied(member)) return "other units are tied to where it is";
  const auto slot = occupancy_.scheduler().FindMachine(target);
  const std::string why =
      slot ? occupancy_.scheduler().RulesOut(member.id, *slot, scheduler::As::kNewcomer)
           : std::string(scheduler::kAbsentText);
  if (why.empty()) return "";
  return fmt::format("machine {} is ruled out by now: {}", target, why);
}

// Once a machine has come and all has been quiet for long enough. A difference of one move is no
// reason: it would come and go with single units.
void EngineReconciler::BeginRebalance(std::vector<Decision>& decisions) {
  if (std::exchange(machines_changed_, false)) quiet_since_ = now_;
  if (std::exchange(machine_came_, false)) rebalance_is_due_ = true;
  if (!rebalance_is_due_ || now_ < quiet_since_ + settings_.rebalance_after ||
      !in_flight_.empty() || !movers_.empty() || !under_way_.empty()) {
    return;
  }
  rebalance_is_due_ = false;
  const auto moves = FindMoves(std::numeric_limits<size_t>::max());
  const bool evens_out_zones = std::any_of(moves.begin(), moves.end(), [&](const auto& move) {
    const auto member = FindMember(move.unit);
    const std::string& key = member->requirements->spread_over;
    return !key.empty() && MetadataOf(move.from, key) != MetadataOf(move.to, key);
  });
  if (moves.size() < kClearGain && !evens_out_zones) return;
  for (const RebalanceMove& move : moves) {
    Decision decision = Begin();
    AddUnit(decision, move.unit);
    decision.events.push_back({"rebalancing", move.unit, move.to, move.reason});
    GuardUnit(decision, move.unit);
    UnitRecord record = view_->units.Find(move.unit)->value;
    record.move_to = move.to;
    decision.writes.emplace_back(PutUnit{move.unit, std::move(record)});
    Emit(std::move(decision), decisions);
  }
}

// The moves that even out what is left uneven by those that are to come anyway.
std::vector<RebalanceMove> EngineReconciler::FindMoves(size_t max_moves) {
  std::vector<std::pair<scheduler::UnitId, Occupancy::Places>> before;
  for (const std::string& unit : movers_) {
    const auto member = FindMember(unit);
    if (!member) continue;
    const auto live = LiveOf(*member);
    if (live && !RulesOutMove(*member, *live).empty()) continue;
    const std::string& target = member->record->value.move_to;
    const bool is_under_way = std::any_of(
        member->placed.begin(), member->placed.end(),
        [&](const Placed& placed) { return placed.stored->value.next_machine == target; });
    if (!live && !is_under_way) continue;
    before.emplace_back(member->id, occupancy_.PretendOnlyOn(member->id, target));
  }
  auto& scheduler = occupancy_.scheduler();
  const auto found = scheduler.Rebalance(
      max_moves, [&](scheduler::UnitId id) { return MayBeRebalanced(scheduler.UnitName(id)); });
  for (const auto& [id, places] : before) occupancy_.Restore(id, places);
  std::vector<RebalanceMove> moves;
  moves.reserve(found.size());
  for (const scheduler::Move& move : found) {
    const std::string& unit = scheduler.UnitName(move.unit);
    moves.push_back({.unit = unit,
                     .from = scheduler.MachineName(move.from),
                     .to = scheduler.MachineName(move.to),
                     .reason = move.reason,
                     .mod_revision = view_->units.Find(unit)->mod_revision});
  }
  return moves;
}

// Only what is settled where it is, and tied to nothing there.
bool EngineReconciler::MayBeRebalanced(const std::string& unit) {
  if (in_flight_.contains(unit)) return false;
  const auto member = FindMember(unit);
  if (!member || Follows(*member->requirements) || IsFollowed(unit)) return false;
  const UnitRecord& record = member->record->value;
  if (HasNotes(record) || !record.move_to.empty() || !member->requirements->machine_id.empty()) {
    return false;
  }
  const auto live = LiveOf(*member);
  if (!live || live->stored->value.content_hash != record.content_hash) return false;
  const auto* machine = view_->machines.Find(live->machine);
  if (machine == nullptr || machine->value.leaving || IsEmptied(live->machine)) return false;
  const auto* report = view_->states.Find(UnitOnMachine{unit, live->machine});
  return report != nullptr && report->value.uid == record.uid &&
         report->value.generation == live->stored->value.generation && report->value.settled &&
         !report->value.gone && report->value.active_state != "failed";
}

}  // namespace fleet::reconcile
