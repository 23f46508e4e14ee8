#include "base/duration.h"

#include <cmath>

#include "absl/strings/numbers.h"
#include "fmt/core.h"

namespace fleet {

absl::StatusOr<absl::Duration> ParseDuration(std::string_view text) {
  absl::Duration duration;
  double seconds = 0;
  if (absl::SimpleAtod(std::string(text), &seconds)) {
    duration = std::isfinite(seconds) ? absl::Seconds(seconds) : absl::InfiniteDuration();
  } else if (!absl::ParseDuration(std::string(text), &duration)) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is not a duration; write it like 10s, 1m30s or 250ms", text));
  }
  if (duration < absl::ZeroDuration() || duration == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(
        fmt::format("the duration \"{}\" is negative or infinite", text));
  }
  return duration;
}

std::string DurationText(absl::Duration duration) { return absl::FormatDuration(duration); }

}  // namespace fleet
