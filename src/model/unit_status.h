#pragma once

// What users see of a unit: derived from its record, its assignment and the machine's report.
// Every place that says "started" (fleetctl's wait, the API's currentState) takes it from here.

#include <string>
#include <string_view>

#include "model/cluster_view.h"
#include "model/records.h"
#include "model/unit_name.h"

namespace fleet {

// How far a unit is on the way to its desired state.
enum class Progress {
  kWaiting,  // no eligible machine; `reason` says why
  kPending,  // under way
  kReached,  // done: loaded, started, or (inactive) nowhere
  kFailed,   // its job failed, or it failed by itself; `reason` has systemd's result
};
std::string_view ToString(Progress progress);  // "waiting", "pending", "reached", "failed"

struct UnitStatus {
  DesiredState current = DesiredState::kInactive;
  Progress progress = Progress::kPending;
  std::string machine;  // where it is assigned and the machine present; empty otherwise
  std::string reason;
  std::string log_tail;
  const StateReport* report = nullptr;  // of its current assignment; owned by the view
};

// `name` must be in view.units and not global.
UnitStatus StatusOf(const ClusterView& view, const UnitName& name);

// The same for a global unit on one machine, or of any (unit, machine) pair.
UnitStatus StatusOn(const ClusterView& view, const UnitName& name, const std::string& machine);

// True if systemd's states mean that a unit of this type has started: active; a oneshot that has
// finished; a timer, socket or path that waits or listens.
bool CountsAsStarted(UnitType type, const StateReport& report);

}  // namespace fleet
