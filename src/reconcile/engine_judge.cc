// What the engine decides about one unit. See engine_reconciler.h for the whole.

#include <algorithm>
#include <utility>

#include "fmt/core.h"
#include "model/unit_name.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

namespace {

AssignmentState StateFor(DesiredState desired) {
  return desired == DesiredState::kLaunched ? AssignmentState::kLaunched : AssignmentState::kLoaded;
}

// A record of this unit that cannot be read: nothing is decided about it.
bool HasUnreadableRecord(const ClusterView& view, const std::string& unit) {
  if (view.unreadable.empty()) return false;
  const std::string tail = "/" + unit;
  return std::any_of(view.unreadable.begin(), view.unreadable.end(),
                     [&](const auto& entry) { return entry.first.ends_with(tail); });
}

// What the engine has noted about a unit that is not placed.
bool HasNotes(const UnitRecord& record) {
  return !record.refusal.empty() || !record.nominated_machine.empty();
}

UnitRecord WithoutNotes(UnitRecord record) {
  record.refusal.clear();
  record.nominated_machine.clear();
  return record;
}

bool IsTemplate(const std::string& unit) {
  const auto name = UnitName::Parse(unit);
  return name.ok() && name->is_template();
}

}  // namespace

void EngineReconciler::Judge(const std::string& unit, std::vector<Decision>& decisions) {
  if (in_flight_.contains(unit) || HasUnreadableRecord(*view_, unit)) return;
  waiting_.erase(unit);
  held_back_.erase(unit);
  const auto* record = view_->units.Find(unit);
  if (record == nullptr || record->value.desired == DesiredState::kInactive || IsTemplate(unit)) {
    JudgeUnwanted(unit, record, decisions);
    return;
  }
  const auto requirements = occupancy_.RequirementsOf(*view_, unit, record->value.content_hash);
  if (!requirements.ok()) {
    Refuse(unit, *record, std::string(requirements.status().message()), decisions);
    return;
  }
  // Those it follows come first, so that it is not refused for a moment.
  for (const std::string& parent : (*requirements)->machine_of) {
    if (dirty_.erase(parent) > 0) Judge(parent, decisions);
  }
  if ((*requirements)->global) {
    JudgeGlobal(unit, *record, **requirements, decisions);
  } else {
    JudgeSingle(unit, record, *requirements, decisions);
  }
}

void EngineReconciler::JudgeUnwanted(const std::string& unit, const Stored<UnitRecord>* record,
                                     std::vector<Decision>& decisions) {
  const std::string reason = record == nullptr ? "the unit was destroyed" : "it was unloaded";
  for (const Placed& placed : AssignmentsOf(unit)) {
    const Assignment& assignment = placed.stored->value;
    if (assignment.state != AssignmentState::kGone) {
      Decision decision = Begin(unit, {"stopped", unit, placed.machine, reason});
      GuardUnit(decision, unit);
      PutTombstone(decision, placed, "");
      Emit(std::move(decision), decisions);
    } else if (ReportedGone(*view_, unit, placed.machine, assignment)) {
      Decision decision = Begin(unit, {"ended", unit, placed.machine, reason});
      GuardAssignment(decision, unit, placed.machine);
      decision.writes.emplace_back(DeleteAssignment{unit, placed.machine});
      Emit(std::move(decision), decisions);
    }
  }
  if (record != nullptr) ClearRefusal(unit, *record, reason, decisions);
}

void EngineReconciler::ClearRefusal(const std::string& unit, const Stored<UnitRecord>& record,
                                    const std::string& reason, std::vector<Decision>& decisions) {
  if (!HasNotes(record.value)) return;
  Decision decision = Begin(unit, {"cleared", unit, "", reason});
  GuardUnit(decision, unit);
  decision.writes.emplace_back(PutUnit{unit, WithoutNotes(record.value)});
  Emit(std::move(decision), decisions);
}

void EngineReconciler::JudgeSingle(const std::string& unit, const Stored<UnitRecord>* record,
                                   const scheduler::RequirementsPtr& requirements,
                                   std::vector<Decision>& decisions) {
  std::optional<Placed> live;
  std::vector<Placed> tombstones;
  for (const Placed& placed : AssignmentsOf(unit)) {
    const Assignment& assignment = placed.stored->value;
    if (assignment.state == AssignmentState::kGone) {
      tombstones.push_back(placed);
    } else if (assignment.uid == record->value.uid && !live) {
      live = placed;
    } else {
      Decision decision =
          Begin(unit, {"stopped", unit, placed.machine, "it belongs to a unit destroyed before"});
      PutTombstone(decision, placed, "");
      Emit(std::move(decision), decisions);
      return;  // the rest once this is in the view
    }
  }
  if (JudgeOrphans(unit, *record, live, *requirements, decisions)) return;
  if (!live) {
    JudgeUnassigned(unit, *record, *requirements, tombstones, decisions);
    return;
  }
  bool ended = false;
  for (const Placed& tombstone : tombstones) {
    if (!ReportedGone(*view_, unit, tombstone.machine, tombstone.stored->value)) continue;
    ended = true;
    Decision decision =
        Begin(unit, {"ended", unit, tombstone.machine, "the machine it was moved off is back"});
    GuardAssignment(decision, unit, tombstone.machine);
    decision.writes.emplace_back(DeleteAssignment{unit, tombstone.machine});
    Emit(std::move(decision), decisions);
  }
  // The unit may have to go back to that very machine: the key is put only once it is deleted.
  if (!ended) JudgeAssigned(unit, *record, *requirements, *live, decisions);
}

// Units that a machine reports and that have no assignment there (S3). True if the rest has to
// wait.
bool EngineReconciler::JudgeOrphans(const std::string& unit, const Stored<UnitRecord>& record,
                                    const std::optional<Placed>& live,
                                    const Requirements& requirements,
                                    std::vector<Decision>& decisions) {
  for (auto it = FirstOf(view_->states, unit); InUnit(it, view_->states, unit); ++it) {
    const std::string& machine = it->first.machine;
    const StateReport& report = it->second.value;
    if (report.gone || view_->machines.Find(machine) == nullptr) continue;
    if (view_->assignments.Find(UnitOnMachine{unit, machine}) != nullptr) continue;
    const bool ours = report.uid == record.value.uid;
    if (!live && ours &&
        occupancy_.scheduler().RulesOut(unit, requirements, machine, /*newcomer=*/false).empty()) {
      Decision decision = Begin(unit, {"adopted", unit, machine, "it runs there already"});
      GuardUnit(decision, unit);
      GuardAssignment(decision, unit, machine);
      GuardMachine(decision, machine);
      decision.writes.emplace_back(PutAssignment{unit, machine,
                                                 Assignment{.uid = report.uid,
                                                            .generation = report.generation,
                                                            .content_hash = report.content_hash,
                                                            .state = StateFor(record.value.desired),
                                                            .restarts = record.value.restarts,
                                                            .starts = record.value.starts}});
      Emit(std::move(decision), decisions);
      return true;
    }
    std::string why = "it may not run on this machine";
    if (!ours) why = "a unit of this name was created anew";
    if (live) why = "it is assigned to " + live->machine;
    Decision decision = Begin(unit, {"stopped", unit, machine, why});
    GuardAssignment(decision, unit, machine);
    decision.writes.emplace_back(PutAssignment{unit, machine,
                                               Assignment{.uid = report.uid,
                                                          .generation = view_->revision,
                                                          .content_hash = report.content_hash,
                                                          .state = AssignmentState::kGone}});
    Emit(std::move(decision), decisions);
    return true;
  }
  return false;
}

void EngineReconciler::JudgeAssigned(const std::string& unit, const Stored<UnitRecord>& record,
                                     const Requirements& requirements, const Placed& live,
                                     std::vector<Decision>& decisions) {
  const auto* machine = view_->machines.Find(live.machine);
  const bool lost = machine == nullptr;
  if (lost && !IsLost(live.machine)) {
    at_wakeup_.insert(unit);
    return;
  }
  const bool left = !lost && machine->value.leaving;
  if (left && !ReportedGone(*view_, unit, live.machine, live.stored->value)) return;
  if (lost || left) {
    if (FollowsOneInFlight(requirements)) return HoldBack(unit);
    const auto choice = occupancy_.scheduler().Choose(unit, requirements, live.machine);
    if (!choice.machine) {
      Refuse(unit, record,
             fmt::format("machine {} is gone, and {}", live.machine, choice.explanation.Summary()),
             decisions);
      return;
    }
    const char* reason = lost ? "its machine {} is lost" : "its machine {} has left the cluster";
    Decision decision = Begin(
        unit, {"moved", unit, *choice.machine, fmt::format(fmt::runtime(reason), live.machine)});
    GuardUnit(decision, unit);
    GuardTarget(decision, *choice.machine);
    GuardFollowed(decision, requirements, *choice.machine);
    if (lost) {
      GuardMachine(decision, live.machine);
      PutTombstone(decision, live, "");
    } else {
      // A machine that has come back meanwhile has written its record anew, and starts the unit.
      decision.guards.push_back(
          {Guard::Kind::kMachineRecord, "", live.machine, machine->mod_revision});
      GuardAssignment(decision, unit, live.machine);
      decision.writes.emplace_back(DeleteAssignment{unit, live.machine});
    }
    PutNewAssignment(decision, record.value, *choice.machine);
    Emit(std::move(decision), decisions);
    return;
  }
  const std::string why = MustLeave(unit, requirements, live);
  if (why.empty()) {
    UpdateInPlace(unit, record.value, live, decisions);
    return;
  }
  if (FollowsOneInFlight(requirements)) return HoldBack(unit);
  const auto choice = occupancy_.scheduler().Choose(unit, requirements, live.machine);
  Decision decision = Begin(unit, {choice.machine ? "moving" : "stopped", unit, live.machine, why});
  GuardUnit(decision, unit);
  PutTombstone(decision, live, choice.machine.value_or(""));
  if (choice.machine) {
    GuardTarget(decision, *choice.machine);
    GuardFollowed(decision, requirements, *choice.machine);
  }
  Emit(std::move(decision), decisions);
}

void EngineReconciler::JudgeUnassigned(const std::string& unit, const Stored<UnitRecord>& record,
                                       const Requirements& requirements,
                                       const std::vector<Placed>& tombstones,
                                       std::vector<Decision>& decisions) {
  std::string reserved;
  for (const Placed& tombstone : tombstones) {
    const Assignment& assignment = tombstone.stored->value;
    if (view_->machines.Find(tombstone.machine) != nullptr) {
      if (!ReportedGone(*view_, unit, tombstone.machine, assignment)) return;
    } else if (!IsLost(tombstone.machine)) {
      at_wakeup_.insert(unit);
      return;
    }
    if (!assignment.next_machine.empty()) reserved = assignment.next_machine;
  }
  if (FollowsOneInFlight(requirements)) return HoldBack(unit);
  Replacement replacement;
  if (tombstones.empty()) {  // Replaces holds for the first placement only
    replacement = JudgeReplacer(unit, record, requirements, decisions);
    if (replacement.is_decided) return;
  }
  scheduler::Choice choice;
  if (!replacement.machine.empty()) {
    choice.machine = replacement.machine;
  } else if (!reserved.empty() && occupancy_.scheduler()
                                      .RulesOut(unit, requirements, reserved, /*newcomer=*/true)
                                      .empty()) {
    choice.machine = reserved;
  } else {
    choice = occupancy_.scheduler().Choose(unit, requirements);
  }
  std::string reason = replacement.machine.empty() ? "least loaded eligible machine"
                                                   : "the unit that it replaces has left it";
  if (!replacement.note.empty()) reason += "; " + replacement.note;
  Decision decision = Begin(unit, {"placed", unit, choice.machine.value_or(""), std::move(reason)});
  GuardUnit(decision, unit);
  for (const Placed& tombstone : tombstones) {
    if (choice.machine == tombstone.machine) {
      continue;  // its key is overwritten by the new assignment, which compares it
    }
    if (ReportedGone(*view_, unit, tombstone.machine, tombstone.stored->value)) {
      GuardAssignment(decision, unit, tombstone.machine);
      decision.writes.emplace_back(DeleteAssignment{unit, tombstone.machine});
    } else {
      // Lost: the tombstone waits there for the machine, but reserves nothing any more.
      GuardMachine(decision, tombstone.machine);
      GuardAssignment(decision, unit, tombstone.machine);
      if (tombstone.stored->value.next_machine.empty()) continue;
      Assignment waiting = tombstone.stored->value;
      waiting.next_machine.clear();
      decision.writes.emplace_back(PutAssignment{unit, tombstone.machine, std::move(waiting)});
    }
  }
  if (choice.machine) {
    GuardTarget(decision, *choice.machine);
    GuardFollowed(decision, requirements, *choice.machine);
    GuardAssignment(decision, unit, *choice.machine);
    PutNewAssignment(decision, record.value, *choice.machine);
    Emit(std::move(decision), decisions);
    return;
  }
  if (!decision.writes.empty()) {
    decision.event.kind = "ended";
    Emit(std::move(decision), decisions);
    return;  // refused once this is in the view
  }
  Refuse(unit, record, choice.explanation.Summary(), decisions);
}

void EngineReconciler::JudgeGlobal(const std::string& unit, const Stored<UnitRecord>& record,
                                   const Requirements& requirements,
                                   std::vector<Decision>& decisions) {
  if (HasNotes(record.value)) {
    // One write of the unit's record; the machines follow once it is in the view.
    ClearRefusal(unit, record, "it is global", decisions);
    return;
  }
  const auto eligible = occupancy_.scheduler().EligibleMachines(unit, requirements);
  const auto is_eligible = [&](const std::string& machine) {
    return std::binary_search(eligible.begin(), eligible.end(), machine);
  };
  std::set<std::string> assigned;
  for (const Placed& placed : AssignmentsOf(unit)) {
    const Assignment& assignment = placed.stored->value;
    assigned.insert(placed.machine);
    if (view_->machines.Find(placed.machine) == nullptr) continue;  // it keeps it for its return
    if (assignment.state == AssignmentState::kGone) {
      if (!ReportedGone(*view_, unit, placed.machine, assignment)) continue;
      const bool again = is_eligible(placed.machine);
      Decision decision = Begin(unit, {again ? "placed" : "ended", unit, placed.machine, "global"});
      GuardUnit(decision, unit);
      GuardAssignment(decision, unit, placed.machine);
      if (again) {
        GuardTarget(decision, placed.machine);
        PutNewAssignment(decision, record.value, placed.machine);
      } else {
        decision.writes.emplace_back(DeleteAssignment{unit, placed.machine});
      }
      Emit(std::move(decision), decisions);
      continue;
    }
    std::string why = MustLeave(unit, requirements, placed);
    if (assignment.uid != record.value.uid) why = "it belongs to a unit destroyed before";
    if (why.empty()) {
      UpdateInPlace(unit, record.value, placed, decisions);
      continue;
    }
    Decision decision = Begin(unit, {"stopped", unit, placed.machine, why});
    GuardUnit(decision, unit);
    PutTombstone(decision, placed, "");
    Emit(std::move(decision), decisions);
  }
  // Others may leave the machines where it is not.
  if (eligible.size() < view_->machines.size()) waiting_.insert(unit);
  for (const std::string& machine : eligible) {
    if (assigned.contains(machine)) continue;
    Decision decision = Begin(unit, {"placed", unit, machine, "global"});
    GuardUnit(decision, unit);
    GuardTarget(decision, machine);
    GuardAssignment(decision, unit, machine);
    PutNewAssignment(decision, record.value, machine);
    const auto* report = view_->states.Find(UnitOnMachine{unit, machine});
    if (report != nullptr && report->value.uid == record.value.uid && !report->value.gone) {
      auto& put = std::get<PutAssignment>(decision.writes.back());
      put.assignment.generation = report->value.generation;
      put.assignment.content_hash = report->value.content_hash;
      decision.event = {"adopted", unit, machine, "it runs there already"};
    }
    Emit(std::move(decision), decisions);
  }
}

void EngineReconciler::UpdateInPlace(const std::string& unit, const UnitRecord& record,
                                     const Placed& live, std::vector<Decision>& decisions) {
  Assignment updated = live.stored->value;
  updated.state = StateFor(record.desired);
  std::string reason = "its desired state is " + std::string(ToString(record.desired));
  if (updated.content_hash != record.content_hash || updated.restarts != record.restarts) {
    reason = updated.content_hash != record.content_hash ? "it has a new text" : "a restart";
    updated.content_hash = record.content_hash;
    updated.restarts = record.restarts;
  }
  if (updated.starts != record.starts) {
    if (updated == live.stored->value) reason = "a start";
    updated.starts = record.starts;
  }
  const bool changed = updated != live.stored->value;
  if (!changed && !HasNotes(record)) return;
  // What was reported so far answers something else than what is asked now.
  if (changed) updated.generation = view_->revision;
  Decision decision = Begin(unit, {changed ? "updated" : "placed", unit, live.machine,
                                   changed ? reason : "its machine is back"});
  GuardUnit(decision, unit);
  GuardAssignment(decision, unit, live.machine);
  if (changed) {
    decision.guards.push_back({Guard::Kind::kContent, updated.content_hash, "", [&] {
                                 const auto* content = view_->contents.Find(updated.content_hash);
                                 return content == nullptr ? int64_t{0} : content->create_revision;
                               }()});
    decision.writes.emplace_back(PutAssignment{unit, live.machine, std::move(updated)});
  }
  if (HasNotes(record)) decision.writes.emplace_back(PutUnit{unit, WithoutNotes(record)});
  Emit(std::move(decision), decisions);
}

void EngineReconciler::Refuse(const std::string& unit, const Stored<UnitRecord>& record,
                              const std::string& reason, std::vector<Decision>& decisions) {
  waiting_.insert(unit);
  if (record.value.refusal == reason && record.value.nominated_machine.empty()) return;
  Decision decision = Begin(unit, {"refused", unit, "", reason});
  GuardUnit(decision, unit);
  UnitRecord refused = WithoutNotes(record.value);
  refused.refusal = reason;
  decision.writes.emplace_back(PutUnit{unit, std::move(refused)});
  Emit(std::move(decision), decisions);
}

// Why a placed unit may not stay where it is; empty if it may. Of two placed units that conflict
// the one placed later yields.
std::string EngineReconciler::MustLeave(const std::string& unit, const Requirements& requirements,
                                        const Placed& live) const {
  const auto& scheduler = occupancy_.scheduler();
  std::string why = scheduler.RulesOut(unit, requirements, live.machine, /*newcomer=*/false);
  if (why.empty()) return why;
  const auto conflicts = scheduler.ConflictsOn(unit, requirements, live.machine);
  if (conflicts.empty()) return why;
  for (const std::string& other : conflicts) {
    const auto* stored = view_->assignments.Find(UnitOnMachine{other, live.machine});
    if (stored == nullptr || stored->value.state == AssignmentState::kGone) continue;
    const auto mine = std::pair(live.stored->value.generation, unit);
    if (std::pair(stored->value.generation, other) < mine) return why;
  }
  return "";
}

bool EngineReconciler::IsLost(const std::string& machine) {
  if (view_->machines.Find(machine) != nullptr) return false;
  if (seen_machines_.contains(machine)) return true;
  const absl::Time lost_at = leading_since_ + ttl_;
  if (now_ >= lost_at) return true;
  next_wakeup_ = std::min(next_wakeup_, lost_at);
  return false;
}

// A unit that follows another waits until the other's place is committed, and so does one that
// follows a unit that waits.
bool EngineReconciler::FollowsOneInFlight(const Requirements& requirements) {
  std::set<std::string> seen;
  std::vector<std::string> parents = requirements.machine_of;
  while (!parents.empty()) {
    const std::string parent = std::move(parents.back());
    parents.pop_back();
    if (in_flight_.contains(parent)) return true;
    const auto* record = view_->units.Find(parent);
    if (record == nullptr || record->value.desired == DesiredState::kInactive || IsPlaced(parent) ||
        !seen.insert(parent).second) {
      continue;
    }
    const auto its = occupancy_.RequirementsOf(*view_, parent, record->value.content_hash);
    if (!its.ok()) continue;
    parents.insert(parents.end(), (*its)->machine_of.begin(), (*its)->machine_of.end());
  }
  return false;
}

std::vector<EngineReconciler::Placed> EngineReconciler::AssignmentsOf(
    const std::string& unit) const {
  std::vector<Placed> all;
  for (auto it = FirstOf(view_->assignments, unit); InUnit(it, view_->assignments, unit); ++it) {
    all.push_back({it->first.machine, &it->second});
  }
  return all;
}

Decision EngineReconciler::Begin(const std::string& unit, EventEntry event) {
  Decision decision;
  decision.id = ++last_decision_;
  decision.unit = unit;
  decision.event = std::move(event);
  return decision;
}

void EngineReconciler::Emit(Decision decision, std::vector<Decision>& decisions) {
  std::vector<std::string> units = {decision.unit};
  if (!decision.other_unit.empty()) units.push_back(decision.other_unit);
  for (const std::string& unit : units) in_flight_[unit].undecided.insert(decision.id);
  units_of_decision_.emplace(decision.id, std::move(units));
  if (occupancy_.Anticipate(*view_, decision)) dirty_.insert(waiting_.begin(), waiting_.end());
  decisions.push_back(std::move(decision));
}

void EngineReconciler::GuardUnit(Decision& decision, const std::string& unit) const {
  const auto* record = view_->units.Find(unit);
  decision.guards.push_back(
      {Guard::Kind::kUnit, unit, "", record == nullptr ? 0 : record->mod_revision});
}

void EngineReconciler::GuardMachine(Decision& decision, const std::string& machine) const {
  const auto* record = view_->machines.Find(machine);
  decision.guards.push_back(
      {Guard::Kind::kMachine, "", machine, record == nullptr ? 0 : record->create_revision});
}

void EngineReconciler::GuardTarget(Decision& decision, const std::string& machine) const {
  GuardMachine(decision, machine);
  const auto* settings = view_->settings.Find(machine);
  decision.guards.push_back(
      {Guard::Kind::kSettings, "", machine, settings == nullptr ? 0 : settings->mod_revision});
}

void EngineReconciler::GuardAssignment(Decision& decision, const std::string& unit,
                                       const std::string& machine) const {
  const auto* stored = view_->assignments.Find(UnitOnMachine{unit, machine});
  decision.guards.push_back(
      {Guard::Kind::kAssignment, unit, machine, stored == nullptr ? 0 : stored->mod_revision});
}

// The units it follows must still be where they were seen.
void EngineReconciler::GuardFollowed(Decision& decision, const Requirements& requirements,
                                     const std::string& machine) const {
  for (const std::string& parent : requirements.machine_of) {
    const auto* stored = view_->assignments.Find(UnitOnMachine{parent, machine});
    if (stored != nullptr) GuardAssignment(decision, parent, machine);
  }
}

void EngineReconciler::PutNewAssignment(Decision& decision, const UnitRecord& record,
                                        const std::string& machine) {
  const auto* content = view_->contents.Find(record.content_hash);
  decision.guards.push_back({Guard::Kind::kContent, record.content_hash, "",
                             content == nullptr ? 0 : content->create_revision});
  decision.writes.emplace_back(PutAssignment{decision.unit, machine,
                                             Assignment{.uid = record.uid,
                                                        .generation = view_->revision,
                                                        .content_hash = record.content_hash,
                                                        .state = StateFor(record.desired),
                                                        .restarts = record.restarts,
                                                        .starts = record.starts}});
  if (HasNotes(record)) decision.writes.emplace_back(PutUnit{decision.unit, WithoutNotes(record)});
}

void EngineReconciler::PutTombstone(Decision& decision, const Placed& live,
                                    const std::string& next) {
  GuardAssignment(decision, decision.unit, live.machine);
  Assignment tombstone = live.stored->value;
  tombstone.state = AssignmentState::kGone;
  tombstone.generation = view_->revision;
  tombstone.next_machine = next;
  decision.writes.emplace_back(PutAssignment{decision.unit, live.machine, std::move(tombstone)});
}

}  // namespace fleet::reconcile
