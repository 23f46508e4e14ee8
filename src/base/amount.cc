#include "base/amount.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "base/status.h"
#include "fmt/core.h"

namespace fleet {
namespace {

bool AreDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); });
}

int64_t Digit(char c) { return c - '0'; }

// `number` ("12", "0.5", ".5") times `scale`, rounded up, however many digits it has.
// REQUIRES: scale is at most 2^40.
absl::StatusOr<int64_t> Scaled(std::string_view number, int64_t scale) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const size_t point = number.find('.');
  const std::string_view whole = number.substr(0, point);
  const std::string_view fraction =
      point == std::string_view::npos ? std::string_view() : number.substr(point + 1);
  if ((whole.empty() && fraction.empty()) || !AreDigits(whole) || !AreDigits(fraction)) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" is not a number", number));
  }
  const auto too_large = [&] {
    return absl::OutOfRangeError(fmt::format("\"{}\" is too large", number));
  };
  int64_t value = 0;
  for (const char c : whole) {
    if (value > (kMax - Digit(c)) / 10) return too_large();
    value = value * 10 + Digit(c);
  }
  if (value > kMax / scale) return too_large();
  value *= scale;
  // Long multiplication, from the last digit on: what is carried over the point is whole.
  int64_t carry = 0;
  bool rest = false;
  for (auto digit = fraction.rbegin(); digit != fraction.rend(); ++digit) {
    carry += Digit(*digit) * scale;
    rest = rest || carry % 10 != 0;
    carry /= 10;
  }
  if (rest) ++carry;
  if (value > kMax - carry) return too_large();
  return value + carry;
}

}  // namespace

absl::StatusOr<int64_t> ParseBytes(std::string_view text) {
  constexpr std::array<std::pair<char, int>, 4> kUnits = {
      {{'K', 10}, {'M', 20}, {'G', 30}, {'T', 40}}};
  for (const auto& [suffix, shift] : kUnits) {
    if (!text.ends_with(suffix)) continue;
    return Scaled(text.substr(0, text.size() - 1), int64_t{1} << shift);
  }
  return Scaled(text, 1);
}

absl::StatusOr<int64_t> ParseMilliCores(std::string_view text) {
  const bool percent = text.ends_with('%');
  ASSIGN_OR_RETURN(const int64_t milli_cores,
                   percent ? Scaled(text.substr(0, text.size() - 1), 10) : Scaled(text, 1000));
  if (milli_cores > kMaxCores * 1000) {
    return absl::OutOfRangeError(fmt::format("\"{}\" is more than {} cores", text, kMaxCores));
  }
  return milli_cores;
}

}  // namespace fleet
