#pragma once

// What a unit's [X-Fleet] section asks of the scheduler, specifiers expanded for one unit name.

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/budget.h"
#include "model/specifiers.h"  // ExpandSpecifiers
#include "model/unit_file.h"
#include "model/unit_name.h"

namespace fleet {

// How many instances a template may ask for.
inline constexpr int64_t kMaxReplicas = 100'000;

// A metadata key, which groups machines by its value (zone, region …), and what is said within it.
struct Within {
  std::string key;
  std::string name;  // a glob of ConflictsWithin, a unit of CollocateWithin
  auto operator<=>(const Within&) const = default;
};

struct Requirements {
  std::string machine_id;                                 // whole id, or empty
  std::vector<std::string> machine_of;                    // unit names, sorted, unique
  std::map<std::string, std::set<std::string>> metadata;  // key → allowed values; all keys hold
  std::vector<std::string> conflicts;                     // globs, sorted, unique
  std::vector<std::string> replaces;                      // globs, sorted, unique
  std::vector<Within> conflicts_within;                   // KEY=GLOB, sorted, unique
  std::vector<Within> collocate_within;                   // KEY=UNIT, sorted, unique
  std::string spread_over;                                // a metadata key, or empty
  int64_t reserve_milli_cores = 0;                        // thousandths of a core
  int64_t reserve_memory = 0;                             // bytes
  int64_t weight = 1;                                     // at least 1
  int64_t priority = 0;
  bool global = false;
  // OnIsolation=stop: cut off from the registry, its machine stops it before it may run elsewhere.
  bool stops_on_isolation = false;
  // Reschedule=on-failure: once systemd has given it up, it is moved to another machine.
  bool reschedules_on_failure = false;

  // Of a template: instances 1 to this are kept.
  std::optional<int64_t> replicas;
  // Of its instances (or a unit), how many a voluntary move or a rollout may have down at once.
  Budget max_unavailable;
  // How long a rollout waits before a unit that is active counts as healthy.
  absl::Duration healthy_after = absl::Seconds(2);

  bool Reserves() const { return reserve_milli_cores > 0 || reserve_memory > 0; }

  bool operator==(const Requirements&) const = default;
};

// Reads the keys that this version knows; unknown keys are ignored (a stored unit may come from a
// newer version). INVALID_ARGUMENT for a value that cannot be read and for keys that exclude each
// other (Global with MachineID, MachineOf, Replaces, ConflictsWithin, CollocateWithin, SpreadOver,
// Reschedule=on-failure,
// Replicas; Replaces with Conflicts). A template, which never runs, is read as its instance named
// "instance".
absl::StatusOr<Requirements> ParseRequirements(const UnitFile& file, const UnitName& name);

// What a submit additionally refuses: unknown [X-Fleet] keys, with the nearest known one, and host
// specifiers. `force` lets unknown keys pass.
absl::Status CheckForSubmit(const UnitFile& file, const UnitName& name, bool force);

}  // namespace fleet
