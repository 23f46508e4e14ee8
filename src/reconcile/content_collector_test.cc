#include "reconcile/content_collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::Cluster;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kText = "[Service]\nExecStart=/bin/true\n";
constexpr absl::Duration kKeep = ContentCollector::kKeep;

class ContentCollectorTest : public ::testing::Test {
 protected:
  auto Collect(absl::Duration later) {
    now_ += later;
    const ClusterViewPtr view = cluster_.model.view();
    return collector_.Collect(*view, now_);
  }
  Cluster cluster_;
  ContentCollector collector_;
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(ContentCollectorTest, ATextThatAUnitHasIsKept) {
  cluster_.model.PutUnit("a.service", kText, DesiredState::kInactive);
  EXPECT_THAT(Collect(absl::ZeroDuration()), IsEmpty());
  EXPECT_THAT(Collect(absl::Hours(24)), IsEmpty());
}

TEST_F(ContentCollectorTest, ATextThatNothingRefersToGoesAfterAWhile) {
  cluster_.model.PutUnit("a.service", kText, DesiredState::kInactive);
  cluster_.model.DestroyUnit("a.service");
  EXPECT_THAT(Collect(absl::ZeroDuration()), IsEmpty());
  EXPECT_THAT(Collect(kKeep - absl::Seconds(1)), IsEmpty());
  EXPECT_THAT(Collect(absl::Seconds(1)), SizeIs(1));
}

TEST_F(ContentCollectorTest, ATextThatAMachineStillHasIsKept) {
  cluster_.model.PutMachine("m1");
  cluster_.model.PutUnit("a.service", kText);
  cluster_.Settle();
  cluster_.model.DestroyUnit("a.service");
  EXPECT_THAT(Collect(absl::ZeroDuration()), IsEmpty());
  EXPECT_THAT(Collect(kKeep), IsEmpty());
}

TEST_F(ContentCollectorTest, ATextThatARolloutRemembersIsKept) {
  cluster_.model.PutUnit("a.service", kText, DesiredState::kInactive);
  const std::string hash = cluster_.model.records().units.Find("a.service")->value.content_hash;
  cluster_.model.DestroyUnit("a.service");
  cluster_.model.PutRollout("a.service",
                            {.content_hash = "x", .history = {{hash, now_, "update"}}});
  EXPECT_THAT(Collect(absl::ZeroDuration()), IsEmpty());
  EXPECT_THAT(Collect(kKeep), IsEmpty());
}

TEST_F(ContentCollectorTest, ATextThatWasSubmittedAgainMeanwhileBeginsAnew) {
  cluster_.model.PutUnit("a.service", kText, DesiredState::kInactive);
  cluster_.model.DestroyUnit("a.service");
  Collect(absl::ZeroDuration());
  cluster_.model.PutUnit("a.service", kText, DesiredState::kInactive);
  cluster_.model.DestroyUnit("a.service");
  EXPECT_THAT(Collect(kKeep), IsEmpty());
  EXPECT_THAT(Collect(kKeep), SizeIs(1));
}

TEST_F(ContentCollectorTest, NothingIsCollectedWhileARecordCannotBeRead) {
  cluster_.model.PutUnit("a.service", kText, DesiredState::kInactive);
  cluster_.model.PutUnreadableUnit("a.service");
  Collect(absl::ZeroDuration());
  EXPECT_THAT(Collect(kKeep), IsEmpty());
}

}  // namespace
}  // namespace fleet::reconcile
