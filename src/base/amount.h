#pragma once

// Amounts of memory and of processors as users write them. What is smaller than the unit they are
// kept in counts as one: nobody gets less than was asked for.

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace fleet {

inline constexpr int64_t kMaxCores = 1'000'000;

// "1024", "64K", "1.5G" (base 1024; K, M, G, T) in bytes. INVALID_ARGUMENT for other text,
// OUT_OF_RANGE for more than an int64_t holds.
absl::StatusOr<int64_t> ParseBytes(std::string_view text);

// Cores ("2", "0.5") or a share of one ("50%") in thousandths of a core. INVALID_ARGUMENT for other
// text, OUT_OF_RANGE for more than kMaxCores.
absl::StatusOr<int64_t> ParseMilliCores(std::string_view text);

}  // namespace fleet
