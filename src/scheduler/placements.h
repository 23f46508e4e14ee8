#pragma once

// Which unit occupies which machine, and what conflicts follow from it. Machines are slots here;
// whether they are present does not matter.

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "scheduler/globs.h"
#include "scheduler/scheduler.h"
#include "scheduler/slot_set.h"

namespace fleet::scheduler {

class Placements {
  struct Placement {
    Hold hold = Hold::kRuns;
    std::vector<GlobId> declares;  // sorted
  };
  struct Unit {
    std::string name;
    absl::btree_map<Slot, Placement> placements;  // never empty
    std::vector<GlobId> matched_by;               // all globs that match the name, sorted
  };
  using UnitId = uint32_t;

 public:
  // REQUIRES: `unit` does not occupy `slot`.
  void Add(std::string_view unit, const Requirements& requirements, Slot slot, Hold hold);
  // False if it did not occupy it.
  bool Remove(std::string_view unit, Slot slot);
  bool Occupies(std::string_view unit, Slot slot) const;

  // The slots where it runs (not those that it leaves), ascending.
  std::vector<Slot> RunsOn(std::string_view unit) const;

  // A unit, placed or not, as a newcomer with these requirements: which globs decide its conflicts.
  // Valid until the next call that is not const.
  class Candidate {
   public:
    // Slots that the unit occupies already, ascending.
    std::vector<Slot> Occupied() const;

   private:
    friend class Placements;
    const Unit* unit = nullptr;  // null if it occupies nothing
    std::vector<GlobId> declares;
    std::vector<GlobId> matched_by;
  };
  Candidate MakeCandidate(std::string_view unit, const Requirements& requirements);

  // Where something else conflicts with it, in either direction.
  Bits Conflicting(const Candidate& candidate) const;
  bool ConflictsAt(const Candidate& candidate, Slot slot) const;
  // The units there that it conflicts with, sorted.
  std::vector<std::string> ConflictsOn(const Candidate& candidate, Slot slot) const;

  void Renumber(const std::vector<Slot>& renumbered);

 private:
  Unit* Find(std::string_view unit);
  const Unit* Find(std::string_view unit) const;
  UnitId FindOrAddUnit(std::string_view name);
  void RemoveUnit(std::string_view name);
  GlobId FindOrAddGlob(std::string_view text);
  void DropSuperfluousGlobs();
  // Calls `function` with each placed unit whose name a glob matches.
  template <typename Function>
  void ForEachMatch(std::string_view glob, Function function);

  std::deque<Unit> units_;                             // references stay valid
  std::vector<UnitId> free_;                           // numbers of removed ones
  absl::btree_map<std::string_view, UnitId> by_name_;  // the views are of Unit::name
  std::vector<std::vector<UnitId>> on_slot_;           // in no order
  Globs globs_;
};

}  // namespace fleet::scheduler
