// What a candidate is, and its constraints. candidate_choice.cc has the choice among machines.

#include "scheduler/candidate.h"

#include <algorithm>

namespace fleet::scheduler {

namespace {

bool Has(const std::vector<GlobId>& sorted, GlobId id) {
  return std::binary_search(sorted.begin(), sorted.end(), id);
}

bool HaveCommon(const std::vector<GlobId>& a, const std::vector<GlobId>& b) {
  return std::any_of(a.begin(), a.end(), [&](GlobId id) { return Has(b, id); });
}

}  // namespace

Candidate::Candidate(State& state, std::span<const UnitId> units) : state_(state), units_(units) {
  ReadUnits();
}

void Candidate::ReadUnits() {
  const UnitTable& table = state_.units;
  bool is_first = true;
  for (const UnitId unit : units_) {
    const UnitClass& unit_class = table.ClassOf(unit);
    const Requirements& requirements = *unit_class.requirements;
    need_.milli_cores += unit_class.reserves.milli_cores;
    need_.memory += unit_class.reserves.memory;
    by_share_ = by_share_ || unit_class.by_share;
    priority_ = is_first ? requirements.priority : std::min(priority_, requirements.priority);
    is_first = false;
    for (const UnitTable::Placed& placed : table.PlacedOf(unit)) {
      auto own = std::lower_bound(own_.begin(), own_.end(), placed.slot,
                                  [](const Own& one, Slot slot) { return one.slot < slot; });
      if (own == own_.end() || own->slot != placed.slot) {
        own = own_.insert(own, Own{.slot = placed.slot});
      }
      own->weight += requirements.weight;
      own->reserves.milli_cores += unit_class.reserves.milli_cores;
      own->reserves.memory += unit_class.reserves.memory;
      own->runs = own->runs || placed.hold == Hold::kRuns;
    }
  }
  metadata_ = &table.ClassOf(units_[0]).requirements->metadata;
  if (units_.size() == 1) return;

  for (const UnitId unit : units_) {
    for (const auto& [key, values] : table.ClassOf(unit).requirements->metadata) {
      const auto [merged, added] = merged_.try_emplace(key, values);
      if (!added) {
        std::erase_if(merged->second, [&](const auto& value) { return !values.contains(value); });
      }
    }
    for (const UnitId other : units_) {
      if (unit != other && HaveCommon(table.ClassOf(unit).declares, table.MatchedBy(other))) {
        conflicts_within_itself_ = true;
      }
    }
  }
  metadata_ = &merged_;
}

bool Candidate::Contains(UnitId unit) const {
  return std::find(units_.begin(), units_.end(), unit) != units_.end();
}

const Candidate::Own* Candidate::OwnAt(Slot slot) const {
  for (const Own& own : own_) {
    if (own.slot == slot) return &own;
  }
  return nullptr;
}

// Whether it is to be where the unit of that name is; not if that is one of its own.
bool Candidate::Follows(const std::string& name, UnitId* followed) const {
  const auto found = state_.units.Find(name);
  if (!found) {
    *followed = UINT32_MAX;
    return true;
  }
  *followed = *found;
  return !Contains(*found);
}

// --- conflicts -----------------------------------------------------------------------------------

bool Candidate::IsConflicting(GlobId id, bool matching, PlaceId place) const {
  const Glob& glob = state_.units.glob(id);
  uint32_t count = (matching ? glob.matching : glob.declaring).At(place);
  if (count == 0 || own_.empty()) return count > 0;
  for (const UnitId unit : units_) {
    const bool counts = matching ? Has(state_.units.MatchedBy(unit), id)
                                 : Has(state_.units.ClassOf(unit).declares, id);
    if (!counts) continue;
    for (const UnitTable::Placed& placed : state_.units.PlacedOf(unit)) {
      if (state_.scopes.PlaceOf(glob.scope, placed.slot) == place) --count;
    }
  }
  return count > 0;
}

bool Candidate::ConflictsIn(ScopeId scope, Slot slot) const {
  const PlaceId place = state_.scopes.PlaceOf(scope, slot);
  bool conflicts = false;
  ForEachGlob([&](GlobId glob, bool matching) {
    if (conflicts || state_.units.glob(glob).scope != scope) return;
    conflicts = IsConflicting(glob, matching, place);
  });
  return conflicts;
}

std::vector<UnitId> Candidate::ConflictsAt(Slot slot, ScopeId scope) const {
  std::vector<UnitId> conflicts;
  if (!ConflictsIn(scope, slot)) return conflicts;
  std::vector<GlobId> declares;
  std::vector<GlobId> matched;
  ForEachGlob([&](GlobId glob, bool matching) {
    if (state_.units.glob(glob).scope == scope) (matching ? declares : matched).push_back(glob);
  });
  Bits slots;
  state_.scopes.AddMachines(scope, state_.scopes.PlaceOf(scope, slot), slots);
  slots.ForEach([&](Slot there) {
    for (const UnitId unit : state_.units.On(there)) {
      if (Contains(unit)) continue;
      if (HaveCommon(declares, state_.units.MatchedBy(unit)) ||
          HaveCommon(matched, state_.units.ClassOf(unit).declares)) {
        conflicts.push_back(unit);
      }
    }
  });
  return conflicts;
}

std::vector<UnitId> Candidate::ConflictsAt(Slot slot) const {
  std::vector<UnitId> conflicts = ConflictsAt(slot, kMachineScope);
  absl::InlinedVector<ScopeId, 4> scopes;
  ForEachGlob([&](GlobId glob, bool) {
    const ScopeId scope = state_.units.glob(glob).scope;
    if (scope == kMachineScope || state_.scopes.PlaceOf(scope, slot) == kNowhere) return;
    if (std::find(scopes.begin(), scopes.end(), scope) == scopes.end()) scopes.push_back(scope);
  });
  for (const ScopeId scope : scopes) {
    const std::vector<UnitId> more = ConflictsAt(slot, scope);
    conflicts.insert(conflicts.end(), more.begin(), more.end());
  }
  std::sort(conflicts.begin(), conflicts.end(),
            [&](UnitId a, UnitId b) { return state_.units.NameOf(a) < state_.units.NameOf(b); });
  conflicts.erase(std::unique(conflicts.begin(), conflicts.end()), conflicts.end());
  return conflicts;
}

// --- constraints ---------------------------------------------------------------------------------

std::vector<Candidate::Constraint> Candidate::Constraints(std::optional<Slot> avoid) const {
  std::vector<std::vector<Constraint>> by_kind(static_cast<size_t>(Kind::kAvoided) + 1);
  const auto add = [&](Constraint constraint) {
    by_kind[static_cast<size_t>(constraint.kind)].push_back(std::move(constraint));
  };
  const auto follow = [&](Constraint constraint) {
    UnitId followed = 0;
    if (!Follows(constraint.name, &followed)) return;
    if (followed != UINT32_MAX) {
      for (const UnitTable::Placed& placed : state_.units.PlacedOf(followed)) {
        if (placed.hold != Hold::kRuns) continue;
        ++constraint.placed;
        if (state_.machines.present().Test(placed.slot)) ++constraint.present;
      }
    }
    add(std::move(constraint));
  };
  for (const UnitId unit : units_) {
    const UnitClass& unit_class = state_.units.ClassOf(unit);
    const Requirements& requirements = *unit_class.requirements;
    for (const auto& [key, values] : requirements.metadata) {
      add({.kind = Kind::kMetadata, .unit = unit, .key = key});
    }
    if (!requirements.machine_id.empty()) {
      add({.kind = Kind::kMachineId, .unit = unit, .name = requirements.machine_id});
    }
    for (const std::string& name : requirements.machine_of) {
      follow({.kind = Kind::kMachineOf, .unit = unit, .name = name});
    }
    for (size_t i = 0; i < requirements.collocate_within.size(); ++i) {
      const Within& within = requirements.collocate_within[i];
      follow({.kind = Kind::kCollocate,
              .unit = unit,
              .key = within.key,
              .name = within.name,
              .scope = unit_class.collocate[i]});
    }
  }
  add({.kind = Kind::kConflicts});
  std::vector<ScopeId> scopes;
  ForEachGlob([&](GlobId glob, bool) {
    const ScopeId scope = state_.units.glob(glob).scope;
    if (scope != kMachineScope) scopes.push_back(scope);
  });
  std::sort(scopes.begin(), scopes.end(),
            [&](ScopeId a, ScopeId b) { return state_.scopes.KeyOf(a) < state_.scopes.KeyOf(b); });
  scopes.erase(std::unique(scopes.begin(), scopes.end()), scopes.end());
  for (const ScopeId scope : scopes) {
    add({.kind = Kind::kConflictsWithin, .key = state_.scopes.KeyOf(scope), .scope = scope});
  }
  if (need_.milli_cores > 0) add({.kind = Kind::kCores});
  if (need_.memory > 0) add({.kind = Kind::kMemory});
  add({.kind = Kind::kCordon});
  if (avoid) add({.kind = Kind::kAvoided});
  std::vector<Constraint> constraints;
  for (auto& kind : by_kind) {
    for (Constraint& constraint : kind) constraints.push_back(std::move(constraint));
  }
  return constraints;
}

// The places where the unit that is to be near runs.
std::vector<PlaceId> Candidate::PlacesToCollocate(UnitId unit, size_t index) const {
  std::vector<PlaceId> places;
  const UnitClass& unit_class = state_.units.ClassOf(unit);
  const auto followed = state_.units.Find(unit_class.requirements->collocate_within[index].name);
  if (!followed) return places;
  for (const UnitTable::Placed& placed : state_.units.PlacedOf(*followed)) {
    if (placed.hold != Hold::kRuns) continue;
    const PlaceId place = state_.scopes.PlaceOf(unit_class.collocate[index], placed.slot);
    if (place != kNowhere) places.push_back(place);
  }
  return places;
}

bool Candidate::RulesOut(const Constraint& constraint, Slot slot) const {
  const auto runs_on = [&](const std::string& name, auto where) {
    const auto followed = state_.units.Find(name);
    if (!followed) return false;
    const auto& placed = state_.units.PlacedOf(*followed);
    return std::any_of(placed.begin(), placed.end(), [&](const UnitTable::Placed& one) {
      return one.hold == Hold::kRuns && where(one.slot);
    });
  };
  switch (constraint.kind) {
    case Kind::kMetadata: {
      const auto& metadata = state_.units.ClassOf(constraint.unit).requirements->metadata;
      return !state_.machines.HasMetadata(slot, constraint.key, metadata.at(constraint.key));
    }
    case Kind::kMachineId:
      return state_.machines.id(slot) != constraint.name;
    case Kind::kMachineOf:
      return !runs_on(constraint.name, [&](Slot other) { return other == slot; });
    case Kind::kCollocate: {
      const PlaceId place = state_.scopes.PlaceOf(constraint.scope, slot);
      return place == kNowhere || !runs_on(constraint.name, [&](Slot other) {
               return state_.scopes.PlaceOf(constraint.scope, other) == place;
             });
    }
    case Kind::kConflicts:
      return conflicts_within_itself_ || ConflictsIn(kMachineScope, slot);
    case Kind::kConflictsWithin:
      return ConflictsIn(constraint.scope, slot);
    case Kind::kCores:
      return need_.milli_cores > FreeAt(slot).milli_cores;
    case Kind::kMemory:
      return need_.memory > FreeAt(slot).memory;
    case Kind::kCordon:
      return !state_.machines.schedulable().Test(slot);
    case Kind::kAvoided:
      return true;
  }
  return true;
}

Bits Candidate::RuledOutBy(const Constraint& constraint, std::optional<Slot> avoid) const {
  const MachineTable& machines = state_.machines;
  Bits out;
  const auto all_but = [&](const Bits& kept) {
    out = machines.present();
    out -= kept;
    return out;
  };
  const auto judged_one_by_one = [&] {
    machines.present().ForEach([&](Slot slot) {
      if (RulesOut(constraint, slot)) out.Set(slot);
    });
    return out;
  };
  Bits kept;
  switch (constraint.kind) {
    case Kind::kMetadata: {
      const auto& metadata = state_.units.ClassOf(constraint.unit).requirements->metadata;
      return all_but(machines.WithMetadata(constraint.key, metadata.at(constraint.key)));
    }
    case Kind::kMachineId:
      if (const auto slot = machines.Find(constraint.name)) kept.Set(*slot);
      return all_but(kept);
    case Kind::kMachineOf:
    case Kind::kCollocate: {
      const auto followed = state_.units.Find(constraint.name);
      if (!followed) return all_but(kept);
      for (const UnitTable::Placed& placed : state_.units.PlacedOf(*followed)) {
        if (placed.hold != Hold::kRuns) continue;
        const PlaceId place = state_.scopes.PlaceOf(constraint.scope, placed.slot);
        if (place != kNowhere) state_.scopes.AddMachines(constraint.scope, place, kept);
      }
      return all_but(kept);
    }
    case Kind::kConflicts:
      if (conflicts_within_itself_) return machines.present();
      ForEachGlob([&](GlobId id, bool matching) {
        const Glob& glob = state_.units.glob(id);
        if (glob.scope == kMachineScope) out |= (matching ? glob.matching : glob.declaring).slots();
      });
      for (const Own& own : own_) {  // where it would count against itself
        if (!ConflictsIn(kMachineScope, own.slot)) out.Clear(own.slot);
      }
      out &= machines.present();
      return out;
    case Kind::kConflictsWithin:
      ForEachGlob([&](GlobId id, bool matching) {
        const Glob& glob = state_.units.glob(id);
        if (glob.scope != constraint.scope) return;
        (matching ? glob.matching : glob.declaring).slots().ForEach([&](PlaceId place) {
          if (IsConflicting(id, matching, place)) {
            state_.scopes.AddMachines(glob.scope, place, out);
          }
        });
      });
      return out;
    case Kind::kCores:
    case Kind::kMemory:
      return judged_one_by_one();
    case Kind::kCordon:
      return all_but(machines.schedulable());
    case Kind::kAvoided:
      if (avoid && machines.present().Test(*avoid)) out.Set(*avoid);
      return out;
  }
  return out;
}

Bits Candidate::Feasible(std::optional<Slot> avoid) const {
  Bits feasible = state_.machines.present();
  for (const Constraint& constraint : Constraints(avoid)) {
    feasible -= RuledOutBy(constraint, avoid);
  }
  return feasible;
}

bool Candidate::Fits(const std::vector<Constraint>& constraints, Slot slot) const {
  return state_.machines.present().Test(slot) &&
         std::none_of(constraints.begin(), constraints.end(),
                      [&](const Constraint& constraint) { return RulesOut(constraint, slot); });
}

Resources Candidate::FreeAt(Slot slot) const {
  Resources free = {state_.machines.FreeCores(slot), state_.machines.FreeMemory(slot)};
  if (const Own* own = OwnAt(slot)) {
    free.milli_cores += own->reserves.milli_cores;
    free.memory += own->reserves.memory;
  }
  return free;
}

}  // namespace fleet::scheduler
