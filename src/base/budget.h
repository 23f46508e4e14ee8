#pragma once

// How many of several may be unavailable at once: a number, or a part of those there are.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace fleet {

struct Budget {
  int64_t amount = 1;  // at least 1; of a percentage at most 100
  bool percent = false;

  // Of that many; at least one.
  size_t Of(size_t total) const;

  bool operator==(const Budget&) const = default;
};

// "2", "25%". INVALID_ARGUMENT for anything else.
absl::StatusOr<Budget> ParseBudget(std::string_view text);
std::string BudgetText(const Budget& budget);

}  // namespace fleet
