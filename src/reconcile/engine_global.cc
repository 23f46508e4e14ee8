// Global units: one assignment for each eligible machine. See engine_reconciler.h for the whole.

#include <algorithm>
#include <utility>

#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

void EngineReconciler::JudgeGlobal(const Member& member, std::vector<Decision>& decisions) {
  const std::string& unit = member.unit;
  const UnitRecord& record = member.record->value;
  if (HasNotes(record) || !record.move_to.empty()) {
    // One write of the unit's record; the machines follow once it is in the view.
    ClearNotes(unit, *member.record, "it is global", decisions);
    return;
  }
  std::vector<std::string> eligible;
  for (const scheduler::Slot slot : occupancy_.scheduler().EligibleMachines(member.id)) {
    eligible.push_back(occupancy_.scheduler().MachineName(slot));
  }
  const auto is_eligible = [&](const std::string& machine) {
    return std::binary_search(eligible.begin(), eligible.end(), machine);
  };
  const auto begin = [&](std::string kind, const std::string& machine, std::string reason) {
    Decision decision = Begin();
    AddUnit(decision, unit);
    decision.events.push_back({std::move(kind), unit, machine, std::move(reason)});
    GuardUnit(decision, unit);
    return decision;
  };
  const auto adopt = [&](Decision& decision, const std::string& machine,
                         const StateReport& report) {
    GuardReport(decision, unit, machine);
    auto& put = std::get<PutAssignment>(decision.writes.back());
    // Above whatever was told there before, which nobody may know of any more (S7).
    put.assignment.generation = std::max(put.assignment.generation, report.generation);
    put.assignment.content_hash = report.content_hash;
    decision.events = {{"adopted", unit, machine, "it runs there already"}};
  };
  const auto may_stay = [&](const std::string& machine) {
    const auto slot = occupancy_.scheduler().FindMachine(machine);
    return slot &&
           occupancy_.scheduler().RulesOut(member.id, *slot, scheduler::As::kResident).empty();
  };
  const auto judge_orphan = [&](const std::string& machine, const StateReport& report) {
    const bool ours = report.uid == record.uid;
    if (!ours || !may_stay(machine)) {
      Decision decision = Begin();
      AddUnit(decision, unit);
      GuardUnit(decision, unit);
      GuardAssignment(decision, unit, machine);
      StopOrphan(std::move(decision), {unit, machine}, report,
                 ours ? "it may not run on this machine" : "a unit of this name was created anew",
                 decisions);
      return;
    }
    Decision decision = begin("adopted", machine, "");
    GuardMachine(decision, machine);
    GuardAssignment(decision, unit, machine);
    PutNewAssignment(decision, member, machine);
    adopt(decision, machine, report);
    Emit(std::move(decision), decisions);
  };
  std::set<std::string> assigned;
  for (const Placed& placed : member.placed) {
    const Assignment& assignment = placed.stored->value;
    assigned.insert(placed.machine);
    if (view_->machines.Find(placed.machine) == nullptr) continue;  // it keeps it for its return
    if (assignment.state == AssignmentState::kGone) {
      const StateReport* another = AnotherThan(unit, placed);
      if (another == nullptr && !ReportedGone(*view_, unit, placed.machine, assignment)) continue;
      if (another != nullptr) {
        judge_orphan(placed.machine, *another);
        continue;
      }
      const bool again = is_eligible(placed.machine);
      Decision decision = begin(again ? "placed" : "ended", placed.machine, "global");
      GuardAssignment(decision, unit, placed.machine);
      if (again) {
        GuardTarget(decision, placed.machine);
        PutNewAssignment(decision, member, placed.machine);
      } else {
        decision.writes.emplace_back(DeleteAssignment{unit, placed.machine});
      }
      Emit(std::move(decision), decisions);
      continue;
    }
    std::string why = MustLeave(member, placed);
    if (why.empty() && EndsOnDrain(unit, placed.machine)) why = WhyEmptied(placed.machine);
    if (assignment.uid != record.uid) why = "it belongs to a unit destroyed before";
    if (why.empty()) {
      UpdateInPlace(member, placed, decisions);
      continue;
    }
    Decision decision = begin("stopped", placed.machine, why);
    PutTombstone(decision, unit, placed, "");
    Emit(std::move(decision), decisions);
  }
  // Others may leave the machines where it is not.
  if (eligible.size() < view_->machines.size()) waiting_.insert(unit);
  for (const std::string& machine : eligible) {
    if (assigned.contains(machine)) continue;
    Decision decision = begin("placed", machine, "global");
    GuardTarget(decision, machine);
    GuardFollowed(decision, *member.requirements, machine);
    GuardAssignment(decision, unit, machine);
    PutNewAssignment(decision, member, machine);
    const auto* report = view_->states.Find(UnitOnMachine{unit, machine});
    if (report != nullptr && report->value.uid == record.uid && !report->value.gone) {
      adopt(decision, machine, report->value);
    }
    Emit(std::move(decision), decisions);
  }
  // What runs and is in no record any more: on a machine that is closed by now it stays, or is
  // stopped by a drain like the others; elsewhere it may not run.
  for (auto it = FirstOf(view_->states, unit); InUnit(it, view_->states, unit); ++it) {
    const std::string& machine = it->first.machine;
    const auto* there = view_->machines.Find(machine);
    if (there == nullptr || there->value.leaving || it->second.value.gone ||
        assigned.contains(machine) || is_eligible(machine)) {
      continue;
    }
    if (it->second.value.uid == record.uid || !may_stay(machine)) {
      judge_orphan(machine, it->second.value);
    }
  }
}

}  // namespace fleet::reconcile
