#pragma once

// Durations as users write them.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace fleet {

// "10s", "1m30s", "250ms", "2h"; a bare number, fractions allowed, is seconds.
// INVALID_ARGUMENT for anything else, for negative and for infinite values.
absl::StatusOr<absl::Duration> ParseDuration(std::string_view text);

// The shortest form that ParseDuration reads back: "1m30s", "250ms".
std::string DurationText(absl::Duration duration);

}  // namespace fleet
