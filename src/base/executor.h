#pragma once

// Where a callback runs. Every loop of fleetd (lease, machine, engine, API) is an Executor owned by
// one thread; the simulator has one that runs them all in one thread on simulated time.

#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace fleet {

using Task = absl::AnyInvocable<void()>;

class Executor {
 public:
  using TimerId = uint64_t;  // never 0

  virtual ~Executor() = default;

  // Runs `task` later in this executor's thread, in the order of the calls. Any thread may call it.
  virtual void Post(Task task) = 0;

  // Runs `task` in this executor's thread once `delay` has passed, unless cancelled before.
  // Only from this executor's own thread.
  virtual TimerId PostAfter(absl::Duration delay, Task task) = 0;

  // Does nothing if the timer has already run. Only from this executor's own thread.
  virtual void Cancel(TimerId timer) = 0;

  // The wall clock, for what users read. Never used to measure a span.
  virtual absl::Time WallNow() const = 0;

  // A clock that never jumps and counts suspended time (CLOCK_BOOTTIME), as time since boot.
  virtual absl::Time Now() const = 0;
};

}  // namespace fleet
