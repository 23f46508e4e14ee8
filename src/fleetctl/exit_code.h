#pragma once

// What fleetctl's exit status means, and which one an error stands for.

#include "absl/status/status.h"

namespace fleet::fleetctl {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kNotActive = 3;  // `status` of a unit that is not active
inline constexpr int kNotFound = 4;
inline constexpr int kTimedOut = 5;  // while waiting for units
inline constexpr int kNotEligible = 6;
inline constexpr int kNotConnected = 7;

// `plan` has codes of its own: 1 says that something would change, so no error ends with it.
inline constexpr int kPlanChanges = kFailed;
inline constexpr int kPlanFailed = kNotActive;

// INVALID_ARGUMENT that means "used wrongly" (exit 2), unlike one that the API answered (exit 1).
absl::Status UsageError(std::string_view message);

// REQUIRES: !status.ok()
int ExitCodeOf(const absl::Status& status);

}  // namespace fleet::fleetctl
