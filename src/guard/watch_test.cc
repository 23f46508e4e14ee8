#include "guard/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fleet::guard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

host::WrittenOrder Order(const std::string& id, absl::Duration deadline,
                         std::set<std::string> units = {"a.service", "b.service"}) {
  return {
      id,
      {.units = std::move(units), .deadline = kStart + deadline, .stop_timeout = absl::Seconds(5)}};
}

TEST(Watch, AnswersAnOrderAndLetsItsUnitsRunUntilTheDeadline) {
  Watch watch;
  const auto actions = watch.OnOrder(Order("1", absl::Seconds(10)), kStart);
  EXPECT_TRUE(actions.answer);
  EXPECT_THAT(actions.close_gate, Optional(false));
  EXPECT_EQ(watch.answer().id, "1");
  EXPECT_EQ(watch.NextWakeup(), kStart + absl::Seconds(10));
  EXPECT_EQ(watch.OnTime(kStart + absl::Seconds(9)), Watch::Actions());
}

TEST(Watch, ClosesTheGateAndStopsTheUnitsAtTheDeadline) {
  Watch watch;
  watch.OnOrder(Order("1", absl::Seconds(10)), kStart);
  const auto actions = watch.OnTime(kStart + absl::Seconds(10));
  EXPECT_THAT(actions.close_gate, Optional(true));
  EXPECT_TRUE(actions.look);
  EXPECT_THAT(actions.stop, ElementsAre("a.service", "b.service"));
  EXPECT_THAT(actions.kill, IsEmpty());
}

TEST(Watch, ALaterOrderMovesTheDeadline) {
  Watch watch;
  watch.OnOrder(Order("1", absl::Seconds(10)), kStart);
  watch.OnOrder(Order("2", absl::Seconds(13)), kStart + absl::Seconds(3));
  EXPECT_EQ(watch.OnTime(kStart + absl::Seconds(12)), Watch::Actions());
  EXPECT_THAT(watch.OnTime(kStart + absl::Seconds(13)).close_gate, Optional(true));
}

TEST(Watch, KillsWhatHasNotStoppedInTimeAndWhatAppearsLater) {
  Watch watch;
  watch.OnOrder(Order("1", absl::Seconds(10)), kStart);
  watch.OnTime(kStart + absl::Seconds(10));
  watch.OnRunning({"a.service"}, kStart + absl::Seconds(10));
  for (int second = 11; second < 15; ++second) {
    ASSERT_EQ(watch.NextWakeup(), kStart + absl::Seconds(second));
    EXPECT_THAT(watch.OnTime(watch.NextWakeup()).kill, IsEmpty());
  }
  ASSERT_EQ(watch.NextWakeup(), kStart + absl::Seconds(15));
  EXPECT_THAT(watch.OnTime(watch.NextWakeup()).kill, ElementsAre("a.service", "b.service"));
  EXPECT_EQ(watch.OnRunning({}, kStart + absl::Seconds(15)), Watch::Actions());
  EXPECT_TRUE(watch.OnTime(watch.NextWakeup()).look);
  const auto actions = watch.OnRunning({"b.service"}, kStart + absl::Seconds(16));
  EXPECT_THAT(actions.stop, ElementsAre("b.service"));
  EXPECT_THAT(actions.kill, ElementsAre("b.service"));
}

TEST(Watch, AStopThatSystemdDidNotHearIsAskedForAgain) {
  Watch watch;
  watch.OnOrder(Order("1", absl::Seconds(10)), kStart);
  watch.OnTime(kStart + absl::Seconds(10));
  watch.OnRunning({"a.service"}, kStart + absl::Seconds(10));
  watch.OnTime(kStart + absl::Seconds(11));
  const auto actions = watch.OnRunning({"a.service"}, kStart + absl::Seconds(11));
  EXPECT_THAT(actions.stop, ElementsAre("a.service"));
  EXPECT_THAT(actions.kill, IsEmpty());
}

TEST(Watch, ALaterOrderOpensTheGateAndSaysWhatRanAndWasStopped) {
  Watch watch;
  watch.OnOrder(Order("1", absl::Seconds(10)), kStart);
  watch.OnTime(kStart + absl::Seconds(10));
  EXPECT_TRUE(watch.OnRunning({"a.service"}, kStart + absl::Seconds(10)).answer);
  const auto actions = watch.OnOrder(Order("2", absl::Seconds(40)), kStart + absl::Seconds(30));
  EXPECT_THAT(actions.close_gate, Optional(false));
  EXPECT_THAT(watch.answer().stopped, ElementsAre("a.service"));
  EXPECT_EQ(watch.NextWakeup(), kStart + absl::Seconds(40));
  auto third = Order("3", absl::Seconds(43));
  third.order.noted = {"a.service"};
  watch.OnOrder(third, kStart + absl::Seconds(33));
  EXPECT_THAT(watch.answer().stopped, IsEmpty());
}

TEST(Watch, AGuardThatIsStartedAgainAfterTheDeadlineStopsAndKillsAtOnce) {
  Watch watch({.id = "1", .stopped = {}});
  const auto actions = watch.OnOrder(Order("1", absl::Seconds(10)), kStart + absl::Seconds(60));
  EXPECT_THAT(actions.close_gate, Optional(true));
  EXPECT_THAT(actions.stop, ElementsAre("a.service", "b.service"));
  EXPECT_THAT(actions.kill, ElementsAre("a.service", "b.service"));
}

TEST(Watch, WhatWasStoppedAfterTheOrderThatNotesItIsNotForgottenByARestart) {
  auto order = Order("1", absl::Seconds(10));
  order.order.noted = {"a.service"};
  Watch watch;
  watch.OnOrder(order, kStart);
  watch.OnTime(kStart + absl::Seconds(10));
  watch.OnRunning({"a.service"}, kStart + absl::Seconds(10));
  Watch restarted(watch.answer());
  restarted.OnOrder(order, kStart + absl::Seconds(11));
  EXPECT_THAT(restarted.answer().stopped, ElementsAre("a.service"));
}

TEST(Watch, WithoutUnitsThereIsNothingToDo) {
  Watch watch;
  watch.OnOrder(Order("1", absl::Seconds(10)), kStart);
  watch.OnTime(kStart + absl::Seconds(10));
  const auto actions =
      watch.OnOrder(Order("2", -absl::Seconds(10), {}), kStart + absl::Seconds(20));
  EXPECT_THAT(actions.close_gate, Optional(false));
  EXPECT_EQ(watch.NextWakeup(), absl::InfiniteFuture());
}

}  // namespace
}  // namespace fleet::guard
