#include "guard/watch.h"

#include <algorithm>
#include <utility>

namespace fleet::guard {

namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(1);

}  // namespace

Watch::Actions Watch::OnOrder(const host::WrittenOrder& order, absl::Time now) {
  order_ = order.order;
  // An order read again after a restart of the guard was obeyed before: what it says is noted was
  // stopped before it, and what was stopped since is not.
  if (answer_.id != order.id) {
    for (const std::string& unit : order_.noted) answer_.stopped.erase(unit);
  }
  answer_.id = order.id;
  Actions actions;
  if (order_.units.empty() || now < order_.deadline) {
    tripped_ = false;
    counting_ = false;
    next_look_ = absl::InfiniteFuture();
    actions.close_gate = false;
  } else {
    actions = OnTime(now);
  }
  actions.answer = true;
  return actions;
}

Watch::Actions Watch::OnTime(absl::Time now) {
  Actions actions;
  if (order_.units.empty() || now < order_.deadline) return actions;
  if (!std::exchange(tripped_, true)) {
    counting_ = true;
    killed_ = false;
    next_look_ = now;
    actions.close_gate = true;
    actions.stop = order_.units;
  }
  if (now < next_look_) return actions;
  actions.look = true;
  next_look_ = now + kLookInterval;
  if (now < KillTime()) {
    next_look_ = std::min(next_look_, KillTime());
  } else if (!std::exchange(killed_, true)) {
    actions.kill = order_.units;  // without waiting for what systemd says of them
  }
  return actions;
}

Watch::Actions Watch::OnRunning(const std::set<std::string>& running, absl::Time now) {
  Actions actions;
  if (!tripped_) return actions;
  if (std::exchange(counting_, false)) {
    answer_.stopped.insert(running.begin(), running.end());
    actions.answer = true;
    return actions;
  }
  // Still, or again: systemd was not reached before, or it is the gate that failed.
  actions.stop = running;
  if (now >= KillTime()) actions.kill = running;
  return actions;
}

absl::Time Watch::NextWakeup() const {
  if (order_.units.empty()) return absl::InfiniteFuture();
  return tripped_ ? next_look_ : order_.deadline;
}

}  // namespace fleet::guard
