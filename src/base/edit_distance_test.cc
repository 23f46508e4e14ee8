#include "base/edit_distance.h"

#include "gtest/gtest.h"

namespace fleet {
namespace {

TEST(EditDistance, CountsInsertionsRemovalsAndReplacements) {
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3U);
  EXPECT_EQ(EditDistance("start", "strat"), 2U);
  EXPECT_EQ(EditDistance("unit", "units"), 1U);
  EXPECT_EQ(EditDistance("same", "same"), 0U);
}

TEST(EditDistance, OfNothingIsTheLengthOfTheOther) {
  EXPECT_EQ(EditDistance("", ""), 0U);
  EXPECT_EQ(EditDistance("", "abc"), 3U);
  EXPECT_EQ(EditDistance("abc", ""), 3U);
}

TEST(EditDistance, DoesNotSeeTheCase) { EXPECT_EQ(EditDistance("machineof", "MachineOf"), 0U); }

}  // namespace
}  // namespace fleet
