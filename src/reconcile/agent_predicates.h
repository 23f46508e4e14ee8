#pragma once

// What the parts of the agent's decisions ask of a unit's state. Pure.

#include <optional>

#include "model/local_unit.h"
#include "model/records.h"
#include "model/unit_file.h"

namespace fleet::reconcile {

inline bool IsStopped(const host::UnitStatus& status) {
  return status.active_state.empty() || status.active_state == "inactive" ||
         status.active_state == "failed";
}

inline bool HasFailed(const host::UnitStatus& status) {
  return status.active_state == "failed" || status.sub_state == "auto-restart";
}

inline bool Wants(const std::optional<Assignment>& assignment, AssignmentState state) {
  return assignment && assignment->state == state;
}

// OnIsolation=stop, as ParseRequirements reads it, but from this key alone: a text whose other keys
// this version cannot read is guarded all the same (S1).
inline bool StopsOnIsolation(const UnitFile& file) {
  return file.Value("X-Fleet", "OnIsolation") == "stop";
}

}  // namespace fleet::reconcile
