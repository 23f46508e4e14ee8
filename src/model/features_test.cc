#include "model/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fleet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Features, AUnitNeedsThoseOfTheKeysThatItHas) {
  EXPECT_THAT(FeaturesOf({}), IsEmpty());
  EXPECT_THAT(FeaturesOf({.stops_on_isolation = true}), ElementsAre("isolation"));
  EXPECT_THAT(FeaturesOf({.stops_on_isolation = true, .reschedules_on_failure = true}),
              ElementsAre("isolation", "reschedule"));
}

TEST(Features, ThoseOfANewerVersionAreUnknown) {
  EXPECT_EQ(UnknownFeature({}), "");
  EXPECT_EQ(UnknownFeature(KnownFeatures()), "");
  EXPECT_EQ(UnknownFeature({"isolation", "teleportation"}), "teleportation");
}

}  // namespace
}  // namespace fleet
