#include "registry/follower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"

namespace fleet::registry {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

const Keys kKeys("/fleet/");

class FollowerTest : public ::testing::Test, protected Follower::Listener {
 protected:
  void OnReadBegin() override {
    seen_.clear();
    ++reads_;
  }
  void OnPut(const store::KeyValue& kv) override { seen_[kv.key] = kv.value; }
  void OnDelete(const store::KeyValue& kv) override { seen_.erase(kv.key); }
  void OnReached(int64_t revision, bool) override { revision_ = revision; }
  void OnOtherHistory() override { ++other_histories_; }

  void Start() {
    follower_.Start();
    executor_.RunUntilIdle();
  }

  testing::ManualExecutor executor_;
  testing::FakeStore store_{&executor_};
  Follower follower_{&store_,
                     &executor_,
                     kKeys,
                     store::PrefixRange("/a/"),
                     "the test's keys",
                     static_cast<Follower::Listener*>(this)};
  std::map<std::string, std::string> seen_;
  int reads_ = 0;
  int other_histories_ = 0;
  int64_t revision_ = 0;
};

TEST_F(FollowerTest, ReadsThenFollows) {
  store_.Set("/a/1", "x");
  store_.Set("/b/1", "not in the range");
  Start();
  EXPECT_THAT(seen_, ElementsAre(Pair("/a/1", "x")));
  store_.Set("/a/2", "y");
  store_.Erase("/a/1");
  executor_.RunUntilIdle();
  EXPECT_THAT(seen_, ElementsAre(Pair("/a/2", "y")));
  EXPECT_EQ(revision_, store_.revision());
  EXPECT_EQ(reads_, 1);
}

TEST_F(FollowerTest, AQuietStoreIsNotRead) {
  Start();
  const int ranges = store_.ranges();
  executor_.Advance(absl::Hours(24));
  EXPECT_EQ(store_.ranges(), ranges);
}

TEST_F(FollowerTest, ALostConnectionIsTakenUpWhereItEnded) {
  store_.Set("/a/1", "x");
  Start();
  store_.BreakWatches(absl::UnavailableError("connection lost"));
  executor_.RunUntilIdle();
  EXPECT_FALSE(follower_.health().ok());
  store_.Set("/a/2", "missed meanwhile");
  executor_.Advance(absl::Seconds(5));
  EXPECT_TRUE(follower_.health().ok());
  EXPECT_EQ(seen_.size(), 2u);
  EXPECT_EQ(reads_, 1);
}

TEST_F(FollowerTest, ItKeepsTryingWhileTheStoreIsAway) {
  for (int i = 0; i < 20; ++i) store_.FailNext(absl::UnavailableError("no route"));
  Start();
  EXPECT_EQ(revision_, 0);
  executor_.Advance(absl::Minutes(1));
  EXPECT_TRUE(follower_.health().ok());
  EXPECT_EQ(revision_, store_.revision());
}

TEST_F(FollowerTest, ACompactedGapIsHealedByReadingAgain) {
  store_.Set("/a/1", "x");
  Start();
  store_.BreakWatches(absl::OutOfRangeError("compacted"));
  store_.Erase("/a/1");
  store_.Set("/a/2", "y");
  executor_.Advance(absl::Seconds(5));
  EXPECT_THAT(seen_, ElementsAre(Pair("/a/2", "y")));
  EXPECT_EQ(reads_, 2);
}

TEST_F(FollowerTest, AStoreThatWentBackIsReadAgain) {
  store_.Set("/a/1", "x");
  const int64_t backup = store_.revision();
  store_.Set("/a/2", "after the backup");
  Start();
  store_.RestoreTo(backup);
  executor_.Advance(absl::Seconds(5));
  EXPECT_THAT(seen_, ElementsAre(Pair("/a/1", "x")));
  EXPECT_EQ(other_histories_, 1);
  EXPECT_TRUE(follower_.health().ok());
}

TEST_F(FollowerTest, ARestoredStoreThatHasOvertakenIsReadAgain) {
  store_.Set("/a/1", "x");
  const int64_t backup = store_.revision();
  store_.Set("/a/2", "after the backup");
  Start();
  store_.RestoreTo(backup);
  for (const char* key : {"/a/3", "/a/4", "/a/5"}) store_.Set(key, "another history");
  ASSERT_GT(store_.revision(), revision_);
  executor_.Advance(absl::Seconds(5));
  EXPECT_EQ(seen_.count("/a/2"), 0u);
  EXPECT_EQ(seen_.count("/a/3"), 1u);
  EXPECT_EQ(other_histories_, 1);
  EXPECT_EQ(reads_, 2);
}

TEST_F(FollowerTest, SoIsOneInWhichADeletionDidNotHappen) {
  store_.Set("/a/1", "x");
  const int64_t backup = store_.revision();
  Start();
  store_.Erase("/a/1");
  executor_.RunUntilIdle();
  store_.RestoreTo(backup);
  store_.Set("/b/1", "another history");
  executor_.Advance(absl::Seconds(5));
  EXPECT_THAT(seen_, ElementsAre(Pair("/a/1", "x")));
  EXPECT_EQ(other_histories_, 1);
}

// The deletion happened in both, and so did the put before it; only one of the two in the same way.
TEST_F(FollowerTest, SoIsOneThatHasTheSameDeletionButNotTheSamePut) {
  store_.Set("/a/1", "x");
  const int64_t backup = store_.revision();
  Start();
  store_.Set("/a/2", "y");
  store_.Erase("/a/1");
  executor_.RunUntilIdle();
  store_.RestoreTo(backup);
  store_.Erase("/a/1");
  store_.Set("/a/2", "another history");
  executor_.Advance(absl::Seconds(5));
  EXPECT_THAT(seen_, ElementsAre(Pair("/a/2", "another history")));
  EXPECT_EQ(other_histories_, 1);
}

TEST_F(FollowerTest, SoIsOneInWhichAnotherKeyWasDeleted) {
  store_.Set("/a/1", "x");
  store_.Set("/a/2", "y");
  const int64_t backup = store_.revision();
  Start();
  store_.Erase("/a/1");
  executor_.RunUntilIdle();
  store_.RestoreTo(backup);
  store_.Set("/b/1", "another history");
  executor_.Advance(absl::Seconds(5));
  EXPECT_THAT(seen_, ElementsAre(Pair("/a/1", "x"), Pair("/a/2", "y")));
  EXPECT_EQ(other_histories_, 1);
}

// What this follower knew is as it was; what it missed is at revisions it believes to have.
TEST_F(FollowerTest, ARestoredStoreIsToldByTheClustersId) {
  store_.Set(kKeys.Cluster("id"), "one");
  store_.Set("/a/1", "x");
  const int64_t backup = store_.revision();
  for (int i = 0; i < 3; ++i) store_.Set("/b/1", "lost");
  Start();
  store_.RestoreTo(backup);
  store_.Set("/a/2", "missed");
  store_.Set(kKeys.Cluster("id"), "two");
  for (int i = 0; i < 3; ++i) store_.Set("/b/1", "another history");
  ASSERT_GT(store_.revision(), revision_);
  executor_.Advance(absl::Seconds(5));
  EXPECT_THAT(seen_, ElementsAre(Pair("/a/1", "x"), Pair("/a/2", "missed")));
  EXPECT_EQ(other_histories_, 1);
  store_.BreakWatches(absl::UnavailableError("connection lost"));
  executor_.Advance(absl::Seconds(5));
  EXPECT_EQ(reads_, 2) << "it is known now";
}

TEST_F(FollowerTest, AClustersFirstIdIsNoOtherHistory) {
  Start();
  store_.Set(kKeys.Cluster("id"), "one");
  store_.BreakWatches(absl::UnavailableError("connection lost"));
  executor_.Advance(absl::Seconds(5));
  EXPECT_EQ(reads_, 1);
  EXPECT_EQ(other_histories_, 0);
}

TEST_F(FollowerTest, ALostConnectionOrACompactionIsNoOtherHistory) {
  store_.Set("/a/1", "x");
  Start();
  store_.Set("/a/1", "y");
  executor_.RunUntilIdle();
  store_.BreakWatches(absl::UnavailableError("connection lost"));
  store_.Set("/a/1", "z");
  executor_.Advance(absl::Seconds(5));
  EXPECT_EQ(reads_, 1);
  store_.BreakWatches(absl::UnavailableError("connection lost"));
  store_.Set("/a/2", "missed");
  store_.Set("/a/3", "missed");
  store_.Compact(store_.revision());
  executor_.Advance(absl::Seconds(5));
  EXPECT_THAT(seen_,
              ElementsAre(Pair("/a/1", "z"), Pair("/a/2", "missed"), Pair("/a/3", "missed")));
  EXPECT_EQ(reads_, 2);
  EXPECT_EQ(other_histories_, 0);
}

}  // namespace
}  // namespace fleet::registry
