#pragma once

// When the guard stops what: fleet-guard's decisions. Pure: it is told the time, on CLOCK_BOOTTIME.
//
// An order holds until its deadline. When that passes the gate is closed, so that systemd starts
// none of its units, and they are stopped; what still runs `stop_timeout` after the deadline is
// killed, and whatever appears after that too, until an order with a later deadline comes.

#include <optional>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "host/guard_files.h"

namespace fleet::guard {

class Watch {
 public:
  // To be done in this order.
  struct Actions {
    std::optional<bool> close_gate;  // or open it
    bool look = false;               // which of the units run? Answered by OnRunning()
    std::set<std::string> stop;
    std::set<std::string> kill;
    bool answer = false;  // answer() is to be written
    bool operator==(const Actions&) const = default;
  };

  // `before`: the answer that was there when the guard started.
  explicit Watch(host::GuardAnswer before = {}) : answer_(std::move(before)) {}

  Actions OnOrder(const host::WrittenOrder& order, absl::Time now);
  Actions OnTime(absl::Time now);
  // Those of its units that are not stopped.
  Actions OnRunning(const std::set<std::string>& running, absl::Time now);

  // When OnTime() is due; InfiniteFuture: never.
  absl::Time NextWakeup() const;
  const host::GuardAnswer& answer() const { return answer_; }
  const std::set<std::string>& units() const { return order_.units; }

 private:
  absl::Time KillTime() const { return order_.deadline + order_.stop_timeout; }

  host::GuardOrder order_;
  host::GuardAnswer answer_;
  bool tripped_ = false;
  bool killed_ = false;
  bool counting_ = false;  // the next OnRunning() says what the guard has stopped
  absl::Time next_look_ = absl::InfiniteFuture();
};

}  // namespace fleet::guard
