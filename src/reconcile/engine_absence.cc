// Machines that are not there: when a run on one of them has ended, and when the engine holds its
// hand because many have gone at once. See engine_reconciler.h for the whole.

#include <algorithm>
#include <utility>

#include "fmt/core.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_limits.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

namespace {

const char* const kHoldKey = "cluster/hold";

}  // namespace

bool EngineReconciler::IsLost(const std::string& machine) {
  return CountsNow(machine, absences_.LostAt(machine));
}

// Whether a run on a machine that is not there has ended, as far as S1 is concerned; the unit is
// judged again when it may have.
bool EngineReconciler::HasEnded(const Member& member, const Placed& placed) {
  const bool must_have_stopped = MustStopOnIsolation(member, placed.stored->value);
  if (CountsNow(placed.machine, must_have_stopped ? absences_.MustHaveStoppedAt(placed.machine)
                                                  : absences_.LostAt(placed.machine))) {
    return true;
  }
  if (view_->machines.Find(placed.machine) == nullptr) at_wakeup_.insert(member.unit);
  return false;
}

// What counts is the text that may be running there; one that cannot be read may say so.
bool EngineReconciler::MustStopOnIsolation(const Member& member,
                                           const Assignment& assignment) const {
  if (member.requirements->stops_on_isolation) return true;
  if (assignment.content_hash == member.record->value.content_hash) return false;
  const auto running = ReadRequirements(*view_, member.unit, assignment.content_hash);
  return !running.ok() || (*running)->stops_on_isolation;
}

bool EngineReconciler::CountsNow(const std::string& machine, absl::Time at) {
  if (view_->machines.Find(machine) != nullptr) return false;
  // A record that cannot be read is neither present nor absent (S3).
  if (!view_->unreadable.empty() && view_->unreadable.Find("machines/" + machine) != nullptr) {
    return false;
  }
  if (mass_loss_.holds() && !absences_.HasLeft(machine)) at = std::max(at, mass_loss_.until());
  if (now_ >= at) return true;
  next_wakeup_ = std::min(next_wakeup_, at);
  return false;
}

std::set<std::string> EngineReconciler::AbsentOnesWithUnits() const {
  std::set<std::string> machines;
  for (const auto& [place, stored] : view_->assignments) {
    if (stored.value.state == AssignmentState::kGone) continue;
    if (view_->machines.Find(place.machine) == nullptr) machines.insert(place.machine);
  }
  return machines;
}

// Begins and ends the hold, and keeps its record, which is what explanations are made from.
void EngineReconciler::JudgeMassLoss(std::vector<Decision>& decisions) {
  const bool presence_changed = std::exchange(presence_changed_, false);
  if (!presence_changed && !mass_loss_.holds() && !view_->hold) return;
  bool has_changed = false;
  if (mass_loss_.holds() && view_->hold && view_->hold->value.released &&
      !in_flight_.contains(kHoldKey)) {
    mass_loss_.Release();
    has_changed = true;
  } else {
    std::vector<std::string> missing = absences_.MissingSince(now_ - settings_.ttl);
    std::erase_if(missing, [&](const auto& machine) { return !occupancy_.HasUnits(machine); });
    size_t there = 0;
    if (!missing.empty()) {
      for (const auto& [machine, record] : view_->machines) {
        if (occupancy_.HasUnits(machine)) ++there;
      }
    }
    has_changed = mass_loss_.Update(now_, there, missing, [&](const std::string& machine) {
      return view_->machines.Find(machine) != nullptr;
    });
  }
  if (mass_loss_.holds()) {
    next_wakeup_ = std::min(next_wakeup_, mass_loss_.until());
  } else if (has_changed) {
    MarkAllDirty(std::exchange(at_wakeup_, {}));
  }
  WriteHold(decisions);
}

void EngineReconciler::WriteHold(std::vector<Decision>& decisions) {
  if (in_flight_.contains(kHoldKey) || view_->unreadable.Find(kHoldKey) != nullptr) return;
  const bool holds = mass_loss_.holds();
  if (holds ? view_->hold && view_->hold->value.reason == mass_loss_.reason() : !view_->hold)
    return;
  Decision decision = Begin();
  AddUnit(decision, kHoldKey);
  const int64_t revision = view_->hold ? view_->hold->mod_revision : 0;
  AddGuard(decision, {Guard::Kind::kCluster, "hold", "", revision});
  std::string reason = mass_loss_.reason();
  if (reason.empty()) reason = "the missing machines are back";
  decision.events.push_back({holds ? "held" : "released", "", "", reason});
  std::optional<HoldRecord> record;
  if (holds) record = HoldRecord{.reason = std::move(reason)};
  decision.writes.emplace_back(PutHold{std::move(record)});
  Emit(std::move(decision), decisions);
}

void EngineReconciler::SyncForgotten(const std::string& machine) {
  const auto* settings = view_->settings.Find(machine);
  if (settings == nullptr || !settings->value.forgotten) {
    forgotten_.erase(machine);
  } else if (forgotten_.insert(machine).second) {
    for (const std::string& unit : occupancy_.UnitsOn(machine)) MarkDirty(unit);
  }
}

// What is assigned to a machine that the operator has said is gone for good has ended (S1), and
// nothing waits for it there any more. True if there was something: the rest is decided once that
// is in the view.
bool EngineReconciler::ForgetAssignments(const std::string& unit,
                                         std::vector<Decision>& decisions) {
  Decision decision = Begin();
  for (const Placed& placed : AssignmentsOf(unit)) {
    const std::string& machine = placed.machine;
    if (!forgotten_.contains(machine) || view_->machines.Find(machine) != nullptr) continue;
    AddUnit(decision, unit);
    decision.events.push_back(
        {"forgotten", unit, machine, "the operator has said that its machine is gone for good"});
    GuardTarget(decision, machine);  // it is absent, and that is still said
    GuardAssignment(decision, unit, machine);
    decision.writes.emplace_back(DeleteAssignment{unit, machine});
    if (decision.units.size() + decision.writes.size() > kMaxTogether) break;
  }
  if (decision.writes.empty()) return false;
  Emit(std::move(decision), decisions);
  return true;
}

// The operator's word has been carried out, or the machine has come back nevertheless.
void EngineReconciler::ClearForgotten(std::vector<Decision>& decisions) {
  for (const std::string& machine : forgotten_) {
    const std::string key = SettingsKey(machine);
    if (in_flight_.contains(key)) continue;
    const bool is_there = view_->machines.Find(machine) != nullptr;
    const auto is_on_it = [&](const auto& entry) { return entry.first.machine == machine; };
    if (!is_there &&
        (occupancy_.HasUnits(machine) ||
         std::any_of(view_->assignments.begin(), view_->assignments.end(), is_on_it))) {
      continue;
    }
    Decision decision = Begin();
    AddUnit(decision, key);
    GuardTarget(decision, machine);
    decision.events.push_back({"forgotten", "", machine,
                               is_there ? "it is back: its units stay"
                                        : "the operator has said that it is gone for good"});
    // Of one that is gone for good nothing stays that was set (C3).
    MachineSettings settings;
    if (is_there) {
      settings = view_->settings.Find(machine)->value;
      settings.forgotten = false;
      settings.GiveBackSlot();
    }
    decision.writes.emplace_back(PutSettings{machine, std::move(settings)});
    Emit(std::move(decision), decisions);
  }
}

// Machines that come and go get nothing new; ChooseFor() has the exception.
void EngineReconciler::SyncUnsteady() {
  const std::vector<std::string> found = absences_.Unsteady(now_);
  next_wakeup_ = std::min(next_wakeup_, absences_.NextSteady(now_));
  const std::set<std::string> unsteady(found.begin(), found.end());
  if (unsteady == unsteady_) return;
  const std::set<std::string> before = std::exchange(unsteady_, unsteady);
  for (const std::string& machine : before) Close(machine, false);
  for (const std::string& machine : unsteady_) Close(machine, true);
  MarkAllDirty(waiting_);
  MarkAllDirty(occupancy_.globals());
}

// Nobody asks about absent machines that nothing is assigned to (C3).
void EngineReconciler::ForgetAbsent() {
  for (const std::string& machine : absences_.Absent()) {
    if (!occupancy_.HasUnits(machine)) absences_.Forget(machine, now_);
  }
}

// Why units are not moved off a lost machine yet; empty if they are. From the records: whoever
// explains need not be the leader.
std::string EngineReconciler::WhatHoldsLost(const Group& group, const std::string& machine) const {
  if (view_->machines.Find(machine) != nullptr) return "";
  if (view_->hold && !view_->hold->value.released) {
    return fmt::format("its machine {} is missing, and {}", machine, view_->hold->value.reason);
  }
  for (const Member& member : group) {
    if (!member.record->value.refusal.empty()) continue;  // it is not that any more
    const auto* stored = view_->assignments.Find(UnitOnMachine{member.unit, machine});
    if (stored == nullptr || !MustStopOnIsolation(member, stored->value)) continue;
    return fmt::format(
        "its machine {} is gone; with OnIsolation=stop, {} starts elsewhere once that must have "
        "stopped it",
        machine, member.unit);
  }
  return "";
}

}  // namespace fleet::reconcile
