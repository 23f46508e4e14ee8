#pragma once

// Where a unit may run and where it should: hard constraints first, then the best of what is left.
//
// A pure library: no I/O, no clock, no threads; the same calls give the same answers, and so does a
// scheduler that was told the same state in another order. A const call may complete an index: one
// object belongs to one thread. It keeps its own indexes, updated by deltas, so that a placement
// does not look at every machine or every unit (README.md says how).
//
// Units and machines are named once, when they are made known; afterwards they go by small numbers,
// which are good until they are removed.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/requirements.h"
#include "scheduler/explanation.h"

namespace fleet::scheduler {

using UnitId = uint32_t;
using Slot = uint32_t;  // a machine

struct Resources {
  int64_t milli_cores = 0;
  int64_t memory = 0;  // bytes
  bool operator==(const Resources&) const = default;
};

struct Machine {
  std::string id;
  std::map<std::string, std::string> metadata;  // overrides applied
  bool schedulable = true;                      // false: leaving, cordoned: gets nothing new
  Resources capacity;                           // what units may reserve
};

using RequirementsPtr = std::shared_ptr<const Requirements>;

// How a unit occupies a machine.
enum class Hold {
  kRuns,    // its live assignment, or a target reserved for it: MachineOf follows it here
  kLeaves,  // a tombstone: it may still run here, so it counts for conflicts and capacity, but is
            // on its way out
};

// Which of the machines that a unit may run on it should.
enum class Placement {
  kSpread,  // the least loaded
  kPack,    // the most loaded
};

// As what a unit is judged on a machine.
enum class As {
  kResident,  // it is there: neither cordon nor capacity drive it away, nor an older version
  kChanged,   // it is there, with new requirements: what it reserves has to fit
  kNewcomer,  // it would come: all constraints hold
};

// How much of an explanation is wanted.
enum class Detail { kCounts, kAll };

// A unit that has to go so that another one fits.
struct Victim {
  UnitId unit = 0;
  std::optional<Slot> target;  // where it can go; nullopt: it waits until there is room
};
struct Preemption {
  Slot machine = 0;
  std::vector<Victim> victims;  // sorted by name, never empty
};

// A unit that runs, to be moved to a better machine.
struct Move {
  UnitId unit = 0;
  Slot from = 0;
  Slot to = 0;
  std::string reason;
};

class Scheduler {
 public:
  explicit Scheduler(Placement placement = Placement::kSpread);
  ~Scheduler();
  Scheduler(Scheduler&&) noexcept;
  Scheduler& operator=(Scheduler&&) noexcept;

  // Adds a machine or changes one. Units placed on it keep their place.
  Slot SetMachine(const Machine& machine);
  // The machine is not there. Units placed on it stay recorded (they come back with it) but count
  // for nothing meanwhile.
  void RemoveMachine(std::string_view id);
  // The number of a machine, which need not be present; makes one that is absent if there is none.
  Slot SlotOf(std::string_view id);
  // Its number if it has one: it is present, a unit is placed there, or it was known until lately.
  std::optional<Slot> FindMachine(std::string_view id) const;
  const std::string& MachineName(Slot machine) const;
  bool IsPresent(Slot machine) const;
  size_t present_machines() const;

  // Makes a unit known, or changes its requirements, also while it is placed. null: none.
  UnitId SetUnit(std::string_view name, const RequirementsPtr& requirements);
  // With all its places. Its number may be given to another unit.
  void RemoveUnit(UnitId unit);
  std::optional<UnitId> FindUnit(std::string_view name) const;
  const std::string& UnitName(UnitId unit) const;
  const Requirements& RequirementsOf(UnitId unit) const;

  // Says that `unit` occupies `machine` (which need not be present); replaces what was said of this
  // pair before. A unit may occupy several machines: a move in progress, a global unit.
  void Place(UnitId unit, Slot machine, Hold hold);
  // Does nothing if it does not occupy it.
  void Unplace(UnitId unit, Slot machine);
  // Where it runs, or all that it occupies; in the order of machine ids.
  std::vector<Slot> RunsOn(UnitId unit) const;
  std::vector<Slot> Occupies(UnitId unit) const;
  // Units that occupy a machine, sorted by name.
  std::vector<UnitId> UnitsOn(Slot machine) const;
  bool HasUnits(Slot machine) const;
  Resources ReservedOn(Slot machine) const;

  // The best machine for a unit that is not global: spread first, then load, then the one where it
  // runs, then the first id. It counts as a newcomer everywhere; what it occupies itself does not
  // count. `avoid` is not considered. nullopt: Explain() says why.
  std::optional<Slot> Choose(UnitId unit, std::optional<Slot> avoid = std::nullopt) const;
  // The same for units that have to share a machine. MachineOf of one that names another of them
  // holds by itself. None conflicts with itself; two that conflict fit nowhere.
  std::optional<Slot> ChooseTogether(std::span<const UnitId> units,
                                     std::optional<Slot> avoid = std::nullopt) const;

  // All machines where they may go, the best first, which is what ChooseTogether() gives.
  std::vector<Slot> Ranked(std::span<const UnitId> units,
                           std::optional<Slot> avoid = std::nullopt) const;

  // Why there is no machine for them (or for one), from the state as it is. kCounts: only
  // `machines`, `ruled_out` and `together`, which a summary needs; many units may be refused at
  // once.
  Explanation Explain(std::span<const UnitId> units, std::optional<Slot> avoid = std::nullopt,
                      Detail detail = Detail::kAll) const;
  // Each present machine, in the order of ids: what rules it out, what it would be chosen by.
  std::vector<Verdict> Judge(std::span<const UnitId> units) const;

  // Whether the unit may be on this machine: empty if so, else the first constraint that rules it
  // out, as in RuledOut. An absent machine: "machine is absent".
  std::string RulesOut(UnitId unit, Slot machine, As as) const;

  // All machines where a newcomer may go; what a global unit is assigned to. In the order of ids.
  std::vector<Slot> EligibleMachines(UnitId unit) const;

  // Units placed there that it conflicts with in either direction, also over ConflictsWithin from
  // other machines. Sorted by name.
  std::vector<UnitId> Conflicts(UnitId unit, Slot machine) const;

  // Which units of strictly lower priority have to go so that these fit together on one machine,
  // which they do not without: the machine where the highest priority of a victim is lowest, then
  // with the fewest victims, then by load and id. Only units that reserve capacity, run there and
  // for which `may_go` holds. nullopt: nothing that may go would help.
  std::optional<Preemption> Preempt(std::span<const UnitId> units,
                                    const std::function<bool(UnitId)>& may_go);

  // The fewest moves that even out: first the instances of each template over the values of its
  // SpreadOver, then the load (not with kPack), each move a clear gain, none against a hard
  // constraint, at most `max_moves`. Carried out in this order, they leave nothing to do, but units
  // that would have to change places stay. `may_move` says which units may.
  std::vector<Move> Rebalance(size_t max_moves, const std::function<bool(UnitId)>& may_move);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleet::scheduler
