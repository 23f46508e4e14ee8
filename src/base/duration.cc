#include "base/duration.h"

#include <array>
#include <cmath>
#include <utility>

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

absl::StatusOr<int64_t> ParseBytes(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 4> kUnits = {
      {{"K", 1024.0}, {"M", 1048576.0}, {"G", 1073741824.0}, {"T", 1099511627776.0}}};
  std::string_view number = text;
  double factor = 1;
  for (const auto& [suffix, size] : kUnits) {
    if (number.ends_with(suffix)) {
      number.remove_suffix(suffix.size());
      factor = size;
      break;
    }
  }
  double value = 0;
  constexpr double kMax = 9e18;
  if (!absl::SimpleAtod(std::string(number), &value) || !(value >= 0) || value * factor > kMax) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is not a size; write bytes, or a number with K, M, G or T", text));
  }
  return static_cast<int64_t>(value * factor);
}

}  // namespace fleet
