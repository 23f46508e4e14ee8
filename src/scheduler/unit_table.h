#pragma once

// The units that are known, what they require, and which machines they occupy; and what follows
// from it for others: which globs match where, how many instances of a template run in which zone.
//
// Units share what they have in common: requirements (UnitClass), the globs that match their name
// (by MatchSetId), the template they are instances of (Family). A million units of a few thousand
// kinds take little more than their names.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "scheduler/chunked_vector.h"
#include "scheduler/domain_ref.h"
#include "scheduler/globs.h"
#include "scheduler/machine_table.h"
#include "scheduler/scheduler.h"
#include "scheduler/scopes.h"

namespace fleet::scheduler {

using ClassId = uint32_t;
using MatchSetId = uint32_t;
using FamilyId = uint32_t;
inline constexpr FamilyId kNoFamily = UINT32_MAX;

// Units of equal requirements.
struct UnitClass {
  RequirementsPtr requirements;
  size_t units = 0;
  std::vector<GlobId> declares;    // of all scopes, sorted
  std::vector<ScopeId> collocate;  // of each of collocate_within
  ScopeId spread = kMachineScope;  // of spread_over; kMachineScope: none
  Resources reserves;
  bool by_share = false;  // chosen by share, not by weight
  DomainRef domain;       // where its metadata lets it run, once it was looked for
};

class UnitTable {
 public:
  struct Placed {
    Slot slot = 0;
    uint32_t at = 0;  // in on_slot_
    Hold hold = Hold::kRuns;
  };
  using PlacedList = absl::InlinedVector<Placed, 1>;  // sorted by slot

  UnitTable(MachineTable* machines, Scopes* scopes) : machines_(machines), scopes_(scopes) {}

  struct SetResult {
    UnitId unit = 0;
    bool is_changed = false;  // it was known, with other requirements
  };
  SetResult Set(std::string_view name, const RequirementsPtr& requirements);
  void Remove(UnitId unit);
  std::optional<UnitId> Find(std::string_view name) const;

  void Place(UnitId unit, Slot slot, Hold hold);
  bool Unplace(UnitId unit, Slot slot);  // false if it does not occupy it
  const PlacedList& PlacedOf(UnitId unit) const { return units_[unit].placed; }
  const std::vector<UnitId>& On(Slot slot) const;  // in no order
  // The units that others have to be near, with the scopes: those may not leave their place in them
  // without the others. kMachineScope: of MachineOf.
  std::map<std::string, std::vector<ScopeId>> Followed() const;

  // The machine's metadata or presence has changed: counts what it has by the places it is in now.
  void MachineChanged(Slot slot);

  const std::string& NameOf(UnitId unit) const { return units_[unit].name; }
  ClassId ClassIdOf(UnitId unit) const { return units_[unit].class_id; }
  UnitClass& ClassOf(UnitId unit) { return classes_[units_[unit].class_id]; }
  const UnitClass& ClassOf(UnitId unit) const { return classes_[units_[unit].class_id]; }
  MatchSetId MatchSetOf(UnitId unit) const { return units_[unit].matched; }
  // How often the number of a match set became free for another one.
  uint64_t released_match_sets() const { return released_match_sets_; }
  const std::vector<GlobId>& MatchedBy(UnitId unit) const {
    return match_sets_[units_[unit].matched].globs;
  }
  const Glob& glob(GlobId id) const { return globs_[id]; }

  // How many instances of the unit's template run on machines with each value of the scope's key,
  // by value; shorter than there are values if the rest has none. REQUIRES: `scope` is the spread
  // of the unit's class.
  const std::vector<uint32_t>& SpreadCounts(UnitId unit, ScopeId scope) const;
  bool HasFamily(UnitId unit) const { return units_[unit].family != kNoFamily; }
  FamilyId FamilyOf(UnitId unit) const { return units_[unit].family; }

  // Of units that reserve something and run somewhere: how many of each priority.
  const std::map<int64_t, size_t>& priorities() const { return priorities_; }
  size_t size() const { return units_.size(); }  // ids are below

  // Units of templates that have a SpreadOver, by family and scope; for a rebalance.
  struct Spread {
    ScopeId scope = kMachineScope;
    size_t units = 0;  // that declare it
    std::vector<uint32_t> counts;
  };
  struct Family {
    std::string name;  // "web@.service"
    std::vector<UnitId> members;
    absl::InlinedVector<Spread, 1> spreads;
  };
  const absl::btree_map<std::string, FamilyId>& families() const { return families_in_order_; }
  const Family& family(FamilyId id) const { return families_[id]; }

 private:
  struct Unit {
    std::string name;
    size_t name_hash = 0;
    ClassId class_id = 0;
    MatchSetId matched = 0;
    FamilyId family = kNoFamily;
    uint32_t in_family = 0;  // where in its members
    PlacedList placed;
  };
  struct MatchSet {
    std::vector<GlobId> globs;  // sorted
    size_t units = 0;
  };
  // A name to be looked for, with its hash.
  struct Sought {
    explicit Sought(std::string_view its_name);
    std::string_view name;
    size_t hash;
  };
  struct NameHash {
    using is_transparent = void;
    const UnitTable* table;
    size_t operator()(UnitId unit) const { return table->units_[unit].name_hash; }
    size_t operator()(const Sought& sought) const { return sought.hash; }
  };
  struct NameEqual {
    using is_transparent = void;
    const UnitTable* table;
    bool operator()(UnitId a, UnitId b) const { return a == b; }
    bool operator()(UnitId unit, const Sought& sought) const {
      return table->units_[unit].name_hash == sought.hash &&
             table->units_[unit].name == sought.name;
    }
    bool operator()(const Sought& sought, UnitId unit) const { return (*this)(unit, sought); }
  };

  UnitId AddUnit(const Sought& sought);
  ClassId AcquireClass(const RequirementsPtr& requirements);
  void ReleaseClass(ClassId id);
  void SetClass(UnitId unit, ClassId id);
  void AcquireGlob(ScopeId scope, const std::string& text, UnitClass& unit_class);
  MatchSetId AcquireMatchSet(std::vector<GlobId> globs);
  void ReleaseMatchSet(MatchSetId id);
  void SetMatchSet(UnitId unit, std::vector<GlobId> globs);
  template <typename Function>
  void ForEachMatch(std::string_view glob, Function function);
  void JoinFamily(UnitId unit);
  void LeaveFamily(UnitId unit);
  void AcquireSpread(UnitId unit, ScopeId scope);
  void ReleaseSpread(UnitId unit, ScopeId scope);

  // Adds what a unit that occupies a slot counts for (`by` 1), or takes it away (-1).
  void Count(const Unit& unit, const Placed& placed, int by);
  void CountGlobs(const Unit& unit, Slot slot, int by, std::optional<ScopeId> only);
  static void CountGlob(SlotCounts& counts, PlaceId place, int by);
  void CountSpread(Family& family, Slot slot, int by, std::optional<ScopeId> only);

  MachineTable* machines_;
  Scopes* scopes_;
  ChunkedVector<Unit> units_;  // references stay valid
  std::vector<UnitId> free_units_;
  absl::flat_hash_set<UnitId, NameHash, NameEqual> by_name_{0, NameHash{this}, NameEqual{this}};
  absl::btree_map<std::string, UnitId> plain_;  // those of no family, for globs
  ChunkedVector<Family> families_;
  std::vector<FamilyId> free_families_;
  absl::flat_hash_map<std::string, FamilyId> family_by_name_;
  absl::btree_map<std::string, FamilyId> families_in_order_;
  ChunkedVector<UnitClass> classes_;
  std::vector<ClassId> free_classes_;
  absl::flat_hash_map<size_t, absl::InlinedVector<ClassId, 1>> class_by_hash_;
  std::vector<MatchSet> match_sets_{1};  // the first is the empty one
  std::vector<MatchSetId> free_match_sets_;
  uint64_t released_match_sets_ = 0;
  absl::flat_hash_map<std::vector<GlobId>, MatchSetId> match_set_by_globs_;
  Globs globs_;
  std::vector<std::vector<UnitId>> on_slot_;
  std::map<int64_t, size_t> priorities_;
};

}  // namespace fleet::scheduler
