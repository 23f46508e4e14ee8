#include "sim/link.h"

#include <utility>

namespace fleet::sim {

namespace {

constexpr absl::Duration kMinLatency = absl::Microseconds(100);
constexpr absl::Duration kMaxLatency = absl::Milliseconds(3);
// HTTP/2 keepalive: 10 s, and 3 s for the answer.
constexpr absl::Duration kConnectionLost = absl::Seconds(13);

}  // namespace

bool Link::Send(Direction direction, Task task) {
  Way& way = WayOf(direction);
  if (way.cut) {
    way.held.push_back(std::move(task));
    return false;
  }
  absl::Duration latency = random_->Between(kMinLatency, kMaxLatency);
  if (extra_ > absl::ZeroDuration()) {
    latency += random_->Between(absl::ZeroDuration(), extra_);
  }
  queue_->After(latency, std::move(task));
  return true;
}

void Link::Cut(Direction direction) {
  WayOf(direction).cut = true;
  queue_->After(kConnectionLost, [this, cut = ++cuts_] {
    if (cut == cuts_ && IsCut()) Lose();
  });
}

// What was sent may still arrive: the other side has it in its buffers.
void Link::Lose() {
  for (Way* way : {&to_, &from_}) {
    std::deque<Task> kept;
    for (Task& task : std::exchange(way->held, {})) {
      if (way == &to_ && random_->Chance(0.3)) kept.push_back(std::move(task));
    }
    way->held = std::move(kept);
  }
  for (auto& [id, callback] : std::exchange(on_lost_, {})) callback();
}

void Link::Heal() {
  ++cuts_;
  for (const Direction direction : {Direction::kToEtcd, Direction::kFromEtcd}) {
    WayOf(direction).cut = false;
    for (Task& task : std::exchange(WayOf(direction).held, {})) Send(direction, std::move(task));
  }
}

uint64_t Link::OnLost(std::function<void()> callback) {
  on_lost_.emplace(++last_id_, std::move(callback));
  return last_id_;
}

}  // namespace fleet::sim
