#pragma once

// Moments as people write them: how long ago, or the time.

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace fleet::fleetctl {

// "10m" or "2h" before `now`, also as "-10m" or "10m ago"; "now", "today", "yesterday"; a day
// ("2026-01-02"), a time of today ("03:04"), or both, in `zone`; RFC 3339. UsageError.
absl::StatusOr<absl::Time> ParseSince(std::string_view text, absl::Time now, absl::TimeZone zone);

}  // namespace fleet::fleetctl
