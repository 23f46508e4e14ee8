// Where units go that have no machine or lose theirs, alone or as a group. See engine_reconciler.h
// for the whole.

#include <algorithm>
#include <utility>

#include "fmt/core.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_limits.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/reschedule.h"

namespace fleet::reconcile {

// Places all of them on one machine, or none.
void EngineReconciler::PlaceGroup(const std::string& judged, const Group& group,
                                  const Origin& origin, std::vector<Decision>& decisions) {
  const bool is_ready = std::all_of(
      group.begin(), group.end(), [&](const Member& member) { return IsReadyFor(member, origin); });
  if (!is_ready || FollowsOneInFlight(group)) return HoldGroupBack(judged, group, origin);
  for (const Member& member : group) occupancy_.BreakPromise(*view_, member.unit);
  const Reserved reserved = UseReservation(judged, group);
  if (reserved.has_to_wait) return HoldGroupBack(judged, group, origin);
  if (!reserved.group.empty()) {
    PlaceAt(reserved.machine, reserved.group, origin, reserved.reason, decisions);
    HoldGroupBack(judged, group, origin);  // those of it for which nothing is reserved
    return;
  }
  for (const Member& member : group) Cover(member.unit);
  if (!reserved.note.empty()) {
    // First of all it reserves nothing any more: others may wait for that.
    for (const Member& member : group) {
      if (member.record->value.nominated_machine.empty()) {
        HoldBack(member.unit);
      } else {
        ClearNotes(member.unit, *member.record, reserved.note, decisions);
      }
    }
    return;
  }
  std::string note;
  if (origin.kind == Origin::Kind::kNowhere) {
    const Replacement replacement = JudgeReplacer(group, decisions);
    if (replacement.is_decided) return;
    note = replacement.note;
  }
  if (const auto machine = ChooseFor(group, origin.machine)) {
    std::string reason = ReasonOfPlacement(group, origin);
    if (!note.empty()) reason += "; " + note;
    return PlaceAt(*machine, group, origin, reason, decisions);
  }
  if (PushesOut(group, decisions)) return;
  int64_t priority = 0;
  bool reserves = false;
  for (const Member& member : group) {
    priority = std::max(priority, member.requirements->priority);
    reserves = reserves || member.requirements->Reserves();
  }
  if (reserves) {
    waiting_for_room_.insert_or_assign(judged, ~priority);
    by_priority_.emplace(~priority, judged);
  }
  const auto slot = occupancy_.scheduler().FindMachine(origin.machine);
  const std::string why =
      occupancy_.scheduler().Explain(IdsOf(group), slot, scheduler::Detail::kCounts).Summary();
  RefuseGroup(
      group, origin,
      origin.machine.empty() ? why : fmt::format("machine {} is gone, and {}", origin.machine, why),
      decisions);
}

// It has been judged with another one: it need not be judged again in this turn.
void EngineReconciler::Cover(const std::string& unit) {
  covered_.insert(unit);
  dirty_.erase(unit);
  ForgetWaiting(unit);
  held_back_.erase(unit);
}

// All of the group that is not in flight waits, but what has something else to be decided about.
void EngineReconciler::HoldGroupBack(const std::string& judged, const Group& group,
                                     const Origin& origin) {
  for (const Member& member : group) {
    if (in_flight_.contains(member.unit)) continue;
    if (member.unit != judged) {
      if (!IsReadyFor(member, origin)) continue;
      Cover(member.unit);
    }
    HoldBack(member.unit);
  }
}

// A machine that is reserved for some of the group: by a move that has begun, or because others
// were pushed out for it. Preferably all of it goes there.
EngineReconciler::Reserved EngineReconciler::UseReservation(const std::string& judged,
                                                            const Group& group) {
  const auto nominated = [](const Member& member) -> const std::string& {
    return member.record->value.nominated_machine;
  };
  const auto moves_to = [](const Member& member) -> std::string {
    for (const Placed& placed : member.placed) {
      const Assignment& assignment = placed.stored->value;
      if (assignment.state == AssignmentState::kGone && !assignment.next_machine.empty()) {
        return assignment.next_machine;
      }
    }
    return "";
  };
  Reserved reserved;
  for (const Member& member : group) {
    if (reserved.machine.empty()) reserved.machine = nominated(member);
  }
  const bool is_nominated = !reserved.machine.empty();
  for (const Member& member : group) {
    if (reserved.machine.empty()) reserved.machine = moves_to(member);
  }
  const std::string& machine = reserved.machine;
  if (machine.empty()) return reserved;
  if (is_nominated && view_->machines.Find(machine) == nullptr) {
    reserved.note = fmt::format("machine {}, reserved for it, is lost", machine);
    reserved.has_to_wait = !IsLost(machine);
    if (reserved.has_to_wait) at_wakeup_.insert(judged);
    return reserved;
  }

  std::vector<scheduler::UnitId> leaving;
  if (is_nominated) leaving = occupancy_.LeavingOn(machine);
  const auto replaces_one_leaving = [&](const Member& member) {
    return std::any_of(leaving.begin(), leaving.end(), [&](scheduler::UnitId id) {
      const std::string& name = occupancy_.scheduler().UnitName(id);
      return name != member.unit && MatchesOne(member.requirements->replaces, name);
    });
  };
  Group with_reservation;
  for (const Member& member : group) {
    if (machine == (is_nominated ? nominated(member) : moves_to(member))) {
      with_reservation.push_back(member);
    }
  }
  for (const Group* candidate : {&group, &std::as_const(with_reservation)}) {
    const auto ids = IdsOf(*candidate);
    const std::string why = occupancy_.RulesOutTogether(ids, machine);
    reserved.has_to_wait =
        std::any_of(candidate->begin(), candidate->end(), replaces_one_leaving) ||
        (!why.empty() && !leaving.empty() &&
         occupancy_.RulesOutTogether(ids, machine, leaving).empty());
    if (reserved.has_to_wait) return reserved;
    if (why.empty()) {
      reserved.group = *candidate;
      reserved.reason = is_nominated ? "what was in its way has left it" : "it was being moved";
      return reserved;
    }
    reserved.note =
        is_nominated ? fmt::format("machine {}, reserved for it, is ruled out by {}", machine, why)
                     : "";
  }
  return reserved;
}

// As many as one transaction takes; a place is kept for the rest until those are committed.
void EngineReconciler::PlaceAt(const std::string& machine, const Group& group, const Origin& origin,
                               const std::string& reason, std::vector<Decision>& decisions) {
  Decision decision = Begin();
  size_t count = 0;
  for (const Member& member : group) {
    if (count > 0 && (count == kMaxTogether ||
                      !HasRoomFor(decision, member.placed.size(), *member.requirements))) {
      break;
    }
    AddPlacement(decision, member, machine, origin, reason);
    ++count;
  }
  Emit(std::move(decision), decisions);
  for (; count < group.size(); ++count) {
    occupancy_.Promise(*view_, group[count].unit, machine);
    HoldBack(group[count].unit);
  }
}

void EngineReconciler::AddPlacement(Decision& decision, const Member& member,
                                    const std::string& machine, const Origin& origin,
                                    const std::string& reason) const {
  const std::string& unit = member.unit;
  AddUnit(decision, unit);
  decision.events.push_back(
      {origin.kind == Origin::Kind::kNowhere ? "placed" : "moved", unit, machine, reason});
  GuardUnit(decision, unit);
  GuardTarget(decision, machine);
  GuardFollowed(decision, *member.requirements, machine);
  switch (origin.kind) {
    case Origin::Kind::kNowhere:
      ReleaseTombstones(decision, member, machine);
      break;
    case Origin::Kind::kLost:
      GuardMachine(decision, origin.machine);
      PutTombstone(decision, unit, {origin.machine, LiveOn(member, origin.machine)}, "");
      break;
    case Origin::Kind::kLeft:
      // A machine that has come back meanwhile has written its record anew, and starts the unit.
      GuardMachineRecord(decision, origin.machine);
      GuardAssignment(decision, unit, origin.machine);
      decision.writes.emplace_back(DeleteAssignment{unit, origin.machine});
      break;
  }
  GuardAssignment(decision, unit, machine);
  PutNewAssignment(decision, member, machine);
}

// Its tombstones have ended, or wait for a lost machine and reserve nothing any more. One on
// `target` is overwritten by the new assignment, which compares it.
void EngineReconciler::ReleaseTombstones(Decision& decision, const Member& member,
                                         const std::string& target) const {
  for (const Placed& tombstone : member.placed) {
    if (tombstone.machine == target) continue;
    const bool has_ended =
        ReportedGone(*view_, member.unit, tombstone.machine, tombstone.stored->value);
    if (!has_ended) GuardMachine(decision, tombstone.machine);
    GuardAssignment(decision, member.unit, tombstone.machine);
    if (has_ended) {
      decision.writes.emplace_back(DeleteAssignment{member.unit, tombstone.machine});
    } else if (!tombstone.stored->value.next_machine.empty()) {
      Assignment waiting = tombstone.stored->value;
      waiting.next_machine.clear();
      decision.writes.emplace_back(
          PutAssignment{member.unit, tombstone.machine, std::move(waiting)});
    }
  }
}

void EngineReconciler::RefuseGroup(const Group& group, const Origin& origin,
                                   const std::string& reason, std::vector<Decision>& decisions) {
  for (const Member& member : group) {
    Decision decision = Begin();
    AddUnit(decision, member.unit);
    if (origin.kind == Origin::Kind::kNowhere) ReleaseTombstones(decision, member, "");
    if (decision.writes.empty()) {
      Refuse(member.unit, *member.record, reason, decisions);
      continue;
    }
    decision.events.push_back({"ended", member.unit, "", "it has stopped where it was"});
    GuardUnit(decision, member.unit);
    Emit(std::move(decision), decisions);  // refused once this is in the view
  }
}

// A unit that may not stay: all that share its machine go with it, to one that takes them all. If
// there is none it stops, with those that follow it.
void EngineReconciler::MoveAway(const Member& member, const Placed& live, const std::string& why,
                                std::vector<Decision>& decisions) {
  Group group = GroupOn(member, live.machine);
  const bool in_flight = std::any_of(
      group.begin(), group.end(), [&](const Member& one) { return in_flight_.contains(one.unit); });
  if (in_flight || FollowsOneInFlight(group)) return HoldBack(member.unit);
  const auto machine = ChooseFor(group, live.machine);
  if (!machine) group = FollowersWithin(group, member.unit);
  Decision decision = Begin();
  for (const Member& one : group) {
    if (!decision.units.empty() &&
        (decision.units.size() == kMaxTogether || !HasRoomFor(decision, 1, *one.requirements))) {
      Emit(std::exchange(decision, Begin()), decisions);
    }
    AddUnit(decision, one.unit);
    const std::string reason =
        one.unit == member.unit ? why : fmt::format("{} must leave: {}", member.unit, why);
    decision.events.push_back({machine ? "moving" : "stopped", one.unit, live.machine, reason});
    GuardUnit(decision, one.unit);
    PutTombstone(decision, one.unit, {live.machine, LiveOn(one, live.machine)},
                 machine.value_or(""));
    if (!machine) continue;
    GuardTarget(decision, *machine);
    GuardFollowed(decision, *one.requirements, *machine);
  }
  Emit(std::move(decision), decisions);
}

std::optional<std::string> EngineReconciler::ChooseFor(const Group& group,
                                                       const std::string& avoid) {
  auto machine = ChooseAmongOpen(group, avoid);
  if (!machine && !unsteady_.empty()) {
    // Better on one that comes and goes than nowhere.
    for (const std::string& one : unsteady_) Close(one, false);
    machine = ChooseAmongOpen(group, avoid);
    for (const std::string& one : unsteady_) Close(one, true);
  }
  if (!machine || group.size() > 1) return machine;
  const Member& member = group[0];
  const bool has_failed_there =
      member.requirements->reschedules_on_failure && FailedAt(member.record->value, *machine) != 0;
  return has_failed_there ? ChooseUntried(member, avoid) : machine;
}

std::optional<std::string> EngineReconciler::ChooseAmongOpen(const Group& group,
                                                             const std::string& avoid) const {
  const auto& scheduler = occupancy_.scheduler();
  const auto avoided = avoid.empty() ? std::nullopt : scheduler.FindMachine(avoid);
  const auto slot = group.size() == 1 ? scheduler.Choose(group[0].id, avoided)
                                      : scheduler.ChooseTogether(IdsOf(group), avoided);
  if (!slot) return std::nullopt;
  return scheduler.MachineName(*slot);
}

std::string EngineReconciler::ReasonOfPlacement(const Group& group, const Origin& origin) const {
  if (origin.kind == Origin::Kind::kLost) {
    return fmt::format("its machine {} is lost", origin.machine);
  }
  if (origin.kind == Origin::Kind::kLeft) {
    return fmt::format("its machine {} has left the cluster", origin.machine);
  }
  std::string reason = settings_.placement == scheduler::Placement::kPack
                           ? "most loaded eligible machine"
                           : "least loaded eligible machine";
  const std::string& spread_over = group[0].requirements->spread_over;
  if (group.size() == 1 && !spread_over.empty()) {
    reason += fmt::format(" where its template has the fewest instances by {}", spread_over);
  }
  if (group.size() > 1) reason += fmt::format(" for the {} units that share it", group.size());
  return reason;
}

}  // namespace fleet::reconcile
