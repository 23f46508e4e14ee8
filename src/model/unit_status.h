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

// `name` must be in view.units and not global. With "live" for an assignment of the record's uid
// that is no tombstone, and "answers" for a report of the same uid and generation:
//   desired inactive:          reached once no assignment of the uid is left, tombstones included;
//                              pending until then
//   no live assignment:        waiting with the record's refusal, pending if it has none (with the
//                              reason, if it waits for one that it replaces)
//   its machine is absent:     waiting with the record's refusal; pending, with the reason, if it
//   has
//                              none yet; current inactive
//   the assignment asks for another state, content or restart than the record: pending
//   no report that answers, or it is not settled: pending
//   settled, with a result or a load state not-found, bad-setting, error or masked: failed
//   settled, asked to load:    reached when loaded, also when systemd has started it by itself;
//                              pending while it is deactivating
//   settled, asked to launch:  reached when CountsAsStarted; failed when active_state is failed or
//                              inactive, or sub_state auto-restart; pending otherwise
// `current` is launched if the assignment asks for that and a report that answers says that it is
// up or CountsAsStarted; else loaded if load_state is loaded (a report of an older generation of
// this uid is good enough for that, unless it says that it is up); else inactive.
UnitStatus StatusOf(const ClusterView& view, const UnitName& name);

// The same for a global unit on one machine, or of any (unit, machine) pair. A unit that is not in
// view.units (any more) is to be inactive.
UnitStatus StatusOn(const ClusterView& view, const UnitName& name, const std::string& machine);

// True if systemd's states mean that a unit of this type has started: active (which a timer, socket
// or path is while it waits or listens) or reloading; a oneshot that has finished or a service that
// has run to its end: inactive and loaded, settled, without a result.
bool CountsAsStarted(UnitType type, const StateReport& report);

}  // namespace fleet
