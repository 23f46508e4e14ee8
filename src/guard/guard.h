#pragma once

// The guard at work: obeys the order file as it changes, keeps the time, closes and opens the gate,
// and has systemd stop and kill. All decisions are Watch's.

#include <string>

#include "base/loop.h"
#include "guard/units.h"
#include "guard/watch.h"

struct sd_event_source;

namespace fleet::guard {

class Guard {
 public:
  // `directory` exists.
  Guard(std::string directory, Loop* loop);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Takes up the order that is there. An error if the directory cannot be watched.
  absl::Status Start();

 private:
  void ReadOrder();
  void Do(const Watch::Actions& actions);
  void SetGate(bool closed);
  void Schedule();

  const std::string directory_;
  Loop* loop_;
  Units units_;
  Watch watch_;
  sd_event_source* changes_ = nullptr;
  Executor::TimerId timer_ = 0;
};

}  // namespace fleet::guard
