#include "reconcile/mass_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fleet::reconcile {
namespace {

using ::testing::HasSubstr;

class MassLossTest : public ::testing::Test {
 protected:
  // These are missing, of so many others that are there.
  bool Update(size_t there, const std::vector<std::string>& missing) {
    return loss_.Update(now_, there, missing, [&](const std::string& machine) {
      return std::find(missing.begin(), missing.end(), machine) == missing.end();
    });
  }
  MassLoss loss_{absl::Seconds(60)};
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(MassLossTest, ThreeMachinesThatAreMoreThanHalfAreHeld) {
  EXPECT_TRUE(Update(2, {"m1", "m2", "m3"}));
  EXPECT_TRUE(loss_.holds());
  EXPECT_THAT(loss_.reason(), HasSubstr("3 of 5 machines"));
  EXPECT_EQ(loss_.until(), now_ + absl::Seconds(60));
}

TEST_F(MassLossTest, TwoMachinesOrHalfOfThemAreNot) {
  EXPECT_FALSE(Update(0, {"m1", "m2"}));
  EXPECT_FALSE(Update(3, {"m1", "m2", "m3"}));
  EXPECT_FALSE(loss_.holds());
}

TEST_F(MassLossTest, ItEndsWhenHalfOfThemAreBack) {
  Update(0, {"m1", "m2", "m3", "m4"});
  EXPECT_FALSE(Update(1, {"m2", "m3", "m4"}));
  EXPECT_TRUE(loss_.holds());
  EXPECT_TRUE(Update(2, {"m3", "m4"}));
  EXPECT_FALSE(loss_.holds());
  EXPECT_THAT(loss_.reason(), HasSubstr("half"));
}

TEST_F(MassLossTest, ThoseThatGoMissingMeanwhileCountToo) {
  Update(2, {"m1", "m2", "m3"});
  Update(0, {"m1", "m2", "m3", "m4", "m5"});
  EXPECT_FALSE(Update(2, {"m3", "m4", "m5"}));
  EXPECT_TRUE(loss_.holds());
}

TEST_F(MassLossTest, ItEndsInTimeAndThoseMissingStillMakeNoOther) {
  Update(1, {"m1", "m2", "m3"});
  now_ += absl::Seconds(59);
  EXPECT_FALSE(Update(1, {"m1", "m2", "m3"}));
  now_ += absl::Seconds(1);
  EXPECT_TRUE(Update(1, {"m1", "m2", "m3"}));
  EXPECT_FALSE(loss_.holds());
  EXPECT_FALSE(Update(1, {"m1", "m2", "m3"}));
  EXPECT_FALSE(loss_.holds());
}

TEST_F(MassLossTest, OnesThatWereBackMakeAnotherHold) {
  Update(1, {"m1", "m2", "m3"});
  loss_.Release();
  EXPECT_FALSE(loss_.holds());
  EXPECT_FALSE(Update(1, {"m1", "m2", "m3"}));
  Update(4, {});
  EXPECT_TRUE(Update(1, {"m1", "m2", "m3"}));
}

TEST_F(MassLossTest, ANewLeadersHoldBeginsAnew) {
  Update(1, {"m1", "m2", "m3"});
  now_ += absl::Seconds(59);
  loss_.Reset();
  EXPECT_TRUE(Update(1, {"m1", "m2", "m3"}));
  EXPECT_EQ(loss_.until(), now_ + absl::Seconds(60));
}

TEST_F(MassLossTest, WithoutATimeThereIsNone) {
  loss_ = MassLoss(absl::ZeroDuration());
  EXPECT_FALSE(Update(0, {"m1", "m2", "m3"}));
  EXPECT_FALSE(loss_.holds());
}

}  // namespace
}  // namespace fleet::reconcile
