#pragma once

// The network between one machine and etcd. What is sent while a direction is cut is held: it
// arrives after all when the cut heals soon, and a connection that was cut for too long is lost
// with everything in it.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>

#include "absl/time/time.h"
#include "base/executor.h"
#include "sim/event_queue.h"
#include "sim/random.h"

namespace fleet::sim {

enum class Direction { kToEtcd, kFromEtcd };

class Link {
 public:
  Link(EventQueue* queue, Random* random) : queue_(queue), random_(random) {}

  // Whether it goes through now; if not it is held.
  bool Send(Direction direction, Task task);

  void Cut(Direction direction);
  void Heal();
  bool IsCut() const { return to_.cut || from_.cut; }
  // Each message takes up to that much longer.
  void Slow(absl::Duration extra) { extra_ = extra; }

  // Called when the connection is lost, until Forget().
  uint64_t OnLost(std::function<void()> callback);
  void Forget(uint64_t id) { on_lost_.erase(id); }

 private:
  struct Way {
    bool cut = false;
    std::deque<Task> held;
  };
  Way& WayOf(Direction direction) { return direction == Direction::kToEtcd ? to_ : from_; }
  void Lose();

  EventQueue* const queue_;
  Random* const random_;
  Way to_;
  Way from_;
  absl::Duration extra_;
  uint64_t cuts_ = 0;
  std::map<uint64_t, std::function<void()>> on_lost_;
  uint64_t last_id_ = 0;
};

}  // namespace fleet::sim
