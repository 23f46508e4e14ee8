#include "base/budget.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "fmt/core.h"

namespace fleet {

size_t Budget::Of(size_t total) const {
  if (amount <= 0) return 1;
  const auto wanted = static_cast<size_t>(amount);
  // A part of one is none.
  return std::max<size_t>(1, percent ? total * std::min<size_t>(wanted, 100) / 100 : wanted);
}

absl::StatusOr<Budget> ParseBudget(std::string_view text) {
  absl::string_view number(text.data(), text.size());
  Budget budget;
  budget.percent = absl::ConsumeSuffix(&number, "%");
  if (!absl::SimpleAtoi(number, &budget.amount) || budget.amount < 1 ||
      (budget.percent && budget.amount > 100)) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is neither a number such as 2 nor a share such as 25%", text));
  }
  return budget;
}

std::string BudgetText(const Budget& budget) {
  return fmt::format("{}{}", budget.amount, budget.percent ? "%" : "");
}

}  // namespace fleet
