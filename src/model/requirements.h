#pragma once

// What a unit's [X-Fleet] section asks of the scheduler, specifiers expanded for one unit name.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/specifiers.h"  // ExpandSpecifiers
#include "model/unit_file.h"
#include "model/unit_name.h"

namespace fleet {

struct Requirements {
  std::string machine_id;                                 // whole id, or empty
  std::vector<std::string> machine_of;                    // unit names, sorted, unique
  std::map<std::string, std::set<std::string>> metadata;  // key → allowed values; all keys hold
  std::vector<std::string> conflicts;                     // globs, sorted, unique
  std::vector<std::string> replaces;                      // globs, sorted, unique
  bool global = false;

  bool operator==(const Requirements&) const = default;
};

// Reads the keys that this version knows; unknown keys are ignored (a stored unit may come from a
// newer version). INVALID_ARGUMENT for a value that cannot be read and for keys that exclude each
// other (Global with MachineID, MachineOf, Replaces; Replaces with Conflicts). A template, which
// never runs, is read as its instance named "instance".
absl::StatusOr<Requirements> ParseRequirements(const UnitFile& file, const UnitName& name);

// What a submit additionally refuses: unknown [X-Fleet] keys, with the nearest known one, and host
// specifiers. `force` lets unknown keys pass.
absl::Status CheckForSubmit(const UnitFile& file, const UnitName& name, bool force);

}  // namespace fleet
