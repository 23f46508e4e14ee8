#include "scheduler/placements.h"

#include <algorithm>
#include <utility>

#include "base/glob.h"

namespace fleet::scheduler {
namespace {

bool Has(const std::vector<GlobId>& sorted, GlobId id) {
  return std::binary_search(sorted.begin(), sorted.end(), id);
}

bool HaveCommon(const std::vector<GlobId>& a, const std::vector<GlobId>& b) {
  return std::any_of(a.begin(), a.end(), [&](GlobId id) { return Has(b, id); });
}

}  // namespace

template <typename Function>
void Placements::ForEachMatch(std::string_view glob, Function function) {
  const std::string_view prefix = GlobLiteralPrefix(glob);
  for (auto it = by_name_.lower_bound(prefix);
       it != by_name_.end() && it->first.starts_with(prefix); ++it) {
    if (GlobMatches(glob, it->first)) function(units_[it->second]);
    if (prefix == glob) break;  // a literal matches one name, the first
  }
}

Placements::Unit* Placements::Find(std::string_view unit) {
  auto found = by_name_.find(unit);
  return found == by_name_.end() ? nullptr : &units_[found->second];
}

const Placements::Unit* Placements::Find(std::string_view unit) const {
  auto found = by_name_.find(unit);
  return found == by_name_.end() ? nullptr : &units_[found->second];
}

Placements::UnitId Placements::FindOrAddUnit(std::string_view name) {
  auto found = by_name_.find(name);
  if (found != by_name_.end()) return found->second;
  UnitId id = 0;
  if (free_.empty()) {
    id = static_cast<UnitId>(units_.size());
    units_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  Unit& unit = units_[id];
  unit.name = std::string(name);
  unit.matched_by = globs_.Matching(name);
  by_name_.emplace(unit.name, id);
  return id;
}

void Placements::RemoveUnit(std::string_view name) {
  auto found = by_name_.find(name);
  const UnitId id = found->second;
  by_name_.erase(found);
  units_[id] = {};
  free_.push_back(id);
}

GlobId Placements::FindOrAddGlob(std::string_view text) {
  if (const auto found = globs_.Find(text)) return *found;
  const GlobId id = globs_.Add(text);
  ForEachMatch(text, [&](Unit& unit) {
    unit.matched_by.insert(std::lower_bound(unit.matched_by.begin(), unit.matched_by.end(), id),
                           id);
    for (const auto& [slot, placement] : unit.placements) globs_[id].matching.Increment(slot);
  });
  return id;
}

void Placements::DropSuperfluousGlobs() {
  for (const GlobId id : globs_.Superfluous()) {
    ForEachMatch(globs_[id].text, [&](Unit& unit) { std::erase(unit.matched_by, id); });
    globs_.Drop(id);
  }
}

void Placements::Add(std::string_view unit, const Requirements& requirements, Slot slot,
                     Hold hold) {
  DropSuperfluousGlobs();
  std::vector<GlobId> declares;
  for (const std::string& glob : requirements.conflicts) {
    const GlobId id = FindOrAddGlob(glob);
    globs_.Declare(id);
    globs_[id].declaring.Increment(slot);
    declares.push_back(id);
  }
  std::sort(declares.begin(), declares.end());

  const UnitId id = FindOrAddUnit(unit);
  for (const GlobId glob : units_[id].matched_by) globs_[glob].matching.Increment(slot);
  units_[id].placements.emplace(slot, Placement{hold, std::move(declares)});
  if (on_slot_.size() <= slot) on_slot_.resize(slot + 1);
  on_slot_[slot].push_back(id);
}

bool Placements::Remove(std::string_view name, Slot slot) {
  auto found = by_name_.find(name);
  if (found == by_name_.end()) return false;
  const UnitId id = found->second;
  Unit& unit = units_[id];
  auto placement = unit.placements.find(slot);
  if (placement == unit.placements.end()) return false;

  for (const GlobId glob : placement->second.declares) {
    globs_[glob].declaring.Decrement(slot);
    globs_.Undeclare(glob);
  }
  for (const GlobId glob : unit.matched_by) globs_[glob].matching.Decrement(slot);
  unit.placements.erase(placement);
  auto& on_slot = on_slot_[slot];
  *std::find(on_slot.begin(), on_slot.end(), id) = on_slot.back();
  on_slot.pop_back();
  if (unit.placements.empty()) RemoveUnit(name);
  DropSuperfluousGlobs();
  return true;
}

bool Placements::Occupies(std::string_view unit, Slot slot) const {
  const Unit* found = Find(unit);
  return found != nullptr && found->placements.contains(slot);
}

std::vector<Slot> Placements::RunsOn(std::string_view unit) const {
  std::vector<Slot> slots;
  const Unit* found = Find(unit);
  if (found == nullptr) return slots;
  for (const auto& [slot, placement] : found->placements) {
    if (placement.hold == Hold::kRuns) slots.push_back(slot);
  }
  return slots;
}

std::vector<Slot> Placements::Candidate::Occupied() const {
  std::vector<Slot> slots;
  if (unit == nullptr) return slots;
  for (const auto& [slot, placement] : unit->placements) slots.push_back(slot);
  return slots;
}

Placements::Candidate Placements::MakeCandidate(std::string_view unit,
                                                const Requirements& requirements) {
  DropSuperfluousGlobs();
  Candidate candidate;
  for (const std::string& glob : requirements.conflicts) {
    candidate.declares.push_back(FindOrAddGlob(glob));
  }
  std::sort(candidate.declares.begin(), candidate.declares.end());
  candidate.unit = Find(unit);
  candidate.matched_by =
      candidate.unit == nullptr ? globs_.Matching(unit) : candidate.unit->matched_by;
  return candidate;
}

Bits Placements::Conflicting(const Candidate& candidate) const {
  Bits conflicting;
  for (const GlobId glob : candidate.declares) conflicting |= globs_[glob].matching.slots();
  for (const GlobId glob : candidate.matched_by) conflicting |= globs_[glob].declaring.slots();
  for (const Slot slot : candidate.Occupied()) {  // where it would count against itself
    if (!ConflictsAt(candidate, slot)) conflicting.Clear(slot);
  }
  return conflicting;
}

bool Placements::ConflictsAt(const Candidate& candidate, Slot slot) const {
  const Placement* own = nullptr;
  if (candidate.unit != nullptr) {
    auto found = candidate.unit->placements.find(slot);
    if (found != candidate.unit->placements.end()) own = &found->second;
  }
  for (const GlobId glob : candidate.declares) {
    const bool counts_itself = own != nullptr && Has(candidate.matched_by, glob);
    if (globs_[glob].matching.At(slot) > (counts_itself ? 1U : 0U)) return true;
  }
  for (const GlobId glob : candidate.matched_by) {
    const bool counts_itself = own != nullptr && Has(own->declares, glob);
    if (globs_[glob].declaring.At(slot) > (counts_itself ? 1U : 0U)) return true;
  }
  return false;
}

std::vector<std::string> Placements::ConflictsOn(const Candidate& candidate, Slot slot) const {
  std::vector<std::string> conflicts;
  if (slot >= on_slot_.size() || !ConflictsAt(candidate, slot)) return conflicts;
  for (const UnitId id : on_slot_[slot]) {
    const Unit& unit = units_[id];
    if (&unit == candidate.unit) continue;
    const Placement& placement = unit.placements.find(slot)->second;
    if (HaveCommon(candidate.declares, unit.matched_by) ||
        HaveCommon(placement.declares, candidate.matched_by)) {
      conflicts.push_back(unit.name);
    }
  }
  std::sort(conflicts.begin(), conflicts.end());
  return conflicts;
}

void Placements::Renumber(const std::vector<Slot>& renumbered) {
  std::vector<std::vector<UnitId>> on_slot;
  for (Slot old = 0; old < on_slot_.size(); ++old) {
    if (on_slot_[old].empty()) continue;
    const Slot slot = renumbered[old];
    if (on_slot.size() <= slot) on_slot.resize(slot + 1);
    on_slot[slot] = std::move(on_slot_[old]);
  }
  on_slot_ = std::move(on_slot);
  for (Unit& unit : units_) {
    absl::btree_map<Slot, Placement> placements;
    for (auto& [slot, placement] : unit.placements) {
      placements.emplace(renumbered[slot], std::move(placement));
    }
    unit.placements = std::move(placements);
  }
  globs_.Renumber(renumbered);
}

}  // namespace fleet::scheduler
