#pragma once

// Where a unit may run and where it should: hard constraints first, then the least loaded machine.
//
// A pure library: no I/O, no clock, no threads; the same calls give the same answers, and so does a
// scheduler that was told the same state in another order. A const call may complete an index: one
// object belongs to one thread. It keeps its own indexes, updated by deltas, so that a placement
// does not look at every machine or every unit:
//   metadata value → machines; load → machines; conflict glob ↔ unit names, per machine.
// It holds no copy of a unit's text; whoever calls tells it the requirements.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/requirements.h"

namespace fleet::scheduler {

struct Machine {
  std::string id;
  std::map<std::string, std::string> metadata;  // overrides applied
  bool schedulable = true;                      // false: leaving, cordoned: gets nothing new
};

using RequirementsPtr = std::shared_ptr<const Requirements>;

// How a unit occupies a machine.
enum class Hold {
  kRuns,    // its live assignment, or a target reserved for it: MachineOf follows it here
  kLeaves,  // a tombstone: it may still run here, so it counts for conflicts, but is on its way out
};

// One constraint and how many machines it rules out (each machine is counted once, under the first
// constraint that rules it out, in the order metadata, MachineID, MachineOf, Conflicts, cordon,
// avoided). All conflicts are one constraint that names up to three units, so that a refusal stays
// short: it is stored with the unit.
struct RuledOut {
  std::string constraint;  // "MachineMetadata zone=c", "Conflicts with mysql.1.service", …
  int machines = 0;
  bool operator==(const RuledOut&) const = default;
};

struct Explanation {
  int machines = 0;                 // how many there are
  std::vector<RuledOut> ruled_out;  // by constraint; sorted by count (most first), then text
  // One line for users: "no machine is eligible: 2 of 3 conflict with mysql.1.service, 1 …".
  std::string Summary() const;
};

struct Choice {
  std::optional<std::string> machine;
  Explanation explanation;  // filled only when there is no machine
};

class Scheduler {
 public:
  Scheduler();
  ~Scheduler();
  Scheduler(Scheduler&&) noexcept;
  Scheduler& operator=(Scheduler&&) noexcept;

  // Adds a machine or changes one. Units placed on it keep their place.
  void SetMachine(const Machine& machine);
  // The machine is not there. Units placed on it stay recorded (they come back with it) but count
  // for nothing meanwhile.
  void RemoveMachine(std::string_view id);
  bool HasMachine(std::string_view id) const;

  // Says that `unit` occupies `machine` (which need not be present); replaces what was said of this
  // pair before. A unit may occupy several machines: a move in progress, a global unit.
  void Place(const std::string& unit, const RequirementsPtr& requirements,
             const std::string& machine, Hold hold);
  // Does nothing if it does not occupy it.
  void Unplace(const std::string& unit, const std::string& machine);

  // The best machine for a unit that is not global: the least loaded, of equals the one where it
  // runs, then the first id. What the unit itself occupies neither conflicts with it nor counts as
  // load. It counts as a newcomer everywhere. `avoid` (if not empty) is not considered.
  Choice Choose(const std::string& unit, const Requirements& requirements,
                std::string_view avoid = {}) const;

  // Whether the unit may be (or stay) on this machine: empty if so, else the constraint that rules
  // it out, as in RuledOut. A machine that is not schedulable rules out newcomers only
  // (`newcomer`). An absent machine: "machine is absent".
  std::string RulesOut(const std::string& unit, const Requirements& requirements,
                       const std::string& machine, bool newcomer) const;

  // All machines where a newcomer may go; what a global unit is assigned to. Sorted by id.
  std::vector<std::string> EligibleMachines(const std::string& unit,
                                            const Requirements& requirements) const;

  // Placed units that a unit of this name and requirements, placed on `machine`, conflicts with in
  // either direction. Sorted. The machine need not be present.
  std::vector<std::string> ConflictsOn(const std::string& unit, const Requirements& requirements,
                                       const std::string& machine) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleet::scheduler
