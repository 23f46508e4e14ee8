#include "reconcile/occupancy.h"

#include <utility>

#include "fmt/core.h"
#include "model/unit_name.h"

namespace fleet::reconcile {

namespace {

const std::set<std::string>& NoUnits() {
  static const std::set<std::string> kNone;
  return kNone;
}

// The sets of an index entry without the empty ones piling up (C3).
void EraseFrom(absl::flat_hash_map<std::string, std::set<std::string>>& index,
               const std::string& key, const std::string& value) {
  const auto it = index.find(key);
  if (it == index.end()) return;
  it->second.erase(value);
  if (it->second.empty()) index.erase(it);
}

absl::StatusOr<scheduler::RequirementsPtr> Parse(const ClusterView& view, const std::string& unit,
                                                 const std::string& content_hash) {
  const auto* content = view.contents.Find(content_hash);
  if (content == nullptr) {
    return absl::NotFoundError(
        fmt::format("the text of {} ({}) is not in the registry", unit, content_hash.substr(0, 7)));
  }
  const auto name = UnitName::Parse(unit);
  if (!name.ok()) return name.status();
  auto requirements = ParseRequirements(*content->value.file, *name);
  if (!requirements.ok()) return requirements.status();
  return std::make_shared<const Requirements>(*std::move(requirements));
}

}  // namespace

bool ReportedGone(const ClusterView& view, const std::string& unit, const std::string& machine,
                  const Assignment& assignment) {
  const auto* report = view.states.Find(UnitOnMachine{unit, machine});
  return report != nullptr && report->value.gone && report->value.uid == assignment.uid &&
         report->value.generation == assignment.generation;
}

absl::StatusOr<scheduler::RequirementsPtr> Occupancy::RequirementsOf(
    const ClusterView& view, const std::string& unit, const std::string& content_hash) {
  const auto it = known_.find(unit);
  if (it != known_.end() && it->second.content_hash == content_hash &&
      !absl::IsNotFound(it->second.requirements.status())) {
    return it->second.requirements;
  }
  auto requirements = Parse(view, unit, content_hash);
  NoteRelations(unit, requirements.ok() ? requirements->get() : nullptr);
  known_.insert_or_assign(unit, Known{content_hash, requirements});
  return requirements;
}

scheduler::RequirementsPtr Occupancy::RequirementsOrNone(const ClusterView& view,
                                                         const std::string& unit,
                                                         const std::string& content_hash) {
  static const auto kNone = std::make_shared<const Requirements>();
  auto requirements = RequirementsOf(view, unit, content_hash);
  return requirements.ok() ? *requirements : kNone;
}

void Occupancy::NoteRelations(const std::string& unit, const Requirements* requirements) {
  const auto it = known_.find(unit);
  if (it != known_.end() && it->second.requirements.ok()) {
    for (const std::string& parent : (*it->second.requirements)->machine_of) {
      EraseFrom(followers_, parent, unit);
    }
  }
  globals_.erase(unit);
  replacers_.erase(unit);
  if (requirements == nullptr) return;
  for (const std::string& parent : requirements->machine_of) followers_[parent].insert(unit);
  if (requirements->global) globals_.insert(unit);
  if (!requirements->replaces.empty()) replacers_.insert(unit);
}

void Occupancy::SyncMachine(const ClusterView& view, const std::string& machine) {
  const auto* record = view.machines.Find(machine);
  if (record == nullptr) {
    scheduler_.RemoveMachine(machine);
    return;
  }
  const auto* settings = view.settings.Find(machine);
  scheduler_.SetMachine({.id = machine,
                         .metadata = EffectiveMetadata(
                             record->value, settings == nullptr ? nullptr : &settings->value),
                         .schedulable = !record->value.leaving});
}

bool Occupancy::SyncUnit(const ClusterView& view, const std::string& unit) {
  Places places;
  std::string content_hash;
  const auto* record = view.units.Find(unit);
  if (record != nullptr) content_hash = record->value.content_hash;
  // A report without an assignment, or about another uid, occupies the machine until it is gone.
  for (auto it = FirstOf(view.states, unit); InUnit(it, view.states, unit); ++it) {
    if (it->second.value.gone) continue;
    places.emplace(it->first.machine, scheduler::Hold::kLeaves);
    if (content_hash.empty()) content_hash = it->second.value.content_hash;
  }
  for (auto it = FirstOf(view.assignments, unit); InUnit(it, view.assignments, unit); ++it) {
    const Assignment& assignment = it->second.value;
    const std::string& machine = it->first.machine;
    if (content_hash.empty()) content_hash = assignment.content_hash;
    if (assignment.state != AssignmentState::kGone) {
      places[machine] = scheduler::Hold::kRuns;
      continue;
    }
    if (!ReportedGone(view, unit, machine, assignment)) {
      places.emplace(machine, scheduler::Hold::kLeaves);
    }
    // A unit that is not wanted any more goes nowhere.
    const bool moves = record != nullptr && record->value.uid == assignment.uid &&
                       record->value.desired != DesiredState::kInactive;
    if (moves && !assignment.next_machine.empty()) {
      places[assignment.next_machine] = scheduler::Hold::kRuns;
    }
  }
  if (record != nullptr && !record->value.nominated_machine.empty()) {
    places[record->value.nominated_machine] = scheduler::Hold::kRuns;
  }
  if (record == nullptr && places.empty()) {
    const bool left = SetPlaces(unit, nullptr, {});
    NoteRelations(unit, nullptr);
    known_.erase(unit);
    return left;
  }
  return SetPlaces(unit, RequirementsOrNone(view, unit, content_hash), std::move(places));
}

bool Occupancy::Anticipate(const ClusterView& view, const Decision& decision) {
  const bool left = AnticipateUnit(view, decision.unit, decision.writes);
  if (decision.other_unit.empty()) return left;
  return AnticipateUnit(view, decision.other_unit, decision.writes) || left;
}

bool Occupancy::AnticipateUnit(const ClusterView& view, const std::string& unit,
                               const std::vector<Write>& writes) {
  Places places = places_[unit];
  std::string content_hash;
  const auto* record = view.units.Find(unit);
  if (record != nullptr) content_hash = record->value.content_hash;
  // Reservations first: an assignment there stands for itself.
  for (const Write& write : writes) {
    const auto* put = std::get_if<PutUnit>(&write);
    if (put == nullptr || put->unit != unit) continue;
    if (record != nullptr) places.erase(record->value.nominated_machine);
    const std::string& nominated = put->record.nominated_machine;
    if (!nominated.empty()) places[nominated] = scheduler::Hold::kRuns;
  }
  for (const Write& write : writes) {
    if (const auto* put = std::get_if<PutAssignment>(&write); put != nullptr && put->unit == unit) {
      const bool gone = put->assignment.state == AssignmentState::kGone;
      places[put->machine] = gone ? scheduler::Hold::kLeaves : scheduler::Hold::kRuns;
      if (!put->assignment.next_machine.empty()) {
        places[put->assignment.next_machine] = scheduler::Hold::kRuns;
      }
      if (content_hash.empty()) content_hash = put->assignment.content_hash;
    } else if (const auto* removed = std::get_if<DeleteAssignment>(&write);
               removed != nullptr && removed->unit == unit) {
      places.erase(removed->machine);
    }
  }
  return SetPlaces(unit, RequirementsOrNone(view, unit, content_hash), std::move(places));
}

std::string Occupancy::RulesOutWithout(const std::string& leaving, const std::string& unit,
                                       const Requirements& requirements,
                                       const std::string& machine) {
  const auto places = places_.find(leaving);
  const bool is_there = places != places_.end() && places->second.contains(machine);
  if (is_there) scheduler_.Unplace(leaving, machine);
  std::string why = scheduler_.RulesOut(unit, requirements, machine, /*newcomer=*/true);
  if (is_there) {
    scheduler_.Place(leaving, placed_with_[leaving], machine, places->second.at(machine));
  }
  return why;
}

bool Occupancy::SetPlaces(const std::string& unit, const scheduler::RequirementsPtr& requirements,
                          Places places) {
  const auto known = places_.find(unit);
  const Places before = known == places_.end() ? Places() : known->second;
  const bool same_requirements =
      known != places_.end() && placed_with_[unit].get() == requirements.get();
  if (before == places && (same_requirements || places.empty())) return false;
  bool left = false;
  for (const auto& [machine, hold] : before) {
    if (places.contains(machine)) continue;
    scheduler_.Unplace(unit, machine);
    EraseFrom(units_on_, machine, unit);
    left = true;
  }
  for (const auto& [machine, hold] : places) {
    const auto was = before.find(machine);
    if (was != before.end() && was->second == hold && same_requirements) continue;
    scheduler_.Place(unit, requirements, machine, hold);
    units_on_[machine].insert(unit);
    left = left || (was != before.end() && !same_requirements);
  }
  if (places.empty()) {
    places_.erase(unit);
    placed_with_.erase(unit);
  } else {
    places_[unit] = std::move(places);
    placed_with_[unit] = requirements;
  }
  return left;
}

const std::set<std::string>& Occupancy::UnitsOn(const std::string& machine) const {
  const auto it = units_on_.find(machine);
  return it == units_on_.end() ? NoUnits() : it->second;
}

const std::set<std::string>& Occupancy::FollowersOf(const std::string& unit) const {
  const auto it = followers_.find(unit);
  return it == followers_.end() ? NoUnits() : it->second;
}

}  // namespace fleet::reconcile
