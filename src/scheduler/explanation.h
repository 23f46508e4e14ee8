#pragma once

// Why a unit is nowhere, or where it is: values that the scheduler fills, and their words.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::scheduler {

// One constraint and how many machines it rules out. `machines`: each machine is counted once,
// under the first constraint that rules it out, in the order MachineMetadata, MachineID, MachineOf,
// CollocateWithin, Conflicts, ConflictsWithin, ReserveCPU, ReserveMemory, cordon, avoided.
// `in_all`: whatever else rules them out. `alone`: those that nothing else rules out. All conflicts
// on a machine are one constraint that names up to three units, so that a refusal stays short: it
// is stored with the unit.
struct RuledOut {
  std::string constraint;  // "MachineMetadata zone=c", "Conflicts with mysql.1.service", …
  int machines = 0;
  int in_all = 0;
  int alone = 0;
  bool operator==(const RuledOut&) const = default;
};

// One change after which the unit (or the group) could be placed.
struct Remedy {
  enum class Kind {
    kMetadata,       // MachineMetadata of this key is dropped
    kMachineId,      // MachineID is dropped
    kMachineOf,      // MachineOf of unit `name` is dropped
    kCollocate,      // CollocateWithin of `key` and unit `name` is dropped
    kWithoutUnit,    // unit `name`, with which it conflicts, is nowhere
    kReserveCpu,     // it reserves `amount` thousandths of a core at most
    kReserveMemory,  // it reserves `amount` bytes at most
    kUncordon,       // the machine `name` takes newcomers
  };
  Kind kind = Kind::kMetadata;
  std::string of;  // the unit whose requirement it is, where several are placed together
  std::string key;
  std::string name;
  int64_t amount = 0;
  int machines = 0;  // so many fit then
  std::string text;  // "2 machines fit but for ReserveMemory=4G (at most 3G)"
  bool operator==(const Remedy&) const = default;
};

struct Explanation {
  int machines = 0;                    // how many there are
  std::vector<RuledOut> ruled_out;     // those with `machines`; most first, then by text
  std::vector<RuledOut> also;          // those that rule out only what another one does, too
  std::vector<Remedy> remedies;        // most machines first, then by text
  std::vector<std::string> conflicts;  // units that it conflicts with on up to 256 machines, sorted
  std::vector<std::string> notes;      // "no machine has zone=c"
  std::vector<std::string> together;   // the units, if they are several
  // One line for users: "no machine is eligible: 2 of 3 conflict with mysql.1.service, 1 …".
  std::string Summary() const;
};

// By what a machine is chosen; what comes first counts more, smaller is better.
struct Score {
  std::optional<std::string> spread_value;  // of SpreadOver's key
  int64_t spread = 0;                       // instances of the template there
  bool by_share = false;                    // what `load` is
  int64_t load = 0;  // millionths of the capacity that are reserved, or the sum of weights
  bool runs_there = false;
};

struct Verdict {
  std::string machine;
  std::vector<std::string> ruled_out_by;  // empty: eligible
  Score score;                            // without what the unit itself occupies
};

// The words for each constraint, as RuledOut::constraint has them.
std::string MetadataText(std::string_view key, const std::set<std::string>& values);
std::string MachineIdText(std::string_view id, bool is_present);
// On how many machines the other unit is placed, and how many of those are present.
std::string MachineOfText(std::string_view unit, size_t placed, size_t present);
std::string CollocateText(std::string_view key, std::string_view unit, size_t placed,
                          size_t present);
// Names the first kNamedConflicts units, and says if there are more.
inline constexpr size_t kNamedConflicts = 3;
std::string ConflictsText(const std::vector<std::string>& units);
std::string ConflictsWithinText(std::string_view key, const std::vector<std::string>& units);
std::string ReserveCpuText(int64_t milli_cores);  // "ReserveCPU=1.5"
std::string ReserveMemoryText(int64_t bytes);     // "ReserveMemory=1536M"

std::string FormatCores(int64_t milli_cores);  // "1.5"
std::string FormatBytes(int64_t bytes);        // "1536M": the largest unit that divides it

inline constexpr std::string_view kAbsentText = "machine is absent";
inline constexpr std::string_view kNotSchedulableText = "cordoned or leaving";
inline constexpr std::string_view kSelfConflictText = "Conflicts among them";
inline constexpr std::string_view kAvoidedText = "to be left by this unit";

}  // namespace fleet::scheduler
