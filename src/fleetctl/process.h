#pragma once

// Child processes: one that takes the terminal over, or one whose output is wanted.

#include <csignal>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace fleet::fleetctl {

// Runs `argv` (looked up in PATH) with this process's standard streams; its exit status, or 128 and
// the number of the signal that ended it. Interrupts from the terminal are the child's meanwhile.
// It gets `death_signal` if this process ends before it.
absl::StatusOr<int> RunInForeground(const std::vector<std::string>& argv,
                                    int death_signal = SIGTERM);

struct Captured {
  int code = 0;
  std::string out;
  std::string err;
};

// Runs `argv` with no input and waits for its end.
absl::StatusOr<Captured> RunCaptured(const std::vector<std::string>& argv);

// `word` as one word for a POSIX shell.
std::string ShellQuote(const std::string& word);
std::string ShellJoin(const std::vector<std::string>& words);

}  // namespace fleet::fleetctl
