#pragma once

// An executor for tests: time stands still until the test moves it, tasks run when the test says.

#include <deque>
#include <map>
#include <utility>

#include "base/executor.h"

namespace fleet::registry::testing {

class ManualExecutor final : public Executor {
 public:
  void Post(Task task) override { tasks_.push_back(std::move(task)); }
  TimerId PostAfter(absl::Duration delay, Task task) override {
    timers_.emplace(++last_timer_, Timer{now_ + delay, std::move(task)});
    return last_timer_;
  }
  void Cancel(TimerId timer) override { timers_.erase(timer); }
  absl::Time WallNow() const override { return now_; }
  absl::Time Now() const override { return now_; }

  // Runs what is posted, and what that posts.
  void RunUntilIdle() {
    while (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
  }

  // Lets time pass, running timers in their order.
  void Advance(absl::Duration span) {
    const absl::Time end = now_ + span;
    RunUntilIdle();
    while (true) {
      auto next = timers_.end();
      for (auto it = timers_.begin(); it != timers_.end(); ++it) {
        if (it->second.at <= end && (next == timers_.end() || it->second.at < next->second.at)) {
          next = it;
        }
      }
      if (next == timers_.end()) break;
      now_ = std::max(now_, next->second.at);
      Task task = std::move(next->second.task);
      timers_.erase(next);
      task();
      RunUntilIdle();
    }
    now_ = end;
  }

 private:
  struct Timer {
    absl::Time at;
    Task task;
  };
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  std::deque<Task> tasks_;
  std::map<TimerId, Timer> timers_;
  TimerId last_timer_ = 0;
};

}  // namespace fleet::registry::testing
