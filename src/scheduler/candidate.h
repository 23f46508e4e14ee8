#pragma once

// A unit, or several that have to share a machine, for which a machine is sought; and the
// constraints that decide where it may go, as sets of machines and for a single one.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "scheduler/domains.h"
#include "scheduler/load_index.h"
#include "scheduler/machine_table.h"
#include "scheduler/scheduler.h"
#include "scheduler/scopes.h"
#include "scheduler/unit_table.h"

namespace fleet::scheduler {

// All that a scheduler knows.
struct State {
  explicit State(Placement its_placement)
      : placement(its_placement),
        machines(its_placement),
        scopes(&machines),
        units(&machines, &scopes),
        domains(&machines, &scopes),
        by_weight(&machines, /*by_share=*/false),
        by_share(&machines, /*by_share=*/true) {}

  Placement placement;
  MachineTable machines;
  Scopes scopes;
  UnitTable units;
  Domains domains;
  LoadIndex by_weight;
  LoadIndex by_share;
};

// Instances of the template in the same place, of which a machine without SpreadOver's key has so
// many: it comes last.
inline constexpr int64_t kLacksSpreadKey = int64_t{1} << 40;

class Candidate {
 public:
  // What the units themselves occupy on a machine: it does not count.
  struct Own {
    Slot slot = 0;
    int64_t weight = 0;
    Resources reserves;
    bool runs = false;
  };
  // By what a machine is chosen.
  struct Rank {
    Slot slot = 0;
    int64_t spread = 0;
    uint64_t key = 0;  // of MachineTable
    bool runs = false;
    bool IsBetterThan(const Rank& other) const;
  };

  // The units are not empty, and outlive it.
  Candidate(State& state, std::span<const UnitId> units);

  std::span<const UnitId> units() const { return units_; }
  const Resources& need() const { return need_; }
  bool by_share() const { return by_share_; }
  int64_t priority() const { return priority_; }  // the lowest of the units'
  const absl::InlinedVector<Own, 2>& own() const { return own_; }
  bool Contains(UnitId unit) const;
  // Two of the units conflict: they fit nowhere.
  bool conflicts_within_itself() const { return conflicts_within_itself_; }

  // --- constraints, in the order in which a machine is counted ---
  enum class Kind {
    kMetadata,
    kMachineId,
    kMachineOf,
    kCollocate,
    kConflicts,
    kConflictsWithin,
    kCores,
    kMemory,
    kCordon,
    kAvoided,
  };
  struct Constraint {
    Kind kind = Kind::kMetadata;
    UnitId unit = 0;  // whose it is; not of conflicts and capacity, which are everybody's
    std::string key;
    std::string name;
    ScopeId scope = kMachineScope;
    size_t placed = 0;   // of the unit that is followed: on how many machines,
    size_t present = 0;  // and how many of those are present
  };
  std::vector<Constraint> Constraints(std::optional<Slot> avoid) const;
  // The present machines that it rules out.
  Bits RuledOutBy(const Constraint& constraint, std::optional<Slot> avoid) const;
  bool RulesOut(const Constraint& constraint, Slot slot) const;
  // Units on the machine, or in its places, that conflict with it, sorted by name.
  std::vector<UnitId> ConflictsAt(Slot slot) const;
  // The same, in this scope only.
  std::vector<UnitId> ConflictsAt(Slot slot, ScopeId scope) const;

  // Whether the machine is present and none of the constraints rules it out.
  bool Fits(const std::vector<Constraint>& constraints, Slot slot) const;

  Rank RankOf(Slot slot) const;
  // Instances of the units' templates in the slot's place.
  int64_t SpreadOf(Slot slot) const;
  // What is free there without what the units occupy themselves.
  Resources FreeAt(Slot slot) const;

  // The best machine, `avoid` left out.
  std::optional<Slot> Best(std::optional<Slot> avoid) const;
  // All that there are, the best first.
  std::vector<Slot> Ranked(std::optional<Slot> avoid) const;
  // All machines where all constraints hold.
  Bits Feasible(std::optional<Slot> avoid) const;

 private:
  // Which places of a scope are out.
  struct Filter {
    ScopeId scope = kMachineScope;
    bool is_bounded = false;         // all but `allowed` are
    std::vector<PlaceId> allowed;    // sorted
    std::vector<PlaceId> forbidden;  // in no order
    bool Allows(PlaceId place) const;
  };
  using Filters = absl::InlinedVector<Filter, 2>;

  const Own* OwnAt(Slot slot) const;
  void ReadUnits();
  bool Follows(const std::string& name, UnitId* followed) const;

  // Counts of `glob` in a place without those of the units themselves.
  bool IsConflicting(GlobId glob, bool matching, PlaceId place) const;
  // (glob, matching): it conflicts with what matches the glob, or with what declares it.
  template <typename Function>
  void ForEachGlob(Function function) const {
    for (const UnitId unit : units_) {
      for (const GlobId glob : state_.units.ClassOf(unit).declares) function(glob, true);
      for (const GlobId glob : state_.units.MatchedBy(unit)) function(glob, false);
    }
  }
  bool ConflictsIn(ScopeId scope, Slot slot) const;

  std::vector<PlaceId> PlacesToCollocate(UnitId unit, size_t index) const;
  Filters ReadFilters() const;
  std::optional<std::vector<Slot>> FewSlots() const;
  std::optional<Rank> BestOf(const std::vector<Slot>& slots, std::optional<Slot> avoid) const;
  std::optional<Rank> BestInDomain(std::optional<Slot> avoid) const;
  std::optional<Rank> BestInParts(const Domain& domain, const Filter* filter,
                                  const Exclusions& exclusions, bool spreads) const;
  // The same, where many are excluded.
  std::optional<Rank> BestByLoad(const Domain& domain, const Filter* filter,
                                 const Exclusions& exclusions, bool spreads) const;
  std::optional<Rank> BestOfAll(std::optional<Slot> avoid) const;
  Filter& FilterOf(ScopeId scope, Filters& filters) const;
  // Machines that these filters exclude, that of `but` left out.
  Bits ExcludedBy(const Filters& filters, ScopeId but) const;
  // The scopes over which its units are to be spread.
  absl::InlinedVector<ScopeId, 2> SpreadScopes() const;
  // Instances of their templates by the values of the scope's key, those of places that are out
  // left as kNoPlace.
  using Counts = absl::InlinedVector<int64_t, 64>;
  static constexpr int64_t kNoPlace = INT64_MAX;
  Counts SpreadCounts(ScopeId scope, const Filter* filter) const;

  State& state_;
  std::span<const UnitId> units_;
  Resources need_;
  bool by_share_ = false;
  int64_t priority_ = 0;
  bool conflicts_within_itself_ = false;
  const Metadata* metadata_ = nullptr;  // of all units together
  Metadata merged_;                     // what metadata_ points to, if they are several
  absl::InlinedVector<Own, 2> own_;     // sorted by slot
};

}  // namespace fleet::scheduler
