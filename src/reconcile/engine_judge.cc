// What the engine decides about one unit. See engine_reconciler.h for the whole.

#include <algorithm>
#include <utility>

#include "base/glob.h"
#include "fmt/core.h"
#include "model/features.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

using scheduler::As;

void EngineReconciler::Judge(const std::string& unit, std::vector<Decision>& decisions) {
  covered_.clear();
  // Those it follows come first, so that it is not refused for a moment.
  for (const std::string& followed : DirtyOnesItFollows(unit)) {
    dirty_.erase(followed);
    if (!covered_.contains(followed)) JudgeOne(followed, decisions);
  }
  if (!covered_.contains(unit)) JudgeOne(unit, decisions);
}

// Dirty units that it follows directly or over other dirty ones, each before those that follow it.
std::vector<std::string> EngineReconciler::DirtyOnesItFollows(const std::string& unit) {
  struct Step {
    std::string unit;
    std::vector<std::string> follows;
  };
  const auto step = [&](const std::string& name) -> Step {
    const auto* record = view_->units.Find(name);
    if (record == nullptr || record->value.desired == DesiredState::kInactive) return {name, {}};
    const auto its = occupancy_.RequirementsOf(*view_, name, record->value.content_hash);
    if (!its.ok()) return {name, {}};
    std::vector<std::string> follows = (*its)->machine_of;
    for (const Within& within : (*its)->collocate_within) follows.push_back(within.name);
    return {name, std::move(follows)};
  };
  std::vector<std::string> order;
  absl::flat_hash_set<std::string> seen = {unit};
  std::vector<Step> path = {step(unit)};  // without recursion: a chain may be long
  while (!path.empty()) {
    if (path.back().follows.empty()) {
      if (path.size() > 1) order.push_back(path.back().unit);
      path.pop_back();
      continue;
    }
    const std::string next = path.back().follows.back();
    path.back().follows.pop_back();
    if (dirty_.contains(next) && seen.insert(next).second) path.push_back(step(next));
  }
  return order;
}

void EngineReconciler::JudgeOne(const std::string& unit, std::vector<Decision>& decisions) {
  if (in_flight_.contains(unit) || HasUnreadableRecord(*view_, unit)) return;
  if (unit.starts_with(kRolloutPrefix)) return JudgeRollout(unit, decisions);
  ForgetWaiting(unit);
  held_back_.erase(unit);
  queued_movers_.erase(unit);
  if (!forgotten_.empty() && ForgetAssignments(unit, decisions)) return;
  const auto* record = view_->units.Find(unit);
  if (record != nullptr && !WhatItLacks(record->value).empty()) return;
  if (JudgeReplica(unit, decisions)) return;
  if (IsTemplate(unit)) JudgeReplicas(unit, decisions);
  if (record == nullptr || record->value.desired == DesiredState::kInactive || IsTemplate(unit)) {
    JudgeUnwanted(unit, record, decisions);
    return;
  }
  const auto requirements = occupancy_.RequirementsOf(*view_, unit, record->value.content_hash);
  if (!requirements.ok()) {
    Refuse(unit, *record, std::string(requirements.status().message()), decisions);
    return;
  }
  const Member member = {.unit = unit,
                         .record = record,
                         .requirements = *requirements,
                         .id = occupancy_.IdOf(unit),
                         .placed = AssignmentsOf(unit)};
  if (member.requirements->global) {
    JudgeGlobal(member, decisions);
  } else {
    JudgeSingle(member, decisions);
  }
}

void EngineReconciler::JudgeUnwanted(const std::string& unit, const Stored<UnitRecord>* record,
                                     std::vector<Decision>& decisions) {
  occupancy_.BreakPromise(*view_, unit);
  outcomes_.erase(unit);
  const std::string reason = record == nullptr ? "the unit was destroyed" : "it was unloaded";
  for (const Placed& placed : AssignmentsOf(unit)) {
    const Assignment& assignment = placed.stored->value;
    if (assignment.state != AssignmentState::kGone) {
      Decision decision = Begin();
      AddUnit(decision, unit);
      decision.events.push_back({"stopped", unit, placed.machine, reason});
      GuardUnit(decision, unit);
      PutTombstone(decision, unit, placed, "");
      Emit(std::move(decision), decisions);
    } else if (ReportedGone(*view_, unit, placed.machine, assignment)) {
      Decision decision = Begin();
      AddUnit(decision, unit);
      decision.events.push_back({"ended", unit, placed.machine, reason});
      GuardAssignment(decision, unit, placed.machine);
      decision.writes.emplace_back(DeleteAssignment{unit, placed.machine});
      Emit(std::move(decision), decisions);
    } else if (AnotherThan(unit, placed) != nullptr) {
      // The one of the tombstone is gone; what stands there nobody has asked to stop (S3).
      Decision decision = Begin();
      AddUnit(decision, unit);
      decision.events.push_back(
          {"ended", unit, placed.machine, "another unit of that name runs there"});
      GuardUnit(decision, unit);
      GuardAssignment(decision, unit, placed.machine);
      GuardReport(decision, unit, placed.machine);
      decision.writes.emplace_back(DeleteAssignment{unit, placed.machine});
      Emit(std::move(decision), decisions);
    }
  }
  if (record != nullptr) ClearNotes(unit, *record, reason, decisions);
}

void EngineReconciler::ClearNotes(const std::string& unit, const Stored<UnitRecord>& record,
                                  const std::string& reason, std::vector<Decision>& decisions) {
  if (!HasNotes(record.value) && record.value.move_to.empty()) return;
  Decision decision = Begin();
  AddUnit(decision, unit);
  decision.events.push_back({"cleared", unit, "", reason});
  GuardUnit(decision, unit);
  decision.writes.emplace_back(PutUnit{unit, WithoutNotes(record.value)});
  Emit(std::move(decision), decisions);
}

void EngineReconciler::JudgeSingle(const Member& member, std::vector<Decision>& decisions) {
  std::optional<Placed> live;
  std::vector<Placed> tombstones;
  for (const Placed& placed : member.placed) {
    const Assignment& assignment = placed.stored->value;
    if (assignment.state == AssignmentState::kGone) {
      tombstones.push_back(placed);
    } else if (assignment.uid == member.record->value.uid && !live) {
      live = placed;
    } else {
      Decision decision = Begin();
      AddUnit(decision, member.unit);
      decision.events.push_back({"stopped", member.unit, placed.machine,
                                 assignment.uid == member.record->value.uid
                                     ? "it is not global any more"
                                     : "it belongs to a unit destroyed before"});
      PutTombstone(decision, member.unit, placed, "");
      Emit(std::move(decision), decisions);
      return;  // the rest once this is in the view
    }
  }
  if (JudgeOrphans(member, live, decisions)) return;
  if (const std::string early = WhyTooEarly(member); !early.empty()) {
    return Refuse(member.unit, *member.record, early, decisions);
  }
  if (!live) return JudgeUnassigned(member, decisions);
  bool ended = false;
  for (const Placed& tombstone : tombstones) {
    if (!ReportedGone(*view_, member.unit, tombstone.machine, tombstone.stored->value)) continue;
    ended = true;
    Decision decision = Begin();
    AddUnit(decision, member.unit);
    decision.events.push_back(
        {"ended", member.unit, tombstone.machine, "the machine it was moved off is back"});
    GuardAssignment(decision, member.unit, tombstone.machine);
    decision.writes.emplace_back(DeleteAssignment{member.unit, tombstone.machine});
    Emit(std::move(decision), decisions);
  }
  // The unit may have to go back to that very machine: the key is put only once it is deleted.
  if (!ended) JudgeAssigned(member, *live, decisions);
}

// The unit of that name that runs on the machine although the tombstone there is another one's: the
// registry was restored to a time before it came. Null if there is none. REQUIRES: a tombstone.
const StateReport* EngineReconciler::AnotherThan(const std::string& unit,
                                                 const Placed& tombstone) const {
  const auto* report = view_->states.Find(UnitOnMachine{unit, tombstone.machine});
  const bool stands = report != nullptr && !report->value.gone &&
                      report->value.uid != tombstone.stored->value.uid &&
                      view_->machines.Find(tombstone.machine) != nullptr;
  return stands ? &report->value : nullptr;
}

// Units that a machine reports and that have no assignment there, or another one's tombstone (S3).
// True if the rest has to wait.
bool EngineReconciler::JudgeOrphans(const Member& member, const std::optional<Placed>& live,
                                    std::vector<Decision>& decisions) {
  const std::string& unit = member.unit;
  const UnitRecord& record = member.record->value;
  for (auto it = FirstOf(view_->states, unit); InUnit(it, view_->states, unit); ++it) {
    const std::string& machine = it->first.machine;
    const StateReport& report = it->second.value;
    if (report.gone || view_->machines.Find(machine) == nullptr) continue;
    const auto* assigned = view_->assignments.Find(UnitOnMachine{unit, machine});
    if (assigned != nullptr && (assigned->value.state != AssignmentState::kGone ||
                                AnotherThan(unit, {machine, assigned}) == nullptr)) {
      continue;
    }
    const bool ours = report.uid == record.uid;
    Decision decision = Begin();
    AddUnit(decision, unit);
    GuardAssignment(decision, unit, machine);
    const auto slot = occupancy_.scheduler().FindMachine(machine);
    if (!live && ours && slot &&
        occupancy_.scheduler().RulesOut(member.id, *slot, As::kResident).empty()) {
      // It may be another copy than the one that has just been moved off its machine (S1).
      if (!HasEndedEverywhere(member, Others::kDoNotCount)) return true;
      decision.events.push_back({"adopted", unit, machine, "it runs there already"});
      GuardUnit(decision, unit);
      GuardMachine(decision, machine);
      GuardReport(decision, unit, machine);
      // Above whatever was told anywhere before, which nobody may know of any more (S7).
      int64_t generation = std::max(view_->revision, report.generation);
      for (const Placed& placed : member.placed) {
        generation = std::max(generation, NextGeneration(placed.stored->value));
      }
      decision.writes.emplace_back(PutAssignment{unit, machine,
                                                 Assignment{.uid = report.uid,
                                                            .generation = generation,
                                                            .content_hash = report.content_hash,
                                                            .state = StateFor(record.desired),
                                                            .restarts = record.restarts,
                                                            .starts = record.starts}});
      Emit(std::move(decision), decisions);
      return true;
    }
    std::string why = "it may not run on this machine";
    if (!ours) why = "a unit of this name was created anew";
    if (live) why = "it is assigned to " + live->machine;
    StopOrphan(std::move(decision), it->first, report, why, decisions);
    return true;
  }
  return false;
}

// What a machine reports without having been assigned it gets a tombstone, in place of another
// one's if need be: not even for a moment may it look as if nothing of that name were there (S1).
void EngineReconciler::StopOrphan(Decision decision, const UnitOnMachine& place,
                                  const StateReport& report, const std::string& why,
                                  std::vector<Decision>& decisions) {
  decision.events.push_back({"stopped", place.unit, place.machine, why});
  Assignment tombstone = {.uid = report.uid,
                          .generation = std::max(view_->revision, report.generation + 1),
                          .content_hash = report.content_hash,
                          .state = AssignmentState::kGone};
  if (const auto* before = view_->assignments.Find(place)) {
    tombstone.generation = std::max(tombstone.generation, NextGeneration(before->value));
    tombstone.next_machine = before->value.next_machine;
  }
  decision.writes.emplace_back(PutAssignment{place.unit, place.machine, std::move(tombstone)});
  Emit(std::move(decision), decisions);
}

void EngineReconciler::JudgeAssigned(const Member& member, const Placed& live,
                                     std::vector<Decision>& decisions) {
  const auto* machine = view_->machines.Find(live.machine);
  if (machine == nullptr) {
    if (!HasEnded(member, live)) return;
    const Origin origin = {Origin::Kind::kLost, live.machine};
    PlaceGroup(member.unit, GroupOn(member, live.machine), origin, decisions);
    return;
  }
  if (machine->value.leaving) {
    if (!ReportedGone(*view_, member.unit, live.machine, live.stored->value)) return;
    const Origin origin = {Origin::Kind::kLeft, live.machine};
    PlaceGroup(member.unit, GroupOn(member, live.machine), origin, decisions);
    return;
  }
  const std::string why = MustLeave(member, live);
  if (!why.empty()) {
    MoveAway(member, live, why, decisions);
  } else if (!JudgeFailure(member, live, decisions) && !JudgeMover(member, live, decisions) &&
             !JudgeDrained(member, live, decisions)) {
    UpdateInPlace(member, live, decisions);
  }
}

// Whether it runs on none of the machines that it was moved off, and, if they count, no other one
// of its name does. REQUIRES: it has tombstones only.
bool EngineReconciler::HasEndedEverywhere(const Member& member, Others others) {
  return std::all_of(member.placed.begin(), member.placed.end(), [&](const Placed& tombstone) {
    if (others == Others::kDoNotCount && AnotherThan(member.unit, tombstone) != nullptr) {
      return true;
    }
    return view_->machines.Find(tombstone.machine) == nullptr
               ? HasEnded(member, tombstone)
               : ReportedGone(*view_, member.unit, tombstone.machine, tombstone.stored->value);
  });
}

void EngineReconciler::JudgeUnassigned(const Member& member, std::vector<Decision>& decisions) {
  if (!HasEndedEverywhere(member, Others::kCount)) return;
  PlaceGroup(member.unit, UnplacedGroup(member), Origin{}, decisions);
}

void EngineReconciler::UpdateInPlace(const Member& member, const Placed& live,
                                     std::vector<Decision>& decisions) {
  const UnitRecord& record = member.record->value;
  Assignment updated = live.stored->value;
  updated.state = StateFor(record.desired);
  std::string reason = "its desired state is " + std::string(ToString(record.desired));
  const bool new_text = updated.content_hash != record.content_hash;
  if (new_text || updated.restarts != record.restarts) {
    reason = new_text ? "it has a new text" : "a restart";
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
  if (changed) updated.generation = NextGeneration(live.stored->value);
  Decision decision = Begin();
  AddUnit(decision, member.unit);
  decision.events.push_back({changed ? "updated" : "placed", member.unit, live.machine,
                             changed ? reason : "its machine is back"});
  GuardUnit(decision, member.unit);
  GuardAssignment(decision, member.unit, live.machine);
  if (changed) {
    GuardContent(decision, updated.content_hash);
    if (new_text) GuardTarget(decision, live.machine);  // what the text asks for has to hold there
    decision.writes.emplace_back(PutAssignment{member.unit, live.machine, std::move(updated)});
  }
  if (HasNotes(record)) {
    UnitRecord noted = WithoutNotes(record);
    noted.move_to = record.move_to;
    decision.writes.emplace_back(PutUnit{member.unit, std::move(noted)});
  }
  Emit(std::move(decision), decisions);
}

void EngineReconciler::Refuse(const std::string& unit, const Stored<UnitRecord>& record,
                              const std::string& reason, std::vector<Decision>& decisions) {
  waiting_.insert(unit);
  UnitRecord refused = WithoutNotes(record.value);
  refused.refusal = reason;
  if (refused == record.value) return;
  Decision decision = Begin();
  AddUnit(decision, unit);
  decision.events.push_back({"refused", unit, "", reason});
  GuardUnit(decision, unit);
  decision.writes.emplace_back(PutUnit{unit, std::move(refused)});
  Emit(std::move(decision), decisions);
}

// Why a placed unit may not stay where it is; empty if it may. Of two placed units that conflict
// the one placed later yields.
std::string EngineReconciler::MustLeave(const Member& member, const Placed& live) {
  const auto& scheduler = occupancy_.scheduler();
  const auto slot = scheduler.FindMachine(live.machine);
  if (!slot) return std::string(scheduler::kAbsentText);
  if (HasUnreadableSettings(*view_, live.machine)) return "";
  const bool has_new_text = live.stored->value.content_hash != member.record->value.content_hash;
  bool needs_more = has_new_text && member.requirements->Reserves();
  if (needs_more) {
    const auto running = ReadRequirements(*view_, member.unit, live.stored->value.content_hash);
    needs_more = !running.ok() ||
                 member.requirements->reserve_milli_cores > (*running)->reserve_milli_cores ||
                 member.requirements->reserve_memory > (*running)->reserve_memory;
  }
  needs_more = needs_more ||
               (has_new_text && !UnknownFeature(FeaturesOf(*member.requirements),
                                                view_->machines.Find(live.machine)->value.features)
                                     .empty());
  std::string why = scheduler.RulesOut(member.id, *slot, needs_more ? As::kChanged : As::kResident);
  if (why.empty()) return why;
  const bool followed_is_absent = std::any_of(
      member.requirements->collocate_within.begin(), member.requirements->collocate_within.end(),
      [&](const Within& within) {
        const auto followed = scheduler.FindUnit(within.name);
        if (!followed) return false;
        const auto runs = scheduler.RunsOn(*followed);
        return !runs.empty() && std::none_of(runs.begin(), runs.end(), [&](scheduler::Slot one) {
          return scheduler.IsPresent(one);
        }) && why == scheduler::CollocateText(within.key, within.name, runs.size(), 0);
      });
  if (followed_is_absent) {
    // The one in whose zone it is to be may run on: nothing is stopped because a machine is absent.
    // But what comes after that in the order of constraints holds.
    const auto reserved = scheduler.ReservedOn(*slot);
    const MachineRecord& record = view_->machines.Find(live.machine)->value;
    if (needs_more &&
        (reserved.milli_cores > record.milli_cores || reserved.memory > record.memory_bytes)) {
      return why;
    }
    const auto conflicts = scheduler.Conflicts(member.id, *slot);
    if (conflicts.empty()) return "";
    std::vector<std::string> names;
    names.reserve(conflicts.size());
    for (const scheduler::UnitId id : conflicts) names.push_back(scheduler.UnitName(id));
    why = scheduler::ConflictsText(names);
  }
  // With a new text it is placed anew where it is, and so the one that came later.
  if (has_new_text || !why.starts_with("Conflicts")) return why;
  const auto mine = std::pair(live.stored->value.generation, member.unit);
  std::vector<std::string> later;
  for (const scheduler::UnitId id : scheduler.Conflicts(member.id, *slot)) {
    const std::string& other = scheduler.UnitName(id);
    for (const Placed& placed : AssignmentsOf(other)) {
      // What a machine that is leaving has stopped gives way to what runs.
      if (placed.stored->value.state == AssignmentState::kGone ||
          ReportedGone(*view_, other, placed.machine, placed.stored->value)) {
        continue;
      }
      if (!AreTooClose(member, live.machine, other, placed.machine)) continue;
      if (std::pair(placed.stored->value.generation, other) < mine) return why;
      later.push_back(other);
    }
  }
  MarkAllDirty(later);  // it is for them to leave
  return "";
}

// Whether two units that conflict do so on these machines.
bool EngineReconciler::AreTooClose(const Member& member, const std::string& machine,
                                   const std::string& other, const std::string& its_machine) const {
  if (machine == its_machine) return true;
  const auto keeps_away = [&](const Requirements& requirements, const std::string& from) {
    return std::any_of(requirements.conflicts_within.begin(), requirements.conflicts_within.end(),
                       [&](const Within& within) {
                         const std::string zone = MetadataOf(machine, within.key);
                         return !zone.empty() && GlobMatches(within.name, from) &&
                                zone == MetadataOf(its_machine, within.key);
                       });
  };
  const auto id = occupancy_.scheduler().FindUnit(other);
  return keeps_away(*member.requirements, other) ||
         (id && keeps_away(occupancy_.scheduler().RequirementsOf(*id), member.unit));
}

}  // namespace fleet::reconcile
