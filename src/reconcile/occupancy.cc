#include "reconcile/occupancy.h"

#include <algorithm>
#include <iterator>

#include "fmt/core.h"
#include "model/features.h"
#include "model/unit_name.h"
#include "reconcile/engine_facts.h"

namespace fleet::reconcile {

namespace {

using scheduler::As;
using scheduler::Hold;
using scheduler::Slot;
using scheduler::UnitId;

// The sets of an index entry without the empty ones piling up (C3).
void EraseFrom(absl::flat_hash_map<std::string, std::set<std::string>>& index,
               const std::string& key, const std::string& value) {
  const auto it = index.find(key);
  if (it == index.end()) return;
  it->second.erase(value);
  if (it->second.empty()) index.erase(it);
}

// Sorted by machine, each once; where it runs counts for more than where it leaves.
template <typename Places>
Places Normal(Places places) {
  std::sort(places.begin(), places.end());
  static_assert(Hold::kRuns < Hold::kLeaves);
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  places.erase(std::unique(places.begin(), places.end(), same), places.end());
  return places;
}

}  // namespace

absl::StatusOr<scheduler::RequirementsPtr> ReadRequirements(const ClusterView& view,
                                                            const std::string& unit,
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
  RequireFeatures(*requirements);
  return std::make_shared<const Requirements>(*std::move(requirements));
}

bool ReportedGone(const ClusterView& view, const std::string& unit, const std::string& machine,
                  const Assignment& assignment) {
  const auto* report = view.states.Find(UnitOnMachine{unit, machine});
  return report != nullptr && report->value.gone && report->value.uid == assignment.uid &&
         report->value.generation == assignment.generation;
}

const Occupancy::Known* Occupancy::Find(const std::string& unit) const {
  const auto id = scheduler_.FindUnit(unit);
  return id && *id < known_.size() && known_[*id].text != nullptr ? &known_[*id] : nullptr;
}

absl::StatusOr<scheduler::RequirementsPtr> Occupancy::RequirementsOf(
    const ClusterView& view, const std::string& unit, const std::string& content_hash) {
  const Known* known = Find(unit);
  if (known == nullptr || known->text->first != content_hash || absl::IsNotFound(known->error)) {
    Note(view, unit, content_hash, ReadRequirements(view, unit, content_hash));
    known = Find(unit);
  }
  if (!known->error.ok()) return known->error;
  return known->requirements;
}

absl::StatusOr<scheduler::RequirementsPtr> Occupancy::PretendText(const ClusterView& view,
                                                                  const std::string& unit,
                                                                  const std::string& content_hash) {
  const Known* before = Find(unit);
  const bool has_changed = before != nullptr && before->has_changed;
  auto requirements = RequirementsOf(view, unit, content_hash);
  Find(unit)->has_changed = has_changed;
  return requirements;
}

scheduler::RequirementsPtr Occupancy::LastRequirementsOf(const std::string& unit) const {
  const Known* known = Find(unit);
  return known == nullptr ? nullptr : known->requirements;
}

void Occupancy::Note(const ClusterView& view, const std::string& unit,
                     const std::string& content_hash,
                     absl::StatusOr<scheduler::RequirementsPtr> requirements) {
  const auto text = texts_.try_emplace(content_hash).first;
  if (requirements.ok()) {
    // The instances of a template mostly ask for the same.
    scheduler::RequirementsPtr& shared = text->second.requirements;
    if (shared == nullptr || *shared != **requirements) shared = *requirements;
    requirements = shared;
  }
  const scheduler::RequirementsPtr now = requirements.ok() ? *requirements : nullptr;
  Known* known = Find(unit);
  NoteRelations(unit, known == nullptr ? nullptr : known->requirements.get(), now.get());
  if (known == nullptr) {
    const UnitId id = scheduler_.SetUnit(unit, now);
    if (known_.size() <= id) known_.resize(size_t{id} + 1);
    known = &known_[id];
  }
  ++text->second.units;
  ReleaseText(*known);
  known->text = &*text;
  known->requirements = now;
  known->error = requirements.status();
  TellRequirements(view, unit, *known);
}

// What its text asks for; but while a machine may still run it with another text, what that
// reserves if it is more.
void Occupancy::TellRequirements(const ClusterView& view, const std::string& unit, Known& known) {
  static const auto kNone = std::make_shared<const Requirements>();
  scheduler::RequirementsPtr told = known.requirements == nullptr ? kNone : known.requirements;
  known.is_merged = false;
  for (auto it = FirstOf(view.assignments, unit); InUnit(it, view.assignments, unit); ++it) {
    const Assignment& assignment = it->second.value;
    if (assignment.content_hash == known.text->first ||
        view.machines.Find(it->first.machine) == nullptr ||
        ReportedGone(view, unit, it->first.machine, assignment)) {
      continue;
    }
    const auto running = ReadRequirements(view, unit, assignment.content_hash);
    if (!running.ok() || ((*running)->reserve_milli_cores <= told->reserve_milli_cores &&
                          (*running)->reserve_memory <= told->reserve_memory)) {
      continue;
    }
    Requirements merged = *told;
    merged.reserve_milli_cores =
        std::max(merged.reserve_milli_cores, (*running)->reserve_milli_cores);
    merged.reserve_memory = std::max(merged.reserve_memory, (*running)->reserve_memory);
    told = std::make_shared<const Requirements>(std::move(merged));
    known.is_merged = true;
  }
  if (scheduler_.RequirementsOf(IdOf(unit)) == *told) return;
  scheduler_.SetUnit(unit, told);
  known.has_changed = true;
}

void Occupancy::Forget(const std::string& unit) {
  promised_.erase(unit);
  Known* known = Find(unit);
  if (known == nullptr) return;
  NoteRelations(unit, known->requirements.get(), nullptr);
  ReleaseText(*known);
  *known = Known();
  scheduler_.RemoveUnit(IdOf(unit));
}

void Occupancy::ReleaseText(Known& known) {
  if (known.text != nullptr && --known.text->second.units == 0) texts_.erase(known.text->first);
  known.text = nullptr;
}

void Occupancy::NoteRelations(const std::string& unit, const Requirements* before,
                              const Requirements* requirements) {
  if (before == requirements) return;
  if (before != nullptr) {
    for (const std::string& parent : before->machine_of) EraseFrom(followers_, parent, unit);
    for (const Within& within : before->collocate_within) EraseFrom(followers_, within.name, unit);
    if (before->global) globals_.erase(unit);
    if (!before->replaces.empty()) replacers_.erase(unit);
  }
  if (requirements == nullptr) return;
  for (const std::string& parent : requirements->machine_of) followers_[parent].insert(unit);
  for (const Within& within : requirements->collocate_within) followers_[within.name].insert(unit);
  if (requirements->global) globals_.insert(unit);
  if (!requirements->replaces.empty()) replacers_.insert(unit);
}

int64_t Occupancy::PriorityOf(const std::string& unit) const {
  const auto id = scheduler_.FindUnit(unit);
  return id ? scheduler_.RequirementsOf(*id).priority : 0;
}

void Occupancy::SyncMachine(const ClusterView& view, const std::string& machine) {
  const auto* record = view.machines.Find(machine);
  if (record == nullptr) {
    scheduler_.RemoveMachine(machine);
    return;
  }
  const auto* settings = view.settings.Find(machine);
  auto metadata =
      EffectiveMetadata(record->value, settings == nullptr ? nullptr : &settings->value);
  scheduler_.SetMachine({.id = machine,
                         .metadata = WithFeatures(std::move(metadata), record->value.features),
                         .schedulable = !record->value.leaving && !closed_.contains(machine) &&
                                        (settings == nullptr || !settings->value.IsClosed()) &&
                                        !HasUnreadableSettings(view, machine),
                         .capacity = {.milli_cores = record->value.milli_cores,
                                      .memory = record->value.memory_bytes}});
}

void Occupancy::SetClosed(const ClusterView& view, const std::string& machine, bool closed) {
  if (closed) {
    closed_.insert(machine);
  } else {
    closed_.erase(machine);
  }
  SyncMachine(view, machine);
}

bool Occupancy::SyncUnit(const ClusterView& view, const std::string& unit) {
  Places places;
  const auto add = [&](const std::string& machine, Hold hold) {
    places.emplace_back(scheduler_.SlotOf(machine), hold);
  };
  std::string content_hash;
  std::string orphan_hash;  // of what was assigned to none of the machines where it runs
  bool has_other_text = false;
  const auto* record = view.units.Find(unit);
  if (record != nullptr) content_hash = record->value.content_hash;
  // A report without an assignment, or about another uid, occupies the machine until it is gone.
  for (auto it = FirstOf(view.states, unit); InUnit(it, view.states, unit); ++it) {
    if (it->second.value.gone) continue;
    add(it->first.machine, Hold::kLeaves);
    const bool is_orphan = view.assignments.Find(it->first) == nullptr;
    std::string& hash = is_orphan ? orphan_hash : content_hash;
    if (hash.empty()) hash = it->second.value.content_hash;
  }
  for (auto it = FirstOf(view.assignments, unit); InUnit(it, view.assignments, unit); ++it) {
    const Assignment& assignment = it->second.value;
    if (content_hash.empty()) content_hash = assignment.content_hash;
    has_other_text = has_other_text || assignment.content_hash != content_hash;
    if (assignment.state != AssignmentState::kGone) {
      add(it->first.machine, Hold::kRuns);
      continue;
    }
    if (!ReportedGone(view, unit, it->first.machine, assignment)) {
      add(it->first.machine, Hold::kLeaves);
    }
    // A unit that is not wanted any more goes nowhere.
    const bool moves = record != nullptr && record->value.uid == assignment.uid &&
                       record->value.desired != DesiredState::kInactive;
    if (moves && !assignment.next_machine.empty()) add(assignment.next_machine, Hold::kRuns);
  }
  if (content_hash.empty()) content_hash = orphan_hash;
  if (record != nullptr && !record->value.nominated_machine.empty()) {
    add(record->value.nominated_machine, Hold::kRuns);
  }
  if (const auto promise = promised_.find(unit); promise != promised_.end()) {
    add(promise->second, Hold::kRuns);
  }
  if (record == nullptr && places.empty()) {
    const bool left = SetPlaces(unit, {});
    Forget(unit);
    return left;
  }
  // Whoever occupies a machine with a text that cannot be read asks for nothing there.
  static_cast<void>(RequirementsOf(view, unit, content_hash));
  if (Known* known = Find(unit); has_other_text || known->is_merged) {
    TellRequirements(view, unit, *known);
  }
  return SetPlaces(unit, std::move(places));
}

bool Occupancy::Anticipate(const ClusterView& view, const Decision& decision) {
  bool left = false;
  for (const std::string& unit : decision.units) {
    left = AnticipateUnit(view, unit, decision.writes) || left;
  }
  return left;
}

bool Occupancy::AnticipateUnit(const ClusterView& view, const std::string& unit,
                               const std::vector<Write>& writes) {
  promised_.erase(unit);
  const auto id = scheduler_.FindUnit(unit);
  Places places = id ? PlacesOf(*id) : Places();
  const auto erase = [&](const std::string& machine) {
    if (const auto slot = scheduler_.FindMachine(machine)) {
      std::erase_if(places, [&](const auto& place) { return place.first == *slot; });
    }
  };
  const auto set = [&](const std::string& machine, Hold hold) {
    erase(machine);
    places.emplace_back(scheduler_.SlotOf(machine), hold);
  };
  const auto* record = view.units.Find(unit);
  std::string content_hash = record == nullptr ? "" : record->value.content_hash;
  // Reservations first: an assignment there stands for itself.
  for (const Write& write : writes) {
    const auto* put = std::get_if<PutUnit>(&write);
    if (put == nullptr || put->unit != unit) continue;
    if (record != nullptr && !record->value.nominated_machine.empty()) {
      const std::string& machine = record->value.nominated_machine;
      erase(machine);
      // What it still has there itself stays.
      const auto* stored = view.assignments.Find(UnitOnMachine{unit, machine});
      if (stored != nullptr && stored->value.state != AssignmentState::kGone) {
        set(machine, Hold::kRuns);
      } else if (stored != nullptr && !ReportedGone(view, unit, machine, stored->value)) {
        set(machine, Hold::kLeaves);
      }
    }
    const std::string& nominated = put->record.nominated_machine;
    if (!nominated.empty()) set(nominated, Hold::kRuns);
  }
  for (const Write& write : writes) {
    if (const auto* put = std::get_if<PutAssignment>(&write); put != nullptr && put->unit == unit) {
      const bool gone = put->assignment.state == AssignmentState::kGone;
      set(put->machine, gone ? Hold::kLeaves : Hold::kRuns);
      if (!put->assignment.next_machine.empty()) set(put->assignment.next_machine, Hold::kRuns);
      if (content_hash.empty()) content_hash = put->assignment.content_hash;
    } else if (const auto* removed = std::get_if<DeleteAssignment>(&write);
               removed != nullptr && removed->unit == unit) {
      erase(removed->machine);
    }
  }
  if (!id && places.empty()) return false;
  // One that was destroyed asks for what it did where it has not ended yet.
  const auto left = FirstOf(view.assignments, unit);
  if (content_hash.empty() && InUnit(left, view.assignments, unit)) {
    content_hash = left->second.value.content_hash;
  }
  static_cast<void>(RequirementsOf(view, unit, content_hash));
  return SetPlaces(unit, std::move(places));
}

void Occupancy::Promise(const ClusterView& view, const std::string& unit,
                        const std::string& machine) {
  promised_.insert_or_assign(unit, machine);
  SyncUnit(view, unit);
}

void Occupancy::BreakPromise(const ClusterView& view, const std::string& unit) {
  if (promised_.erase(unit) > 0) SyncUnit(view, unit);
}

std::string Occupancy::RulesOutTogether(std::span<const UnitId> units, const std::string& machine,
                                        std::span<const UnitId> without) {
  const auto slot = scheduler_.FindMachine(machine);
  if (!slot || !scheduler_.IsPresent(*slot)) return std::string(scheduler::kAbsentText);
  struct Before {
    UnitId unit;
    std::optional<Hold> hold;
  };
  std::vector<Before> before;
  const auto hold_of = [&](UnitId unit) -> std::optional<Hold> {
    for (const auto& [place, hold] : PlacesOf(unit)) {
      if (place == *slot) return hold;
    }
    return std::nullopt;
  };
  for (const UnitId unit : without) {
    const auto hold = hold_of(unit);
    if (!hold || std::find(units.begin(), units.end(), unit) != units.end()) continue;
    before.push_back({unit, hold});
    scheduler_.Unplace(unit, *slot);
  }
  for (const UnitId unit : units) {
    const auto hold = hold_of(unit);
    if (hold == Hold::kRuns) continue;
    before.push_back({unit, hold});
    scheduler_.Place(unit, *slot, Hold::kRuns);
  }
  std::string why;
  for (const UnitId unit : units) {
    why = scheduler_.RulesOut(unit, *slot, As::kNewcomer);
    if (!why.empty()) break;
  }
  for (const Before& one : before) {
    if (one.hold) {
      scheduler_.Place(one.unit, *slot, *one.hold);
    } else {
      scheduler_.Unplace(one.unit, *slot);
    }
  }
  return why;
}

Occupancy::Places Occupancy::PlacesOf(UnitId unit) const {
  Places places;
  const std::vector<Slot> runs = scheduler_.RunsOn(unit);
  auto run = runs.begin();  // both are in the order of machine ids
  for (const Slot slot : scheduler_.Occupies(unit)) {
    const bool runs_there = run != runs.end() && *run == slot;
    if (runs_there) ++run;
    places.emplace_back(slot, runs_there ? Hold::kRuns : Hold::kLeaves);
  }
  return Normal(std::move(places));
}

bool Occupancy::SetPlaces(const std::string& unit, Places places) {
  Known* known = Find(unit);
  if (known == nullptr) return false;
  const UnitId id = IdOf(unit);
  const bool has_changed = std::exchange(known->has_changed, false);
  const bool was_somewhere = !scheduler_.Occupies(id).empty();
  return Tell(id, Normal(std::move(places))) || (has_changed && was_somewhere);
}

// True if it has left a machine.
bool Occupancy::Tell(UnitId unit, const Places& places) {
  const Places before = PlacesOf(unit);
  if (before == places) return false;
  bool left = false;
  auto now = places.begin();
  for (const auto& [slot, hold] : before) {
    while (now != places.end() && now->first < slot) ++now;
    if (now != places.end() && now->first == slot) continue;
    scheduler_.Unplace(unit, slot);
    left = true;
  }
  auto was = before.begin();
  for (const auto& place : places) {
    while (was != before.end() && was->first < place.first) ++was;
    if (was != before.end() && *was == place) continue;
    scheduler_.Place(unit, place.first, place.second);
  }
  return left;
}

Occupancy::Places Occupancy::PretendOnlyOn(UnitId unit, const std::string& machine) {
  Places before = PlacesOf(unit);
  Places after = {{scheduler_.SlotOf(machine), Hold::kRuns}};
  // Absent machines count for nothing, and might lose their number.
  std::copy_if(before.begin(), before.end(), std::back_inserter(after),
               [&](const auto& place) { return !scheduler_.IsPresent(place.first); });
  Tell(unit, Normal(std::move(after)));
  return before;
}

Occupancy::Places Occupancy::PretendAlsoOn(UnitId unit, const std::string& machine) {
  Places before = PlacesOf(unit);
  Places after = before;
  after.emplace_back(scheduler_.SlotOf(machine), Hold::kRuns);
  Tell(unit, Normal(std::move(after)));
  return before;
}

void Occupancy::Restore(UnitId unit, const Places& places) { Tell(unit, places); }

std::vector<std::string> Occupancy::UnitsOn(const std::string& machine) const {
  std::vector<std::string> units;
  const auto slot = scheduler_.FindMachine(machine);
  if (!slot) return units;
  for (const UnitId unit : scheduler_.UnitsOn(*slot)) units.push_back(scheduler_.UnitName(unit));
  return units;
}

bool Occupancy::HasUnits(const std::string& machine) const {
  const auto slot = scheduler_.FindMachine(machine);
  return slot && scheduler_.HasUnits(*slot);
}

std::vector<UnitId> Occupancy::LeavingOn(const std::string& machine) const {
  std::vector<UnitId> leaving;
  const auto slot = scheduler_.FindMachine(machine);
  if (!slot) return leaving;
  for (const UnitId unit : scheduler_.UnitsOn(*slot)) {
    const auto runs = scheduler_.RunsOn(unit);
    if (std::find(runs.begin(), runs.end(), *slot) == runs.end()) leaving.push_back(unit);
  }
  return leaving;
}

const std::set<std::string>& Occupancy::FollowersOf(const std::string& unit) const {
  static const std::set<std::string> kNone;
  const auto it = followers_.find(unit);
  return it == followers_.end() ? kNone : it->second;
}

bool IsLeft(const ClusterView& view, const UnitOnMachine& place) {
  const auto* assigned = view.assignments.Find(place);
  if (assigned != nullptr && !ReportedGone(view, place.unit, place.machine, assigned->value)) {
    return true;
  }
  const auto* state = view.states.Find(place);
  return state != nullptr && !state->value.gone;
}

}  // namespace fleet::reconcile
