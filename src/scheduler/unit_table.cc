#include "scheduler/unit_table.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "base/glob.h"

namespace fleet::scheduler {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

size_t HashOf(const Requirements& requirements) {
  std::vector<std::pair<std::string_view, std::string_view>> within;
  within.reserve(requirements.conflicts_within.size() + requirements.collocate_within.size() + 1);
  for (const Within& one : requirements.conflicts_within) within.emplace_back(one.key, one.name);
  within.emplace_back();
  for (const Within& one : requirements.collocate_within) within.emplace_back(one.key, one.name);
  size_t hash = 0;
  const auto mix = [&](size_t value) { hash = hash * 0x9e3779b97f4a7c15ULL + value; };
  const auto mix_text = [&](std::string_view text) { mix(absl::HashOf(View(text))); };
  const auto mix_all = [&](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) mix_text(text);
    mix(texts.size());
  };
  mix_text(requirements.machine_id);
  mix_all(requirements.machine_of);
  mix_all(requirements.conflicts);
  mix_all(requirements.replaces);
  for (const auto& [key, values] : requirements.metadata) {
    mix_text(key);
    for (const std::string& value : values) mix_text(value);
    mix(values.size());
  }
  for (const auto& [key, name] : within) {
    mix_text(key);
    mix_text(name);
  }
  mix_text(requirements.spread_over);
  mix(static_cast<size_t>(requirements.reserve_milli_cores));
  mix(static_cast<size_t>(requirements.reserve_memory));
  mix(static_cast<size_t>(requirements.weight));
  mix(static_cast<size_t>(requirements.priority));
  mix(requirements.global ? 1 : 0);
  return hash;
}

// "web@.service" of "web@1.service"; empty if the unit is no instance.
std::string FamilyName(std::string_view name) {
  const size_t at = name.find('@');
  const size_t dot = name.rfind('.');
  if (at == std::string_view::npos || dot == std::string_view::npos || dot <= at + 1) return {};
  std::string family(name.substr(0, at + 1));
  family += name.substr(dot);
  return family;
}

}  // namespace

UnitTable::Sought::Sought(std::string_view its_name)
    : name(its_name), hash(absl::HashOf(View(its_name))) {}

std::optional<UnitId> UnitTable::Find(std::string_view name) const {
  const auto found = by_name_.find(Sought(name));
  if (found == by_name_.end()) return std::nullopt;
  return *found;
}

UnitId UnitTable::AddUnit(const Sought& sought) {
  UnitId id = 0;
  if (free_units_.empty()) {
    id = static_cast<UnitId>(units_.size());
    units_.emplace_back();
  } else {
    id = free_units_.back();
    free_units_.pop_back();
  }
  Unit& unit = units_[id];
  unit.name = std::string(sought.name);
  unit.name_hash = sought.hash;
  by_name_.insert(id);
  JoinFamily(id);
  unit.matched = AcquireMatchSet(globs_.Matching(sought.name));
  return id;
}

UnitTable::SetResult UnitTable::Set(std::string_view name, const RequirementsPtr& requirements) {
  static const auto kNone = std::make_shared<const Requirements>();
  const RequirementsPtr& wanted = requirements == nullptr ? kNone : requirements;
  const Sought sought(name);
  const auto known = by_name_.find(sought);
  // The class first: a glob that it brings along is matched against all that are known.
  if (known == by_name_.end()) {
    const ClassId class_id = AcquireClass(wanted);
    const UnitId id = AddUnit(sought);
    units_[id].class_id = class_id;
    AcquireSpread(id, classes_[class_id].spread);
    return {id, false};
  }
  const UnitId id = *known;
  if (*ClassOf(id).requirements == *wanted) return {id, false};
  const ClassId class_id = AcquireClass(wanted);
  const ClassId before = units_[id].class_id;
  SetClass(id, class_id);
  ReleaseClass(before);
  return {id, true};
}

void UnitTable::SetClass(UnitId id, ClassId class_id) {
  Unit& unit = units_[id];
  AcquireSpread(id, classes_[class_id].spread);  // counts it where it is
  for (const Placed& placed : unit.placed) Count(unit, placed, -1);
  const ScopeId before = classes_[unit.class_id].spread;
  unit.class_id = class_id;
  for (const Placed& placed : unit.placed) Count(unit, placed, 1);
  ReleaseSpread(id, before);
}

void UnitTable::Remove(UnitId id) {
  Unit& unit = units_[id];
  while (!unit.placed.empty()) Unplace(id, unit.placed.back().slot);
  ReleaseSpread(id, classes_[unit.class_id].spread);
  LeaveFamily(id);
  by_name_.erase(id);
  const ClassId class_id = unit.class_id;
  ReleaseMatchSet(unit.matched);
  unit = {};
  free_units_.push_back(id);
  ReleaseClass(class_id);
}

// --- what units have in common -------------------------------------------------------------------

ClassId UnitTable::AcquireClass(const RequirementsPtr& requirements) {
  auto& same_hash = class_by_hash_[HashOf(*requirements)];
  for (const ClassId id : same_hash) {
    if (*classes_[id].requirements != *requirements) continue;
    ++classes_[id].units;
    return id;
  }
  ClassId id = 0;
  if (free_classes_.empty()) {
    id = static_cast<ClassId>(classes_.size());
    classes_.emplace_back();
  } else {
    id = free_classes_.back();
    free_classes_.pop_back();
  }
  same_hash.push_back(id);
  UnitClass& unit_class = classes_[id];
  unit_class.requirements = requirements;
  unit_class.units = 1;
  unit_class.reserves = {requirements->reserve_milli_cores, requirements->reserve_memory};
  unit_class.by_share = requirements->Reserves();
  for (const std::string& glob : requirements->conflicts) {
    AcquireGlob(kMachineScope, glob, unit_class);
  }
  for (const Within& within : requirements->conflicts_within) {
    AcquireGlob(scopes_->Acquire(within.key), within.name, unit_class);
  }
  std::sort(unit_class.declares.begin(), unit_class.declares.end());
  for (const Within& within : requirements->collocate_within) {
    unit_class.collocate.push_back(scopes_->Acquire(within.key));
  }
  if (!requirements->spread_over.empty()) {
    unit_class.spread = scopes_->Acquire(requirements->spread_over);
  }
  return id;
}

void UnitTable::AcquireGlob(ScopeId scope, const std::string& text, UnitClass& unit_class) {
  const auto [glob, is_new] = globs_.Acquire(scope, text);
  unit_class.declares.push_back(glob);
  if (!is_new) return;
  ForEachMatch(text, [&](UnitId id) {
    std::vector<GlobId> globs = MatchedBy(id);
    globs.insert(std::lower_bound(globs.begin(), globs.end(), glob), glob);
    SetMatchSet(id, std::move(globs));
    for (const Placed& placed : units_[id].placed) {
      CountGlob(globs_[glob].matching, scopes_->PlaceOf(scope, placed.slot), 1);
    }
  });
}

void UnitTable::ReleaseClass(ClassId id) {
  UnitClass& unit_class = classes_[id];
  if (--unit_class.units > 0) return;
  std::vector<ScopeId> scopes = unit_class.collocate;
  if (unit_class.spread != kMachineScope) scopes.push_back(unit_class.spread);
  for (const GlobId glob : unit_class.declares) {
    const ScopeId scope = globs_[glob].scope;
    if (scope != kMachineScope) scopes.push_back(scope);
    if (!globs_.Release(glob)) continue;
    ForEachMatch(globs_[glob].text, [&](UnitId unit) {
      std::vector<GlobId> globs = MatchedBy(unit);
      std::erase(globs, glob);
      SetMatchSet(unit, std::move(globs));
    });
    globs_.Drop(glob);
  }
  for (const ScopeId scope : scopes) scopes_->Release(scope);
  const auto same_hash = class_by_hash_.find(HashOf(*unit_class.requirements));
  auto& ids = same_hash->second;
  ids.erase(std::find(ids.begin(), ids.end(), id));
  if (ids.empty()) class_by_hash_.erase(same_hash);
  unit_class = {};
  free_classes_.push_back(id);
}

MatchSetId UnitTable::AcquireMatchSet(std::vector<GlobId> globs) {
  if (globs.empty()) return 0;
  const auto found = match_set_by_globs_.find(globs);
  if (found != match_set_by_globs_.end()) {
    ++match_sets_[found->second].units;
    return found->second;
  }
  auto id = static_cast<MatchSetId>(match_sets_.size());
  if (free_match_sets_.empty()) {
    match_sets_.emplace_back();
  } else {
    id = free_match_sets_.back();
    free_match_sets_.pop_back();
  }
  match_set_by_globs_.emplace(globs, id);
  match_sets_[id] = {std::move(globs), 1};
  return id;
}

void UnitTable::ReleaseMatchSet(MatchSetId id) {
  if (id == 0 || --match_sets_[id].units > 0) return;
  match_set_by_globs_.erase(match_sets_[id].globs);
  match_sets_[id] = {};
  free_match_sets_.push_back(id);
  ++released_match_sets_;
}

void UnitTable::SetMatchSet(UnitId unit, std::vector<GlobId> globs) {
  const MatchSetId before = units_[unit].matched;
  units_[unit].matched = AcquireMatchSet(std::move(globs));
  ReleaseMatchSet(before);
}

std::map<std::string, std::vector<ScopeId>> UnitTable::Followed() const {
  std::map<std::string, std::vector<ScopeId>> followed;
  for (size_t id = 0; id < classes_.size(); ++id) {
    const UnitClass& unit_class = classes_[id];
    if (unit_class.units == 0) continue;
    for (const std::string& name : unit_class.requirements->machine_of) {
      followed[name].push_back(kMachineScope);
    }
    for (size_t i = 0; i < unit_class.collocate.size(); ++i) {
      followed[unit_class.requirements->collocate_within[i].name].push_back(
          unit_class.collocate[i]);
    }
  }
  return followed;
}

// Calls `function` with each known unit whose name the glob matches: of all names only those are
// looked at that begin as it does, by template where they have one.
template <typename Function>
void UnitTable::ForEachMatch(std::string_view glob, Function function) {
  const std::string prefix(GlobLiteralPrefix(glob));
  for (auto it = plain_.lower_bound(prefix); it != plain_.end() && it->first.starts_with(prefix);
       ++it) {
    if (GlobMatches(glob, it->first)) function(it->second);
  }
  const size_t at = prefix.find('@');
  const std::string family = at == std::string::npos ? prefix : prefix.substr(0, at + 1) + ".";
  for (auto it = families_in_order_.lower_bound(family);
       it != families_in_order_.end() && it->first.starts_with(family); ++it) {
    for (const UnitId unit : families_[it->second].members) {
      if (GlobMatches(glob, units_[unit].name)) function(unit);
    }
  }
}

void UnitTable::JoinFamily(UnitId id) {
  Unit& unit = units_[id];
  const std::string name = FamilyName(unit.name);
  if (name.empty()) {
    plain_.emplace(unit.name, id);
    return;
  }
  auto [entry, added] = family_by_name_.try_emplace(name, 0);
  if (added) {
    if (free_families_.empty()) {
      entry->second = static_cast<FamilyId>(families_.size());
      families_.emplace_back();
    } else {
      entry->second = free_families_.back();
      free_families_.pop_back();
    }
    families_[entry->second].name = name;
    families_in_order_.emplace(name, entry->second);
  }
  Family& family = families_[entry->second];
  unit.family = entry->second;
  unit.in_family = static_cast<uint32_t>(family.members.size());
  family.members.push_back(id);
}

void UnitTable::LeaveFamily(UnitId id) {
  const Unit& unit = units_[id];
  if (unit.family == kNoFamily) {
    plain_.erase(unit.name);
    return;
  }
  Family& family = families_[unit.family];
  const UnitId last = family.members.back();
  family.members[unit.in_family] = last;
  units_[last].in_family = unit.in_family;
  family.members.pop_back();
  if (!family.members.empty()) return;
  family_by_name_.erase(family.name);
  families_in_order_.erase(family.name);
  family = {};
  free_families_.push_back(unit.family);
}

void UnitTable::AcquireSpread(UnitId id, ScopeId scope) {
  if (scope == kMachineScope || units_[id].family == kNoFamily) return;
  Family& family = families_[units_[id].family];
  for (Spread& spread : family.spreads) {
    if (spread.scope != scope) continue;
    ++spread.units;
    return;
  }
  family.spreads.push_back({.scope = scope, .units = 1});
  for (const UnitId member : family.members) {
    for (const Placed& placed : units_[member].placed) {
      if (placed.hold == Hold::kRuns) CountSpread(family, placed.slot, 1, scope);
    }
  }
}

void UnitTable::ReleaseSpread(UnitId id, ScopeId scope) {
  if (scope == kMachineScope || units_[id].family == kNoFamily) return;
  auto& spreads = families_[units_[id].family].spreads;
  for (auto it = spreads.begin(); it != spreads.end(); ++it) {
    if (it->scope != scope) continue;
    if (--it->units == 0) spreads.erase(it);
    return;
  }
}

const std::vector<uint32_t>& UnitTable::SpreadCounts(UnitId unit, ScopeId scope) const {
  static const std::vector<uint32_t> kNone;
  if (units_[unit].family == kNoFamily) return kNone;
  for (const Spread& spread : families_[units_[unit].family].spreads) {
    if (spread.scope == scope) return spread.counts;
  }
  return kNone;
}

// --- places --------------------------------------------------------------------------------------

void UnitTable::Place(UnitId id, Slot slot, Hold hold) {
  Unit& unit = units_[id];
  const auto at = std::lower_bound(unit.placed.begin(), unit.placed.end(), slot,
                                   [](const Placed& placed, Slot s) { return placed.slot < s; });
  if (at != unit.placed.end() && at->slot == slot) {
    if (at->hold == hold) return;
    Count(unit, *at, -1);
    at->hold = hold;
    Count(unit, *at, 1);
    return;
  }
  if (on_slot_.size() <= slot) on_slot_.resize(slot + 1);
  const Placed placed = {slot, static_cast<uint32_t>(on_slot_[slot].size()), hold};
  on_slot_[slot].push_back(id);
  unit.placed.insert(at, placed);
  Count(unit, placed, 1);
}

bool UnitTable::Unplace(UnitId id, Slot slot) {
  Unit& unit = units_[id];
  const auto is_there = [&](const Placed& placed) { return placed.slot == slot; };
  const auto at = std::find_if(unit.placed.begin(), unit.placed.end(), is_there);
  if (at == unit.placed.end()) return false;
  Count(unit, *at, -1);
  auto& on_slot = on_slot_[slot];
  const UnitId last = on_slot.back();
  on_slot[at->at] = last;
  std::find_if(units_[last].placed.begin(), units_[last].placed.end(), is_there)->at = at->at;
  on_slot.pop_back();
  unit.placed.erase(at);
  return true;
}

const std::vector<UnitId>& UnitTable::On(Slot slot) const {
  static const std::vector<UnitId> kNobody;
  return slot < on_slot_.size() ? on_slot_[slot] : kNobody;
}

void UnitTable::Count(const Unit& unit, const Placed& placed, int by) {
  const UnitClass& unit_class = classes_[unit.class_id];
  machines_->Occupy(placed.slot, by, unit_class.requirements->weight, unit_class.reserves);
  CountGlobs(unit, placed.slot, by, std::nullopt);
  if (placed.hold != Hold::kRuns) return;
  if (unit.family != kNoFamily) CountSpread(families_[unit.family], placed.slot, by, std::nullopt);
  if (!unit_class.by_share) return;
  const auto of_priority = priorities_.try_emplace(unit_class.requirements->priority, 0).first;
  of_priority->second = static_cast<size_t>(static_cast<int64_t>(of_priority->second) + by);
  if (of_priority->second == 0) priorities_.erase(of_priority);
}

void UnitTable::CountGlobs(const Unit& unit, Slot slot, int by, std::optional<ScopeId> only) {
  for (const GlobId id : match_sets_[unit.matched].globs) {
    Glob& glob = globs_[id];
    if (!only || glob.scope == *only) {
      CountGlob(glob.matching, scopes_->PlaceOf(glob.scope, slot), by);
    }
  }
  for (const GlobId id : classes_[unit.class_id].declares) {
    Glob& glob = globs_[id];
    if (!only || glob.scope == *only) {
      CountGlob(glob.declaring, scopes_->PlaceOf(glob.scope, slot), by);
    }
  }
}

void UnitTable::CountGlob(SlotCounts& counts, PlaceId place, int by) {
  if (place == kNowhere) return;
  if (by > 0) {
    counts.Increment(place);
  } else {
    counts.Decrement(place);
  }
}

void UnitTable::CountSpread(Family& family, Slot slot, int by, std::optional<ScopeId> only) {
  for (Spread& spread : family.spreads) {
    if (only && spread.scope != *only) continue;
    const PlaceId place = scopes_->PlaceOf(spread.scope, slot);
    if (!Scopes::IsOfValue(place)) continue;
    const size_t value = Scopes::ValueOf(place);
    if (spread.counts.size() <= value) spread.counts.resize(value + 1);
    spread.counts[value] += static_cast<uint32_t>(by);
  }
}

void UnitTable::MachineChanged(Slot slot) {
  const auto recount = [&](ScopeId scope, int by) {
    for (const UnitId id : On(slot)) {
      const Unit& unit = units_[id];
      CountGlobs(unit, slot, by, scope);
      if (unit.family == kNoFamily) continue;
      const auto placed = std::find_if(unit.placed.begin(), unit.placed.end(),
                                       [&](const Placed& one) { return one.slot == slot; });
      if (placed->hold == Hold::kRuns) CountSpread(families_[unit.family], slot, by, scope);
    }
  };
  for (const ScopeId scope : scopes_->All()) {
    const PlaceId to = scopes_->FindOrAddPlace(scope, slot);
    if (to == scopes_->PlaceOf(scope, slot)) continue;
    recount(scope, -1);
    scopes_->Move(scope, slot, to);
    recount(scope, 1);
  }
}

}  // namespace fleet::scheduler
