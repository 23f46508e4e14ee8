#include "fleetctl/since.h"

#include <array>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/duration.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

constexpr std::array<const char*, 4> kForms = {"%Y-%m-%d%ET%H:%M:%E*S", "%Y-%m-%d %H:%M:%E*S",
                                               "%Y-%m-%d %H:%M", "%Y-%m-%d"};

}  // namespace

absl::StatusOr<absl::Time> ParseSince(std::string_view text, absl::Time now, absl::TimeZone zone) {
  const absl::CivilDay today = absl::ToCivilDay(now, zone);
  if (text == "now") return now;
  if (text == "today") return absl::FromCivil(today, zone);
  if (text == "yesterday") return absl::FromCivil(today - 1, zone);
  const absl::string_view whole(text.data(), text.size());
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, whole, &time, nullptr)) return time;
  for (const char* const form : kForms)
    if (absl::ParseTime(form, whole, zone, &time, nullptr)) return time;
  const std::string of_today = Cat(absl::FormatCivilTime(today), " ", text);
  for (const char* const form : kForms)
    if (!text.empty() && absl::ParseTime(form, of_today, zone, &time, nullptr)) return time;
  absl::string_view span = whole;
  absl::ConsumePrefix(&span, "-");
  absl::ConsumeSuffix(&span, " ago");
  const auto ago = ParseDuration({span.data(), span.size()});
  if (ago.ok() && !span.empty()) return now - *ago;
  return UsageError(
      Cat("\"", text,
          "\" is no time: it is a span such as 10m or 2h, a time such as \"2026-01-02 "
          "03:04:05\" or 03:04, today or yesterday"));
}

}  // namespace fleet::fleetctl
