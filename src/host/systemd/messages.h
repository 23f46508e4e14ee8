#pragma once

// Reads what systemd sends: unit lists and changes of a unit's state. Cheap, because signals about
// every unit of the machine pass here.

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "host/host.h"

struct sd_bus_message;

namespace fleet::host {

// The reply to ListUnits, ListUnitsByNames and ListUnitsByPatterns.
absl::StatusOr<std::vector<UnitStatus>> ReadUnitList(sd_bus_message* reply);

// The paths in the reply to ListJobs.
absl::StatusOr<absl::flat_hash_set<std::string>> ReadJobList(sd_bus_message* reply);

// What a PropertiesChanged says about a unit. Empty: not said.
struct StateChange {
  std::string active_state;
  std::string sub_state;
};

// Nothing if the signal is about another interface than org.freedesktop.systemd1.Unit (every change
// is signalled once more for the unit's type).
std::optional<StateChange> ReadStateChange(sd_bus_message* signal);

// A property's value as Properties.Get answers it. INTERNAL if it is of another type.
absl::StatusOr<std::string> ReadStringProperty(sd_bus_message* reply);
absl::StatusOr<bool> ReadBoolProperty(sd_bus_message* reply);

}  // namespace fleet::host
