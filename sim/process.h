#pragma once

// A simulated process: an Executor on simulated time, which can be paused and killed at any moment.
// All loops of one fleetd are one of these. Its clocks are its machine's.

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/executor.h"
#include "sim/event_queue.h"

namespace fleet::sim {

// A machine's clocks. CLOCK_BOOTTIME runs at `rate`; the wall clock is off by `wall_offset`.
struct Clock {
  double rate = 1;
  absl::Duration wall_offset;
  absl::Time since;  // when the rate became this,
  absl::Time then;   // and what the clock showed

  absl::Time At(absl::Time now) const { return then + (now - since) * rate; }
  void SetRate(absl::Time now, double new_rate) {
    then = At(now);
    since = now;
    rate = new_rate;
  }
};

// Thrown out of a call that the process does not survive: SIGKILL at exactly this point.
struct Killed {};

class Process final : public Executor {
 public:
  // `on_killed` runs when a task of it threw Killed; the process does nothing afterwards.
  Process(EventQueue* queue, const Clock* clock, std::function<void()> on_killed)
      : queue_(queue), clock_(clock), state_(std::make_shared<State>()) {
    state_->on_killed = std::move(on_killed);
  }
  ~Process() override { Kill(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void Post(Task task) override { Deliver(absl::ZeroDuration(), std::move(task)); }
  TimerId PostAfter(absl::Duration delay, Task task) override {
    const TimerId id = ++last_timer_;
    // Rounded up: it must not be early by the clock that it was asked by.
    timers_[id] =
        Deliver(absl::Ceil(delay / clock_->rate, absl::Nanoseconds(1)) + absl::Nanoseconds(1),
                [this, id, task = std::move(task)]() mutable {
                  // It may have been cancelled while the process was paused.
                  if (timers_.erase(id) > 0) task();
                });
    return id;
  }
  void Cancel(TimerId timer) override {
    const auto node = timers_.extract(timer);
    if (!node.empty()) queue_->Cancel(node.mapped());
  }
  absl::Time WallNow() const override { return queue_->now() + clock_->wall_offset; }
  absl::Time Now() const override { return clock_->At(queue_->now()); }

  // `task` reaches this process after `delay` of true time, unless it is dead by then.
  EventQueue::Id Deliver(absl::Duration delay, Task task) {
    return queue_->After(delay, [state = state_, task = std::move(task)]() mutable {
      Enter(state, std::move(task));
    });
  }

  // What reaches the process from outside, whether or not it still lives: see Enter().
  struct State {
    bool dead = false;
    bool paused = false;
    std::deque<Task> backlog;
    std::function<void()> on_killed;
  };
  using Handle = std::shared_ptr<State>;
  Handle handle() const { return state_; }
  // Runs `task` in the process, now or once it goes on; never if it is dead.
  static void Enter(const Handle& state, Task task) {
    if (state->dead) return;
    if (state->paused) {
      state->backlog.push_back(std::move(task));
    } else {
      Run(*state, task);
    }
  }

  // SIGSTOP and SIGCONT.
  void Pause() { state_->paused = true; }
  void Resume() {
    state_->paused = false;
    for (Task& task : std::exchange(state_->backlog, {})) Post(std::move(task));
  }
  bool paused() const { return state_->paused; }
  void Kill() {
    state_->dead = true;
    state_->backlog.clear();
  }

 private:
  static void Run(State& state, Task& task) {
    try {
      std::move(task)();
    } catch (const Killed&) {
      state.dead = true;
      const auto on_killed = state.on_killed;  // destroys this process
      on_killed();
    }
  }

  EventQueue* const queue_;
  const Clock* const clock_;
  const std::shared_ptr<State> state_;
  absl::flat_hash_map<TimerId, EventQueue::Id> timers_;
  TimerId last_timer_ = 0;
};

}  // namespace fleet::sim
