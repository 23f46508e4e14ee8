#pragma once

// The kinds of values that fleetd's keys have: how each is read and shown. Pure functions.

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "fleetd/config.h"

namespace fleet::fleetd {

template <typename T>
struct Type {
  std::string name;  // for people: "duration, at least 2s"
  // From a value as the file has it, quotes included. INVALID_ARGUMENT says what is wrong with it.
  std::function<absl::StatusOr<T>(absl::string_view)> parse;
  std::function<std::string(const T&)> format;  // what parse reads back
};

inline constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

Type<std::string> Text(std::string name = "text");
Type<bool> Boolean();
Type<int64_t> Integer(int64_t min, int64_t max = kNoLimit);

Type<absl::Duration> DurationAtLeast(absl::Duration min);
// A number with fractions is what fleet 1.0 took; a duration with a unit is accepted as well.
Type<absl::Duration> Seconds(absl::Duration min);

Type<int64_t> Bytes();
// Cores ("0.5", "2") or a share of one ("50%"), as thousandths of a core.
Type<int64_t> Cpu();

// Absolute paths; a directory ends with a slash whether or not it is written so.
Type<std::string> FilePath();
Type<std::string> Directory();

Type<std::string> KeyPrefix();  // gets the slashes it lacks
Type<std::string> AddressOrHost();
Type<std::vector<std::string>> ServerUrls();  // get the port they lack
Type<std::vector<ListenAddress>> ListenAddresses();
Type<std::map<std::string, std::string>> MetadataPairs();  // region=us,az=1

Type<Budget> BudgetType();
Type<Placement> PlacementType();
Type<Rebalance> RebalanceType();
Type<Drift> DriftType();

}  // namespace fleet::fleetd
