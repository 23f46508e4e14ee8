#include "fleetctl/wait.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/loss_notice.h"

namespace fleet::fleetctl {
namespace {

using client::MonotonicNow;
using Kind = client::WatchEvent::Kind;

constexpr absl::Duration kAttempt = absl::Seconds(2);  // of --block-attempts
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(50);
constexpr absl::Duration kLongestBackoff = absl::Seconds(1);

class Follower {
 public:
  Follower(int64_t revision, absl::Time deadline, Waiter& waiter, const WaitCallbacks& callbacks)
      : revision_(revision), deadline_(deadline), waiter_(waiter), callbacks_(callbacks) {}

  // Until the waiter is done (OK) or the stream has to be opened again (UNAVAILABLE).
  absl::Status Follow(client::WatchStream& stream) {
    std::vector<client::Unit> units;
    std::vector<client::UnitState> states;
    bool synced = false;
    while (!waiter_.done() && MonotonicNow() < deadline_) {
      ASSIGN_OR_RETURN(auto event, stream.Next(std::min(deadline_, waiter_.next_wakeup())));
      const absl::Time now = MonotonicNow();
      if (!event) {
        waiter_.OnTime(now);
      } else if (synced) {
        Feed(*event, now);
      } else if (event->kind == Kind::kUnit) {
        units.push_back(std::move(event->unit));
      } else if (event->kind == Kind::kState) {
        states.push_back(std::move(event->state));
      } else if (event->kind == Kind::kSync) {
        // Another server than the one that took the changes may not have seen them yet.
        if (event->revision < revision_)
          return absl::UnavailableError("the server is behind the changes");
        synced = true;
        heard_ = true;
        waiter_.OnSnapshot(units, states, now);
      }
      if (synced && now >= waiter_.next_wakeup()) waiter_.OnTime(now);
      Report();
    }
    return absl::OkStatus();
  }

  void Report() {
    for (const Delay& delay : waiter_.TakeDelays()) {
      if (callbacks_.delay) callbacks_.delay(delay);
    }
    for (const Outcome& outcome : waiter_.TakeOutcomes()) callbacks_.outcome(outcome);
  }

  // Since the last call: a stream was followed to its sync.
  bool TakeHeard() { return std::exchange(heard_, false); }

 private:
  void Feed(const client::WatchEvent& event, absl::Time now) {
    switch (event.kind) {
      case Kind::kUnit:
        return waiter_.OnUnit(event.unit, now);
      case Kind::kUnitRemoved:
        return waiter_.OnUnitRemoved(event.name, now);
      case Kind::kState:
        return waiter_.OnState(event.state);
      case Kind::kStateRemoved:
        return waiter_.OnStateRemoved(event.name, event.machine_id, now);
      case Kind::kMachine:
      case Kind::kMachineRemoved:
      case Kind::kSync:
        return;
    }
  }

  int64_t revision_;
  absl::Time deadline_;
  Waiter& waiter_;
  const WaitCallbacks& callbacks_;
  bool heard_ = false;
};

}  // namespace

std::vector<FlagSpec> WaitFlags() {
  return {
      {"no-block", 0, "", "", "do not wait for the units"},
      {"block-attempts", 0, "N", "0", "wait at most N times 2 seconds; 0: no limit"},
      {"timeout", 0, "DURATION", "", "wait at most so long: 30s, 2m"},
  };
}

absl::StatusOr<WaitLimits> WaitLimitsFrom(const Flags& flags) {
  WaitLimits limits{.block = !flags.On("no-block")};
  // As in fleet 1.0, a negative number does not wait.
  if (int attempts = 0; ReadNumber(flags.Text("block-attempts"), attempts) && attempts < 0) {
    limits.block = false;
    return limits;
  }
  ASSIGN_OR_RETURN(const int attempts, flags.Number("block-attempts"));
  if (attempts > 0) limits.timeout = kAttempt * attempts;
  if (!flags.Text("timeout").empty()) {
    ASSIGN_OR_RETURN(limits.timeout, flags.Duration("timeout"));
  }
  return limits;
}

absl::Status Wait(client::ApiClient& api, const std::vector<std::string>& names, bool states,
                  int64_t revision, absl::Time deadline, Waiter& waiter,
                  const WaitCallbacks& callbacks) {
  Follower follower(revision, deadline, waiter, callbacks);
  absl::Duration backoff = kFirstBackoff;
  LossNotice notice(callbacks.notice);
  while (!waiter.done()) {
    auto stream = api.Watch({.units = true, .states = states, .names = names});
    absl::Status status = stream.status();
    if (stream.ok()) status = follower.Follow(**stream);
    if (follower.TakeHeard()) {
      backoff = kFirstBackoff;
      notice.Back();
    }
    const absl::Time now = MonotonicNow();
    if (now >= deadline) break;
    if (status.ok()) continue;
    if (!IsAway(status)) return status;
    notice.Lost("event stream", status);
    absl::SleepFor(std::min(backoff, deadline - now));
    backoff = std::min(backoff * 2, kLongestBackoff);
  }
  if (!waiter.done()) waiter.OnTimeout();
  follower.Report();
  return absl::OkStatus();
}

}  // namespace fleet::fleetctl
