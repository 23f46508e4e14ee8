#include "registry/lease_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"

namespace fleet::registry {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LeaseKeeperTest : public ::testing::Test {
 protected:
  std::unique_ptr<LeaseKeeper> Keep(store::LeaseId saved = 0) {
    auto keeper = std::make_unique<LeaseKeeper>(
        &store_, &executor_, absl::Seconds(10), saved,
        LeaseKeeper::Listener{
            [this](store::LeaseId lease, absl::Duration) { held_.push_back(lease); },
            [this] { ++lost_; }, [](const absl::Status&) {},
            [this](const absl::Status&) { ++cut_off_; }});
    keeper->Start();
    executor_.RunUntilIdle();
    return keeper;
  }

  testing::ManualExecutor executor_;
  testing::FakeStore store_{&executor_};
  std::vector<store::LeaseId> held_;
  int lost_ = 0;
  int cut_off_ = 0;
};

TEST_F(LeaseKeeperTest, GrantsALeaseAndKeepsIt) {
  const auto keeper = Keep();
  executor_.Advance(absl::Hours(1));
  EXPECT_THAT(held_, ElementsAre(1));
  EXPECT_EQ(lost_, 0);
}

TEST_F(LeaseKeeperTest, AnAbandonedLeaseIsLeftToOthersAndReplaced) {
  const auto keeper = Keep();
  keeper->Abandon();
  executor_.Advance(absl::Minutes(1));
  EXPECT_THAT(held_, ElementsAre(1, 2));
  EXPECT_EQ(lost_, 1);
  absl::StatusOr<absl::Duration> kept = absl::UnknownError("no answer");
  store_.LeaseKeepAlive(1, [&](auto ttl) { kept = ttl; });
  executor_.RunUntilIdle();
  EXPECT_TRUE(kept.ok());
}

TEST_F(LeaseKeeperTest, TakesUpALeaseFromBefore) {
  Keep();
  held_.clear();
  const auto again = Keep(/*saved=*/1);
  EXPECT_THAT(held_, ElementsAre(1));
}

TEST_F(LeaseKeeperTest, GrantsANewOneWhenTheSavedOneHasEnded) {
  const auto keeper = Keep(/*saved=*/77);
  EXPECT_THAT(held_, ElementsAre(1));
  EXPECT_EQ(lost_, 0);  // it was never announced
}

TEST_F(LeaseKeeperTest, SaysWhenTheLeaseHasEndedAndGrantsAnother) {
  const auto keeper = Keep();
  store_.EndLease(1);
  executor_.Advance(absl::Seconds(10));
  EXPECT_EQ(lost_, 1);
  EXPECT_THAT(held_, ElementsAre(1, 2));
}

TEST_F(LeaseKeeperTest, AStoreThatIsAwayEndsNothing) {
  const auto keeper = Keep();
  for (int i = 0; i < 100; ++i) store_.FailNext(absl::UnavailableError("no route"));
  executor_.Advance(absl::Seconds(9));
  EXPECT_EQ(cut_off_, 0);
  executor_.Advance(absl::Seconds(8));
  EXPECT_EQ(cut_off_, 1);  // once, after a whole TTL
  executor_.Advance(absl::Minutes(1));
  EXPECT_EQ(cut_off_, 1);
  EXPECT_EQ(lost_, 0);
  EXPECT_THAT(held_, ElementsAre(1));
}

TEST_F(LeaseKeeperTest, ReleaseEndsTheLease) {
  const auto keeper = Keep();
  bool done = false;
  keeper->Release([&] { done = true; });
  executor_.Advance(absl::Minutes(1));
  EXPECT_TRUE(done);
  EXPECT_EQ(lost_, 0);
  held_.clear();
  Keep(/*saved=*/1);
  EXPECT_THAT(held_, ElementsAre(2));  // it is gone
}

}  // namespace
}  // namespace fleet::registry
