#pragma once

// Why fleetd is being stopped. Asked once, on SIGTERM, over a short connection of its own: the
// machine loop's may be busy or lost, and the process is about to end.

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace fleet::host {

enum class OwnJob {
  kNone,      // a signal by hand, or not a unit at all: everything keeps running
  kRestart,   // the same
  kStop,      // `systemctl stop`: leave the cluster
  kShutdown,  // the machine goes down: leave the cluster
};

// The job of the unit that this process belongs to, in the system's manager or with `user` the
// user's. Blocks, for `timeout` at most. UNAVAILABLE or DEADLINE_EXCEEDED, with what was asked, if
// systemd does not say.
absl::StatusOr<OwnJob> FindOwnJob(bool user, absl::Duration timeout = absl::Seconds(1));

}  // namespace fleet::host
