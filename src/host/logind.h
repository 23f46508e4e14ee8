#pragma once

// A delay of the machine's shutdown (systemd-logind's inhibitor locks, "delay"): logind tells that
// a reboot or power off has been asked for, and waits until the delay is released,
// InhibitDelayMaxSec= at most. Without logind there is no such notice, and the order of units is
// all there is.
//
// Belongs to the loop's thread.

#include <memory>

#include "absl/functional/any_invocable.h"
#include "base/loop.h"

namespace fleet::host {

class ShutdownDelay {
 public:
  virtual ~ShutdownDelay() = default;
  // The shutdown may go on. Nothing if none is delayed.
  virtual void Release() = 0;
};

struct ShutdownHooks {
  absl::AnyInvocable<void()> on_shutdown;  // it waits for Release()
  absl::AnyInvocable<void()> on_cancel;    // there will be none after all
};

// Takes the delay as soon as logind is there, and again when it was lost. Destroying the result
// releases it. `loop` outlives it.
std::unique_ptr<ShutdownDelay> DelayShutdown(Loop* loop, ShutdownHooks hooks);

}  // namespace fleet::host
