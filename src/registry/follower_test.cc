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

class FollowerTest : public ::testing::Test, protected Follower::Listener {
 protected:
  void OnReadBegin() override {
    seen_.clear();
    ++reads_;
  }
  void OnPut(const store::KeyValue& kv) override { seen_[kv.key] = kv.value; }
  void OnDelete(const store::KeyValue& kv) override { seen_.erase(kv.key); }
  void OnReached(int64_t revision, bool) override { revision_ = revision; }

  void Start() {
    follower_.Start();
    executor_.RunUntilIdle();
  }

  testing::ManualExecutor executor_;
  testing::FakeStore store_{&executor_};
  Follower follower_{&store_, &executor_, store::PrefixRange("/a/"), "the test's keys",
                     static_cast<Follower::Listener*>(this)};
  std::map<std::string, std::string> seen_;
  int reads_ = 0;
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

}  // namespace
}  // namespace fleet::registry
