#pragma once

// What the API says of units, states and machines: one JSON object each, made from a view. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_writer.h"
#include "model/cluster_view.h"

namespace fleet::api {

enum class Detail {
  kFull,
  kSummary,  // a unit without its options and its text
};

// The unit `name` of the view. REQUIRES: view.units has it.
void WriteUnit(JsonWriter& json, const ClusterView& view, const std::string& name, Detail detail);

// True if users see this report: it is of something that is still there.
bool IsListed(const StateReport& report);
void WriteState(JsonWriter& json, const UnitOnMachine& where, const StateReport& report);

// "ready", "cordoned", "draining", "drained", "drain-expired" or "leaving". `settings` may be null;
// `units`: how many are assigned to it.
std::string_view StateOf(const MachineRecord& machine, const Stored<MachineSettings>* settings,
                         int64_t units);
// The deadline of a drain and what has become of it, if it has one.
void WriteDeadline(JsonWriter& json, const MachineSettings& settings);
// `units`: how many are assigned to it. It may be absent.
void WriteMachine(JsonWriter& json, const ClusterView& view, const std::string& id, int64_t units);

// With what was set of it at run time.
void WriteMachineWithSettings(JsonWriter& json, const ClusterView& view, const std::string& id,
                              int64_t units);

// The machines that this incarnation of a unit is assigned to, tombstones left out. REQUIRES:
// view.units has it.
std::vector<std::string> AssignedTo(const ClusterView& view, const std::string& name);

// {"name":…} or {"machineID":…} or both, of what has been removed.
void WriteRemoved(JsonWriter& json, std::string_view name, std::string_view machine);

// How many instances of the template `name`, which has that record, are kept: the number of a
// scale, or of its text. None if neither has one.
std::optional<int64_t> ReplicasOf(const ClusterView& view, const UnitName& name,
                                  const UnitRecord& record);

// Whether the unit runs on every eligible machine.
bool IsGlobal(const UnitFile& file);

}  // namespace fleet::api
