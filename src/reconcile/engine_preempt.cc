// Priority: units that fit nowhere push out others of lower priority. The machine is reserved for
// them in their records (`nominated_machine`) in the transaction that begins the others' moves, and
// they start there once nothing of those is in their way any more.

#include <algorithm>
#include <utility>

#include "fmt/core.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_limits.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

// nullopt if nothing that may be pushed out would help.
std::optional<scheduler::Preemption> EngineReconciler::WhatWouldBePushedOut(const Group& group) {
  const bool reserves = std::any_of(group.begin(), group.end(), [](const Member& member) {
    return member.requirements->Reserves();
  });
  if (!reserves || group.size() > kMaxTogether) return std::nullopt;
  auto& scheduler = occupancy_.scheduler();
  return scheduler.Preempt(
      IdsOf(group), [&](scheduler::UnitId id) { return MayBePushedOut(scheduler.UnitName(id)); });
}

// False, and nothing is done, if that would not help.
bool EngineReconciler::PushesOut(const Group& group, std::vector<Decision>& decisions) {
  const auto preemption = WhatWouldBePushedOut(group);
  if (!preemption) return false;
  const auto& scheduler = occupancy_.scheduler();
  const std::string machine = scheduler.MachineName(preemption->machine);
  const std::string reason = fmt::format("{} of priority {} needs its room", group[0].unit,
                                         group[0].requirements->priority);
  Decision decision = Begin();
  Nominate(decision, group, machine);
  size_t victims = 0;
  for (const scheduler::Victim& victim : preemption->victims) {
    const auto member = FindMember(scheduler.UnitName(victim.unit));
    const std::string target = victim.target ? scheduler.MachineName(*victim.target) : "";
    if (victims++ == kMaxVictims) {
      Emit(std::exchange(decision, Begin()), decisions);
      AddUnit(decision, group[0].unit);  // it waits for the fate of all of them
      victims = 1;
    }
    AddUnit(decision, member->unit);
    decision.events.push_back({"preempted", member->unit, machine, reason});
    GuardUnit(decision, member->unit);
    PutTombstone(decision, member->unit, *LiveOf(*member), target);
    if (!target.empty()) GuardTarget(decision, target);
  }
  Emit(std::move(decision), decisions);
  return true;
}

// Units that are on their way are not sent elsewhere, and those that are tied to others stay.
bool EngineReconciler::MayBePushedOut(const std::string& unit) {
  if (in_flight_.contains(unit)) return false;
  const auto member = FindMember(unit);
  if (!member || Follows(*member->requirements) || IsFollowed(unit)) return false;
  const auto live = LiveOf(*member);
  if (!live) return false;
  const auto* machine = view_->machines.Find(live->machine);
  return machine != nullptr && !machine->value.leaving;
}

// Reserves a machine for them that others are leaving.
void EngineReconciler::Nominate(Decision& decision, const Group& group,
                                const std::string& machine) const {
  GuardTarget(decision, machine);
  for (const Member& member : group) {
    AddUnit(decision, member.unit);
    decision.events.push_back({"nominated", member.unit, machine, "others are leaving it for it"});
    GuardUnit(decision, member.unit);
    GuardFollowed(decision, *member.requirements, machine);
    UnitRecord nominated = WithoutNotes(member.record->value);
    nominated.nominated_machine = machine;
    decision.writes.emplace_back(PutUnit{member.unit, std::move(nominated)});
  }
}

}  // namespace fleet::reconcile
