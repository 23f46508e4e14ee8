#include "base/budget.h"

#include <gtest/gtest.h>

namespace fleet {
namespace {

TEST(Budget, IsANumberOrAShare) {
  EXPECT_EQ(*ParseBudget("3"), (Budget{3, false}));
  EXPECT_EQ(*ParseBudget("25%"), (Budget{25, true}));
  for (const char* text : {"", "0", "-1", "0%", "101%", "x", "1.5", "% 3"}) {
    EXPECT_FALSE(ParseBudget(text).ok()) << text;
  }
  EXPECT_EQ(BudgetText({25, true}), "25%");
  EXPECT_EQ(BudgetText({3, false}), "3");
}

TEST(Budget, IsAtLeastOneAndRoundsDown) {
  EXPECT_EQ((Budget{25, true}).Of(3), 1);
  EXPECT_EQ((Budget{25, true}).Of(11), 2);
  EXPECT_EQ((Budget{100, true}).Of(0), 1);
  EXPECT_EQ((Budget{5, false}).Of(3), 5);
}

}  // namespace
}  // namespace fleet
