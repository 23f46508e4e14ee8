#pragma once

// The scheduler by its definitions: for each unit it looks at every machine and at what is on it.
// No index, nothing remembered between calls. What the property tests compare with, and what the
// benchmark measures against.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/explanation.h"
#include "scheduler/scheduler.h"

namespace fleet::scheduler {

class Naive {
 public:
  explicit Naive(Placement placement = Placement::kSpread) : placement_(placement) {}

  void SetMachine(const Machine& machine);
  void RemoveMachine(std::string_view id);
  bool IsPresent(std::string_view id) const;
  std::vector<std::string> PresentMachines() const;  // sorted

  void SetUnit(std::string_view name, const RequirementsPtr& requirements);
  void RemoveUnit(std::string_view name);
  std::vector<std::string> Units() const;  // sorted
  const Requirements& RequirementsOf(std::string_view unit) const;

  // REQUIRES: the unit is known.
  void Place(std::string_view unit, std::string_view machine, Hold hold);
  void Unplace(std::string_view unit, std::string_view machine);
  // Machines with how it occupies them.
  std::map<std::string, Hold> Places(std::string_view unit) const;

  // The same questions as Scheduler's, by name. REQUIRES: the units are known.
  std::optional<std::string> Choose(std::span<const std::string> units,
                                    std::optional<std::string> avoid = std::nullopt) const;
  std::vector<std::string> Eligible(std::span<const std::string> units) const;
  std::string RulesOut(const std::string& unit, std::string_view machine, As as) const;
  std::vector<std::string> Conflicts(const std::string& unit, std::string_view machine) const;
  std::vector<Verdict> Judge(std::span<const std::string> units) const;
  Resources ReservedOn(std::string_view machine) const;

  // How many machines there are, `ruled_out` and `also`, each in the order of the texts. All
  // conflicts are named, and over all machines ("Conflicts with a, b, c, d").
  Explanation Count(std::span<const std::string> units,
                    std::optional<std::string> avoid = std::nullopt) const;

 private:
  using UnitNumber = size_t;
  using MachineNumber = size_t;
  struct Occupant {
    UnitNumber unit = 0;
    Hold hold = Hold::kRuns;
  };
  struct MachineState {
    Machine machine;
    bool present = false;
    std::vector<Occupant> occupants;
  };
  struct Unit {
    std::string name;
    std::string of_template;  // empty: it is no instance
    RequirementsPtr requirements;
  };
  // Machines with the same value of a key; one that lacks it is alone: its id, and false.
  using Domain = std::pair<bool, std::string>;
  struct Followed {
    size_t placed = 0;                   // on how many machines it runs
    std::vector<MachineNumber> present;  // and on which that are there
  };
  // What is to be placed, and what one look at all machines says about it.
  struct Query {
    std::vector<UnitNumber> members;
    std::optional<MachineNumber> avoid;
    As as = As::kNewcomer;
    Resources need;
    bool conflicts_inside = false;  // two members conflict: they fit nowhere
    // Units outside that MachineOf and CollocateWithin name.
    std::map<std::string, Followed> followed;
    // key → domain → units that conflict there
    std::map<std::string, std::map<Domain, std::set<std::string>>> conflicts_within;
    // For each member with SpreadOver: instances of its template by value.
    std::vector<std::pair<std::string, std::map<std::string, int64_t>>> spread;
  };
  enum class Kind {
    kMetadata,
    kMachineId,
    kMachineOf,
    kCollocate,
    kConflicts,
    kConflictsWithin,
    kCpu,
    kMemory,
    kCordon,
    kAvoided,
  };
  struct Broken {
    Kind kind = Kind::kMetadata;
    std::string text;             // without the units of a conflict
    std::set<std::string> units;  // of a conflict
    std::string key;              // of ConflictsWithin
  };

  static Domain DomainOf(const MachineState& machine, const std::string& key);
  static std::string TextOf(const Broken& broken);
  MachineNumber NumberOf(std::string_view machine);
  bool IsMember(const Query& query, UnitNumber unit) const;
  bool Conflict(const Unit& a, const Unit& b) const;
  Query Ask(std::span<const std::string> units, std::optional<std::string> avoid, As as) const;
  // What rules the machine out, in the order of RuledOut; only the first if `first_only`.
  std::vector<Broken> Violations(const Query& query, MachineNumber number, bool first_only) const;
  Resources Reserved(const Query& query, const MachineState& machine) const;
  Score ScoreOf(const Query& query, const MachineState& machine) const;

  Placement placement_;
  std::map<std::string, MachineNumber, std::less<>> machine_numbers_;
  std::vector<MachineState> machines_;
  std::map<std::string, UnitNumber, std::less<>> unit_numbers_;
  std::vector<Unit> units_;  // those removed stay behind, without requirements
};

}  // namespace fleet::scheduler
