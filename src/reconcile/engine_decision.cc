// What the engine's decisions are made of: guards, writes, and what becomes of a decision once it
// is made. See engine_reconciler.h for the whole.

#include <algorithm>
#include <utility>

#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

namespace {

int64_t ModRevisionOf(const auto* stored) { return stored == nullptr ? 0 : stored->mod_revision; }
int64_t CreateRevisionOf(const auto* stored) {
  return stored == nullptr ? 0 : stored->create_revision;
}

}  // namespace

void EngineReconciler::Emit(Decision decision, std::vector<Decision>& decisions) {
  for (const std::string& unit : decision.units) in_flight_[unit].undecided.insert(decision.id);
  units_of_decision_.emplace(decision.id, decision.units);
  if (occupancy_.Anticipate(*view_, decision)) MarkAllDirty(waiting_);
  NoteHandOvers(decision);
  decisions.push_back(std::move(decision));
}

void EngineReconciler::AddUnit(Decision& decision, const std::string& unit) {
  auto& units = decision.units;
  if (std::find(units.begin(), units.end(), unit) == units.end()) units.push_back(unit);
}

void EngineReconciler::AddGuard(Decision& decision, Guard guard) {
  auto& guards = decision.guards;
  if (std::find(guards.begin(), guards.end(), guard) == guards.end()) {
    guards.push_back(std::move(guard));
  }
}

void EngineReconciler::GuardUnit(Decision& decision, const std::string& unit) const {
  AddGuard(decision, {Guard::Kind::kUnit, unit, "", ModRevisionOf(view_->units.Find(unit))});
}

void EngineReconciler::GuardMachine(Decision& decision, const std::string& machine) const {
  AddGuard(decision,
           {Guard::Kind::kMachine, "", machine, CreateRevisionOf(view_->machines.Find(machine))});
}

void EngineReconciler::GuardMachineRecord(Decision& decision, const std::string& machine) const {
  AddGuard(decision, {Guard::Kind::kMachineRecord, "", machine,
                      ModRevisionOf(view_->machines.Find(machine))});
}

// What made the machine eligible: its metadata, its capacity, that it takes newcomers.
void EngineReconciler::GuardTarget(Decision& decision, const std::string& machine) const {
  GuardMachineRecord(decision, machine);
  AddGuard(decision,
           {Guard::Kind::kSettings, "", machine, ModRevisionOf(view_->settings.Find(machine))});
}

void EngineReconciler::GuardAssignment(Decision& decision, const std::string& unit,
                                       const std::string& machine) const {
  const auto* stored = view_->assignments.Find(UnitOnMachine{unit, machine});
  AddGuard(decision, {Guard::Kind::kAssignment, unit, machine, ModRevisionOf(stored)});
}

// What is adopted has to run there still: a machine that has restarted meanwhile has none of it.
void EngineReconciler::GuardReport(Decision& decision, const std::string& unit,
                                   const std::string& machine) const {
  const auto* stored = view_->states.Find(UnitOnMachine{unit, machine});
  AddGuard(decision, {Guard::Kind::kState, unit, machine, ModRevisionOf(stored)});
}

void EngineReconciler::GuardContent(Decision& decision, const std::string& hash) const {
  AddGuard(decision,
           {Guard::Kind::kContent, hash, "", CreateRevisionOf(view_->contents.Find(hash))});
}

void EngineReconciler::GuardRollout(Decision& decision, const std::string& name) const {
  AddGuard(decision, {Guard::Kind::kRollout, name, "", ModRevisionOf(view_->rollouts.Find(name))});
}

// The units it follows must still be where they were seen, and those machines in the same zone.
void EngineReconciler::GuardFollowed(Decision& decision, const Requirements& requirements,
                                     const std::string& machine) const {
  for (const std::string& parent : requirements.machine_of) {
    const auto* stored = view_->assignments.Find(UnitOnMachine{parent, machine});
    if (stored != nullptr) GuardAssignment(decision, parent, machine);
  }
  for (const Within& within : requirements.collocate_within) {
    for (const Placed& placed : AssignmentsOf(within.name)) {
      if (placed.stored->value.state == AssignmentState::kGone) continue;
      if (MetadataOf(placed.machine, within.key) != MetadataOf(machine, within.key)) continue;
      GuardAssignment(decision, within.name, placed.machine);
      GuardTarget(decision, placed.machine);
      break;
    }
  }
}

void EngineReconciler::PutNewAssignment(Decision& decision, const Member& member,
                                        const std::string& machine) const {
  const UnitRecord& record = member.record->value;
  int64_t generation = view_->revision;
  for (const Placed& placed : member.placed) {
    generation = std::max(generation, NextGeneration(placed.stored->value));
  }
  GuardContent(decision, record.content_hash);
  decision.writes.emplace_back(PutAssignment{member.unit, machine,
                                             Assignment{.uid = record.uid,
                                                        .generation = generation,
                                                        .content_hash = record.content_hash,
                                                        .state = StateFor(record.desired),
                                                        .restarts = record.restarts,
                                                        .starts = record.starts}});
  if (HasNotes(record) || !record.move_to.empty()) {
    decision.writes.emplace_back(PutUnit{member.unit, WithoutNotes(record)});
  }
}

void EngineReconciler::PutTombstone(Decision& decision, const std::string& unit, const Placed& live,
                                    const std::string& next) const {
  GuardAssignment(decision, unit, live.machine);
  Assignment tombstone = live.stored->value;
  tombstone.state = AssignmentState::kGone;
  tombstone.generation = NextGeneration(live.stored->value);
  tombstone.next_machine = next;
  decision.writes.emplace_back(PutAssignment{unit, live.machine, std::move(tombstone)});
}

// Above the one before (S7), which may be of a time when the registry had higher revisions: a unit
// that ran on was adopted after it had been restored.
int64_t EngineReconciler::NextGeneration(const Assignment& before) const {
  return std::max(view_->revision, before.generation + 1);
}

std::vector<EngineReconciler::Placed> EngineReconciler::AssignmentsOf(
    const std::string& unit) const {
  std::vector<Placed> all;
  for (auto it = FirstOf(view_->assignments, unit); InUnit(it, view_->assignments, unit); ++it) {
    all.push_back({it->first.machine, &it->second});
  }
  return all;
}

// Empty if the machine is absent or does not have the key.
std::string EngineReconciler::MetadataOf(const std::string& machine, const std::string& key) const {
  const auto* record = view_->machines.Find(machine);
  if (record == nullptr) return "";
  const auto* settings = view_->settings.Find(machine);
  const auto metadata =
      EffectiveMetadata(record->value, settings == nullptr ? nullptr : &settings->value);
  const auto it = metadata.find(key);
  return it == metadata.end() ? "" : it->second;
}

}  // namespace fleet::reconcile
