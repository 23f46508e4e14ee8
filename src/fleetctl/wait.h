#pragma once

// Follows the API's event stream until a Waiter is done, through lost connections.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/api_client.h"
#include "fleetctl/flags.h"
#include "fleetctl/waiter.h"

namespace fleet::fleetctl {

struct WaitLimits {
  bool block = true;
  absl::Duration timeout = absl::InfiniteDuration();
};

// --no-block, --block-attempts, --timeout.
std::vector<FlagSpec> WaitFlags();
absl::StatusOr<WaitLimits> WaitLimitsFrom(const Flags& flags);

struct WaitCallbacks {
  std::function<void(const Outcome&)> outcome;
  std::function<void(const Delay&)> delay;       // may be null
  std::function<void(std::string_view)> notice;  // about the connection
};

// Feeds `waiter` with what is at least as new as `revision`, and calls back with its outcomes as
// they come about. Ends when it is done or, at `deadline` (MonotonicNow()'s clock), timed out. An
// error is one of the request itself (not of the connection: that is made again).
absl::Status Wait(client::ApiClient& api, const std::vector<std::string>& names, bool states,
                  int64_t revision, absl::Time deadline, Waiter& waiter,
                  const WaitCallbacks& callbacks);

}  // namespace fleet::fleetctl
