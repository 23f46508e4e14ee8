#pragma once

// An Executor on one thread over sd-event (libsystemd), which can also watch file descriptors.
// The thread that calls Run() owns the loop; only Post(), Stop() and the clocks may be called from
// other threads.

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/executor.h"

struct sd_event;

namespace fleet {

class Loop final : public Executor {
 public:
  // `name` is the thread's name (at most 15 bytes) and stands in warnings about long turns.
  explicit Loop(std::string name);
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until Stop(). Tasks posted before Stop() have run when it returns.
  void Run();
  void Stop();

  void Post(Task task) override;
  TimerId PostAfter(absl::Duration delay, Task task) override;
  void Cancel(TimerId timer) override;
  absl::Time WallNow() const override;
  absl::Time Now() const override;

  // The underlying sd_event, for sd-bus and file descriptors. Only from the loop's thread or
  // before Run().
  sd_event* event();

  // A turn of the loop (one task or timer) that takes longer is logged. Default 50 ms.
  void WarnOfTurnsLongerThan(absl::Duration limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleet
