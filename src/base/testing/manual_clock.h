#pragma once

// An executor of which only the clock is used: time stands still until the test moves it.

#include "base/executor.h"

namespace fleet::testing {

class ManualClock final : public Executor {
 public:
  void Post(Task /*task*/) override {}
  TimerId PostAfter(absl::Duration /*delay*/, Task /*task*/) override { return 1; }
  void Cancel(TimerId /*timer*/) override {}
  absl::Time WallNow() const override { return now_; }
  absl::Time Now() const override { return now_; }

  void Advance(absl::Duration span) { now_ += span; }

 private:
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
};

}  // namespace fleet::testing
