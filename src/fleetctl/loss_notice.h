#pragma once

// What commands that go on for long do while the API is away: they say so once, and try again.

#include <functional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace fleet::fleetctl {

// Whether the API is away, as while fleetd starts anew: it is worth trying again.
bool IsAway(const absl::Status& status);

// Tells once that the connection is lost, until it has been made again.
class LossNotice {
 public:
  explicit LossNotice(std::function<void(std::string_view)> tell) : tell_(std::move(tell)) {}
  // `what` is lost, as `why` says.
  void Lost(std::string_view what, const absl::Status& why);
  void Back() { told_ = false; }

 private:
  std::function<void(std::string_view)> tell_;
  bool told_ = false;
};

}  // namespace fleet::fleetctl
