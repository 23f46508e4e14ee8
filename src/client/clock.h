#pragma once

// The clock that deadlines are measured with: never jumps when the wall clock is set.

#include <time.h>

#include "absl/time/time.h"

namespace fleet::client {

inline absl::Time MonotonicNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::TimeFromTimespec(now);
}

}  // namespace fleet::client
