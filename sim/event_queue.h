#pragma once

// Simulated time: what is to happen, in the order of its times, and of its making at the same time.

#include <cstdint>
#include <map>
#include <utility>

#include "absl/time/time.h"
#include "base/executor.h"

namespace fleet::sim {

class EventQueue {
 public:
  using Id = std::pair<int64_t, uint64_t>;  // nanoseconds, sequence

  absl::Time now() const { return Begin() + absl::Nanoseconds(now_); }
  uint64_t steps() const { return steps_; }

  Id After(absl::Duration delay, Task task) {
    const int64_t span = delay < absl::ZeroDuration() ? 0 : absl::ToInt64Nanoseconds(delay);
    const Id id = {now_ + span, ++last_};
    events_.emplace(id, std::move(task));
    return id;
  }
  // Does nothing if it has happened.
  void Cancel(const Id& id) { events_.erase(id); }

  bool empty() const { return events_.empty(); }
  // When the next event is due. REQUIRES: not empty.
  absl::Time next() const { return Begin() + absl::Nanoseconds(events_.begin()->first.first); }

  // REQUIRES: not empty.
  void RunNext() {
    auto node = events_.extract(events_.begin());
    now_ = node.key().first;
    ++steps_;
    std::move(node.mapped())();
  }
  // Nothing happens until then. REQUIRES: no event is due before.
  void PassTo(absl::Time at) { now_ = absl::ToInt64Nanoseconds(at - Begin()); }

 private:
  static absl::Time Begin() { return absl::FromUnixSeconds(1'700'000'000); }

  std::map<Id, Task> events_;
  int64_t now_ = 0;
  uint64_t last_ = 0;
  uint64_t steps_ = 0;
};

}  // namespace fleet::sim
