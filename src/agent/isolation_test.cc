#include "agent/isolation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "registry/codec.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"

namespace fleet::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kKey[] = "/fleet/machines/m1";
constexpr absl::Duration kTtl = absl::Seconds(9);

class FakeGuard final : public host::Guard {
 public:
  explicit FakeGuard(Executor* executor) : executor_(executor) {}
  void Arm(host::GuardOrder order, host::Callback<std::set<std::string>> done) override {
    for (const std::string& unit : order.noted) stopped.erase(unit);
    if (status.ok()) orders.push_back(std::move(order));
    executor_->Post([this, done = std::move(done)]() mutable {
      if (status.ok()) {
        done(stopped);
      } else {
        done(status);
      }
    });
  }

  std::vector<host::GuardOrder> orders;
  std::set<std::string> stopped;
  absl::Status status;

 private:
  Executor* executor_;
};

class IsolationTest : public ::testing::Test {
 protected:
  IsolationTest() {
    store_.LeaseGrant(kTtl, [this](auto granted) { lease_ = granted->id; });
    executor_.RunUntilIdle();
    Put("boot", lease_);
  }

  void Put(const std::string& boot, store::LeaseId lease) {
    store::Txn txn;
    txn.ops.emplace_back(store::Put{kKey, registry::Encode(MachineRecord{.boot_id = boot}), lease});
    store_.Commit(std::move(txn), [](const auto&) {});
    executor_.RunUntilIdle();
  }

  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  FakeGuard guard_{&executor_};
  store::LeaseId lease_ = 0;
  std::set<std::string> armed_;
  std::string why_not_;
  std::set<std::string> stopped_;
  Isolation isolation_{&store_,
                       &executor_,
                       &guard_,
                       kKey,
                       "boot",
                       absl::Seconds(5),
                       {[this](std::set<std::string> armed, const std::string& why_not) {
                          armed_ = std::move(armed);
                          why_not_ = why_not;
                        },
                        [this](const std::set<std::string>& units) { stopped_ = units; }}};
};

TEST_F(IsolationTest, WithoutSuchUnitsNothingIsRead) {
  const int reads = store_.ranges();
  isolation_.OnJoined(lease_, kTtl);
  executor_.Advance(absl::Hours(1));
  EXPECT_EQ(store_.ranges(), reads);
  EXPECT_THAT(guard_.orders, IsEmpty());
}

TEST_F(IsolationTest, TheDeadlineIsTheTtlFromWhenTheReadWasSent) {
  isolation_.SetUnits({"a.service"});
  const absl::Time sent = executor_.Now();
  isolation_.OnJoined(lease_, kTtl);
  executor_.RunUntilIdle();
  ASSERT_EQ(guard_.orders.size(), 1U);
  EXPECT_EQ(guard_.orders[0].deadline, sent + kTtl);
  EXPECT_EQ(guard_.orders[0].stop_timeout, absl::Seconds(5));
  EXPECT_THAT(guard_.orders[0].units, ElementsAre("a.service"));
  EXPECT_THAT(armed_, ElementsAre("a.service"));
  EXPECT_TRUE(isolation_.MayStart("a.service"));
}

TEST_F(IsolationTest, OneReadPerKeepAliveIntervalPushesIt) {
  isolation_.SetUnits({"a.service"});
  isolation_.OnJoined(lease_, kTtl);
  executor_.RunUntilIdle();
  const int reads = store_.ranges();
  executor_.Advance(kTtl * 10);
  EXPECT_EQ(store_.ranges() - reads, 30);
  EXPECT_EQ(guard_.orders.back().deadline, executor_.Now() + kTtl);
  EXPECT_THAT(armed_, ElementsAre("a.service"));
}

TEST_F(IsolationTest, AReadThatIsNotAnsweredMovesNothingAndNothingMayStartAfterwards) {
  isolation_.SetUnits({"a.service"});
  isolation_.OnJoined(lease_, kTtl);
  executor_.RunUntilIdle();
  const absl::Time deadline = guard_.orders.back().deadline;
  for (int i = 0; i < 1000; ++i) store_.FailNext(absl::UnavailableError("cut off"));
  executor_.Advance(kTtl - absl::Milliseconds(1));
  EXPECT_THAT(armed_, ElementsAre("a.service"));
  executor_.Advance(absl::Milliseconds(1));
  EXPECT_THAT(armed_, IsEmpty());
  EXPECT_FALSE(isolation_.MayStart("a.service"));
  EXPECT_TRUE(isolation_.MayStart("kept.service"));
  EXPECT_EQ(guard_.orders.back().deadline, deadline);
}

TEST_F(IsolationTest, EachDeadlineThatPassesIsCountedAlsoWhenItIsPushedTooLate) {
  isolation_.SetUnits({"a.service"});
  isolation_.OnJoined(lease_, kTtl);
  executor_.RunUntilIdle();
  const uint64_t before = isolation_.lapses();
  executor_.Advance(kTtl * 3);
  EXPECT_EQ(isolation_.lapses(), before) << "it was pushed in time";
  for (int i = 0; i < 50; ++i) store_.FailNext(absl::UnavailableError("cut off"));
  executor_.Advance(kTtl + absl::Milliseconds(1));
  EXPECT_EQ(isolation_.lapses(), before + 1);
  executor_.Advance(kTtl);
  ASSERT_TRUE(isolation_.MayStart("a.service")) << "it is confirmed again";
  EXPECT_EQ(isolation_.lapses(), before + 1);
}

TEST_F(IsolationTest, ARecordUnderAnotherLeaseOrBootConfirmsNothing) {
  isolation_.SetUnits({"a.service"});
  Put("boot", 0);
  isolation_.OnJoined(lease_, kTtl);
  executor_.Advance(absl::Seconds(1));
  Put("another boot", lease_);
  executor_.Advance(absl::Seconds(1));
  store_.Erase(kKey);
  executor_.Advance(absl::Seconds(1));
  EXPECT_THAT(guard_.orders, IsEmpty());
  Put("boot", lease_);
  executor_.Advance(absl::Seconds(1));
  EXPECT_EQ(guard_.orders.size(), 1U);
}

TEST_F(IsolationTest, AfterTheEndOfTheLeaseOnlyTheNextOneIsConfirmed) {
  isolation_.SetUnits({"a.service"});
  isolation_.OnJoined(lease_, kTtl);
  executor_.RunUntilIdle();
  isolation_.OnLeaseLost();
  isolation_.SetUnits({"a.service", "b.service"});
  executor_.Advance(kTtl);
  EXPECT_EQ(guard_.orders.size(), 1U);
}

TEST_F(IsolationTest, ANewUnitIsArmedAtOnceWithTheDeadlineThatIsConfirmed) {
  isolation_.SetUnits({"a.service"});
  isolation_.OnJoined(lease_, kTtl);
  executor_.Advance(absl::Seconds(1));
  const absl::Time deadline = guard_.orders.back().deadline;
  isolation_.SetUnits({"a.service", "b.service"});
  executor_.RunUntilIdle();
  EXPECT_EQ(guard_.orders.back().deadline, deadline);
  EXPECT_THAT(armed_, ElementsAre("a.service", "b.service"));
  isolation_.SetUnits({});
  executor_.RunUntilIdle();
  EXPECT_THAT(guard_.orders.back().units, IsEmpty());
}

TEST_F(IsolationTest, AGuardThatDoesNotAnswerIsToldAndAskedAgain) {
  guard_.status = absl::UnavailableError("no guard");
  isolation_.SetUnits({"a.service"});
  isolation_.OnJoined(lease_, kTtl);
  executor_.RunUntilIdle();
  EXPECT_THAT(armed_, IsEmpty());
  EXPECT_THAT(why_not_, HasSubstr("no guard"));
  EXPECT_FALSE(isolation_.MayStart("a.service"));
  guard_.status = absl::OkStatus();
  executor_.Advance(kTtl / 3);
  EXPECT_THAT(armed_, ElementsAre("a.service"));
  EXPECT_EQ(why_not_, "");
}

TEST_F(IsolationTest, WhatTheGuardHasStoppedIsPassedOnAndNoted) {
  isolation_.SetUnits({"a.service"});
  guard_.stopped = {"a.service"};
  isolation_.OnJoined(lease_, kTtl);
  executor_.RunUntilIdle();
  EXPECT_THAT(stopped_, ElementsAre("a.service"));
  // At once: what starts before the guard has taken note could not be stopped a second time.
  EXPECT_THAT(guard_.orders.back().noted, ElementsAre("a.service"));
  EXPECT_TRUE(isolation_.MayStart("a.service"));
}

TEST_F(IsolationTest, UnitsThatComeBackBeforeTheDeadlineAreConfirmedAgain) {
  isolation_.SetUnits({"a.service"});
  isolation_.OnJoined(lease_, kTtl);
  executor_.RunUntilIdle();
  isolation_.SetUnits({});
  executor_.Advance(kTtl / 2);  // there is nothing to read for meanwhile
  isolation_.SetUnits({"a.service"});
  executor_.Advance(2 * kTtl);
  EXPECT_TRUE(isolation_.MayStart("a.service"));
}

TEST_F(IsolationTest, WithoutAGuardNothingMayStart) {
  std::string why;
  Isolation alone(&store_, &executor_, nullptr, kKey, "boot", absl::Seconds(5),
                  {[&](const std::set<std::string>&, const std::string& why_not) { why = why_not; },
                   [](const std::set<std::string>&) {}});
  alone.OnJoined(lease_, kTtl);
  alone.SetUnits({"a.service"});
  executor_.Advance(absl::Seconds(1));
  EXPECT_THAT(why, HasSubstr("fleet-guard"));
  EXPECT_FALSE(alone.MayStart("a.service"));
}

}  // namespace
}  // namespace fleet::agent
