#include "store/metered_store.h"

#include <string>
#include <utility>

#include "base/testing/manual_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::store {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Keeps what it is asked for until the test answers.
struct Asked {
  Callback<RangeResult> range;
  Callback<TxnResult> commit;
  Callback<LeaseGrantResult> grant;
  Callback<absl::Duration> keep_alive;
  DoneCallback revoke;
  Callback<WatchBatch> watch;
  int bound = 0;
};

class AskedStore final : public Store {
 public:
  explicit AskedStore(Asked* asked) : asked_(asked) {}
  void Range(RangeRequest /*request*/, Callback<RangeResult> done) override {
    asked_->range = std::move(done);
  }
  void Commit(Txn /*txn*/, Callback<TxnResult> done) override { asked_->commit = std::move(done); }
  void LeaseGrant(absl::Duration /*ttl*/, Callback<LeaseGrantResult> done) override {
    asked_->grant = std::move(done);
  }
  void LeaseKeepAlive(LeaseId /*lease*/, Callback<absl::Duration> done) override {
    asked_->keep_alive = std::move(done);
  }
  void LeaseRevoke(LeaseId /*lease*/, DoneCallback done) override {
    asked_->revoke = std::move(done);
  }
  std::unique_ptr<Watch> StartWatch(KeyRange /*range*/, int64_t /*from_revision*/,
                                    Callback<WatchBatch> on_batch) override {
    asked_->watch = std::move(on_batch);
    return std::make_unique<Watch>();
  }
  std::unique_ptr<Store> Bind(Executor* /*executor*/) override {
    ++asked_->bound;
    return std::make_unique<AskedStore>(asked_);
  }

 private:
  Asked* const asked_;
};

class MeteredStoreTest : public ::testing::Test {
 protected:
  std::string Text() const {
    metrics::TextWriter text;
    registry_.WriteTo(text);
    return text.Take();
  }

  testing::ManualClock clock_;
  metrics::Registry registry_;
  StoreMetrics metrics_{registry_};
  Asked asked_;
  std::unique_ptr<Store> store_ =
      MeterStore(std::make_unique<AskedStore>(&asked_), &clock_, &metrics_);
};

TEST_F(MeteredStoreTest, ARequestIsCountedAndTimedWhenItIsAnsweredAndItsAnswerHandedOn) {
  int64_t revision = 0;
  store_->Range({}, [&](absl::StatusOr<RangeResult> result) { revision = result->revision; });
  clock_.Advance(absl::Milliseconds(20));
  EXPECT_THAT(Text(), Not(HasSubstr("fleet_store_requests_total{")));
  asked_.range(RangeResult{.revision = 7});
  EXPECT_EQ(revision, 7);
  EXPECT_THAT(Text(), HasSubstr("fleet_store_requests_total{kind=\"range\",result=\"ok\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fleet_store_request_duration_seconds_sum{kind=\"range\"} 0.02\n"));
}

TEST_F(MeteredStoreTest, EachKindIsCountedForItself) {
  store_->LeaseGrant(absl::Seconds(1), [](const auto&) {});
  store_->LeaseKeepAlive(1, [](const auto&) {});
  store_->LeaseRevoke(1, [](const auto&) {});
  asked_.grant(LeaseGrantResult{});
  asked_.keep_alive(absl::NotFoundError("it has ended"));
  asked_.revoke(absl::OkStatus());
  EXPECT_THAT(Text(), HasSubstr("{kind=\"lease_grant\",result=\"ok\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("{kind=\"keep_alive\",result=\"not_found\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("{kind=\"lease_revoke\",result=\"ok\"} 1\n"));
}

TEST_F(MeteredStoreTest, ATransactionWhoseComparesDoNotHoldIsAConflictAndAnErrorIsItsCode) {
  store_->Commit({}, [](const auto&) {});
  asked_.commit(TxnResult{.succeeded = false, .revision = 3});
  store_->Commit({}, [](const auto&) {});
  asked_.commit(absl::DeadlineExceededError("no answer"));
  EXPECT_THAT(Text(), HasSubstr("{kind=\"commit\",result=\"conflict\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("{kind=\"commit\",result=\"deadline_exceeded\"} 1\n"));
  EXPECT_THAT(Text(), Not(HasSubstr("{kind=\"commit\",result=\"ok\"}")));
}

TEST_F(MeteredStoreTest, AWatchCountsOnlyWhenItBreaks) {
  int batches = 0;
  const auto watch = store_->StartWatch({"/", ""}, 1, [&](const auto&) { ++batches; });
  asked_.watch(WatchBatch{});
  EXPECT_THAT(Text(), Not(HasSubstr("kind=\"watch\"")));
  asked_.watch(absl::UnavailableError("gone"));
  EXPECT_THAT(Text(), HasSubstr("{kind=\"watch\",result=\"unavailable\"} 1\n"));
  EXPECT_EQ(batches, 2);
}

TEST_F(MeteredStoreTest, HandlesForOtherLoopsAreCountedTogetherWithIt) {
  const auto handle = store_->Bind(&clock_);
  EXPECT_EQ(asked_.bound, 1);
  handle->Commit({}, [](const auto&) {});
  asked_.commit(TxnResult{.succeeded = true});
  EXPECT_THAT(Text(), HasSubstr("{kind=\"commit\",result=\"ok\"} 1\n"));
}

}  // namespace
}  // namespace fleet::store
