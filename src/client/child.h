#pragma once

// Child processes that end with this one: whoever ends fleetctl ends what it runs, too.

#include <sys/types.h>

#include <csignal>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace fleet::client {

struct ChildOptions {
  // Descriptors that become the child's standard streams; -1: the caller's own. They stay open
  // here.
  int in = -1;
  int out = -1;
  int err = -1;
  // What the child gets when the thread that started it has ended, however that was.
  int death_signal = SIGTERM;
};

// Starts `argv`, looked up in PATH. The child does not inherit that this process ignores
// interrupts. UNAVAILABLE, naming the program, if it cannot be run.
absl::StatusOr<pid_t> StartChild(const std::vector<std::string>& argv, const ChildOptions& options);

// Waits for its end: its exit status, or 128 and the number of the signal that ended it.
int ReapChild(pid_t pid);

}  // namespace fleet::client
