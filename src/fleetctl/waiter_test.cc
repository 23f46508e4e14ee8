#include "fleetctl/waiter.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = Outcome::Kind;

constexpr absl::Time kStart = absl::FromUnixSeconds(1000);

absl::Time At(int milliseconds) { return kStart + absl::Milliseconds(milliseconds); }

client::Unit UnitOf(const std::string& name, const std::string& desired,
                    const std::string& progress) {
  client::Unit unit;
  unit.name = name;
  unit.desired_state = desired;
  unit.status.progress = progress;
  unit.status.machine_id = "m1";
  return unit;
}

std::vector<std::pair<std::string, Kind>> Take(Waiter& waiter) {
  std::vector<std::pair<std::string, Kind>> outcomes;
  for (const Outcome& outcome : waiter.TakeOutcomes())
    outcomes.emplace_back(outcome.name, outcome.kind);
  return outcomes;
}

TEST(Waiter, AUnitHasStartedWhenItHasNotFailedWithinTheWindow) {
  Waiter waiter(Goal::kLaunched, {"a"});
  waiter.OnSnapshot({UnitOf("a", "launched", "pending")}, {}, At(0));
  EXPECT_EQ(waiter.next_wakeup(), absl::InfiniteFuture());
  waiter.OnUnit(UnitOf("a", "launched", "reached"), At(10));
  EXPECT_THAT(Take(waiter), IsEmpty());
  EXPECT_EQ(waiter.next_wakeup(), At(110));
  waiter.OnTime(At(109));
  EXPECT_THAT(Take(waiter), IsEmpty());
  EXPECT_FALSE(waiter.done());
  waiter.OnTime(At(110));
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("a", Kind::kDone)));
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, WhatKeepsAUnitIsToldOnceItHasKeptItForASecond) {
  Waiter waiter(Goal::kLaunched, {"a"});
  client::Unit unit = UnitOf("a", "launched", "pending");
  unit.status.reason = "disk full";
  waiter.OnSnapshot({unit}, {}, At(0));
  EXPECT_THAT(waiter.TakeDelays(), IsEmpty());
  EXPECT_EQ(waiter.next_wakeup(), At(1000));
  waiter.OnUnit(unit, At(500));  // it is the same
  waiter.OnTime(At(1000));
  const auto delays = waiter.TakeDelays();
  ASSERT_EQ(delays.size(), 1U);
  EXPECT_EQ(delays[0].name, "a");
  EXPECT_EQ(delays[0].machine_id, "m1");
  EXPECT_EQ(delays[0].reason, "disk full");
  waiter.OnTime(At(5000));
  EXPECT_THAT(waiter.TakeDelays(), IsEmpty());
  EXPECT_EQ(waiter.next_wakeup(), absl::InfiniteFuture());
  EXPECT_FALSE(waiter.done());
  // What passes within that time is not.
  unit.status.reason = "another";
  waiter.OnUnit(unit, At(6000));
  waiter.OnUnit(UnitOf("a", "launched", "reached"), At(6500));
  waiter.OnTime(At(7500));
  EXPECT_THAT(waiter.TakeDelays(), IsEmpty());
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("a", Kind::kDone)));
}

TEST(Waiter, AUnitThatTheClusterMakesIsStillToCome) {
  Waiter waiter(Goal::kLaunched, {"a"});
  waiter.ExpectMaking();
  waiter.OnSnapshot({}, {}, At(0));
  EXPECT_FALSE(waiter.done());
  waiter.OnUnit(UnitOf("a", "launched", "pending"), At(5));
  waiter.OnSnapshot({}, {}, At(10));  // it was there before the stream was opened again
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("a", Kind::kVanished)));
}

TEST(Waiter, AUnitThatFailsWithinTheWindowHasFailed) {
  Waiter waiter(Goal::kLaunched, {"a"});
  waiter.OnSnapshot({UnitOf("a", "launched", "reached")}, {}, At(0));
  client::Unit failed = UnitOf("a", "launched", "failed");
  failed.status.reason = "exit-code";
  failed.status.log_tail = "boom";
  waiter.OnUnit(failed, At(50));
  const auto outcomes = waiter.TakeOutcomes();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].kind, Kind::kFailed);
  EXPECT_EQ(outcomes[0].reason, "exit-code");
  EXPECT_EQ(outcomes[0].log_tail, "boom");
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, OneThatIsPendingAgainStartsItsWindowAnew) {
  Waiter waiter(Goal::kLaunched, {"a"});
  waiter.OnSnapshot({UnitOf("a", "launched", "reached")}, {}, At(0));
  waiter.OnUnit(UnitOf("a", "launched", "pending"), At(50));
  waiter.OnTime(At(150));
  EXPECT_THAT(Take(waiter), IsEmpty());
  waiter.OnUnit(UnitOf("a", "launched", "reached"), At(160));
  waiter.OnTime(At(260));
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("a", Kind::kDone)));
}

TEST(Waiter, ABatchEndsWithTheWindowOfItsLastUnit) {
  Waiter waiter(Goal::kLaunched, {"a", "b"});
  waiter.OnSnapshot({UnitOf("a", "launched", "reached"), UnitOf("b", "launched", "pending")}, {},
                    At(0));
  waiter.OnTime(At(100));
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("a", Kind::kDone)));
  waiter.OnUnit(UnitOf("b", "launched", "reached"), At(500));
  EXPECT_FALSE(waiter.done());
  // The first one counts until the end of the batch.
  waiter.OnUnit(UnitOf("a", "launched", "failed"), At(550));
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("a", Kind::kFailed)));
  waiter.OnTime(At(600));
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("b", Kind::kDone)));
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, EndsWhenTheLastOpenUnitFails) {
  Waiter waiter(Goal::kLaunched, {"a", "b"});
  waiter.OnSnapshot({UnitOf("a", "launched", "reached"), UnitOf("b", "launched", "pending")}, {},
                    At(0));
  waiter.OnTime(At(100));
  waiter.OnUnit(UnitOf("b", "launched", "failed"), At(400));
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, AUnitWithoutAnEligibleMachineIsNotWaitedFor) {
  Waiter waiter(Goal::kLaunched, {"a"});
  client::Unit unit = UnitOf("a", "launched", "waiting");
  unit.status.reason = "no machine has zone=x";
  waiter.OnSnapshot({unit}, {}, At(0));
  const auto outcomes = waiter.TakeOutcomes();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].kind, Kind::kWaiting);
  EXPECT_EQ(outcomes[0].reason, "no machine has zone=x");
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, GlobalUnitsAreNotWaitedFor) {
  Waiter waiter(Goal::kLaunched, {"a"});
  client::Unit unit = UnitOf("a", "launched", "pending");
  unit.global = true;
  waiter.OnSnapshot({unit}, {}, At(0));
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("a", Kind::kGlobal)));
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, StopAndUnloadAreDoneAsSoonAsTheyAreReached) {
  Waiter stop(Goal::kLoaded, {"a"});
  stop.OnSnapshot({UnitOf("a", "loaded", "pending")}, {}, At(0));
  EXPECT_FALSE(stop.done());
  stop.OnUnit(UnitOf("a", "loaded", "reached"), At(1));
  EXPECT_THAT(Take(stop), ElementsAre(std::pair("a", Kind::kDone)));
  EXPECT_TRUE(stop.done());
  Waiter unload(Goal::kInactive, {"a"});
  unload.OnSnapshot({UnitOf("a", "inactive", "reached")}, {}, At(0));
  EXPECT_TRUE(unload.done());
}

TEST(Waiter, DestroyIsDoneWhenTheUnitAndItsStateAreGone) {
  Waiter waiter(Goal::kDestroyed, {"a", "b"});
  waiter.OnSnapshot({}, {{.name = "a", .machine_id = "m1"}}, At(0));
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("b", Kind::kDone)));
  waiter.OnStateRemoved("a", "m2", At(1));
  EXPECT_FALSE(waiter.done());
  waiter.OnStateRemoved("a", "m1", At(2));
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("a", Kind::kDone)));
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, AnotherSnapshotReplacesWhatWasKnown) {
  Waiter waiter(Goal::kDestroyed, {"a"});
  waiter.OnSnapshot({}, {{.name = "a", .machine_id = "m1"}}, At(0));
  waiter.OnSnapshot({}, {}, At(1));  // the state went while the stream was broken
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, SeesThatSomebodyElseChangedTheUnit) {
  Waiter waiter(Goal::kLaunched, {"a", "b"});
  waiter.OnSnapshot({UnitOf("a", "launched", "pending"), UnitOf("b", "launched", "pending")}, {},
                    At(0));
  waiter.OnUnit(UnitOf("a", "loaded", "pending"), At(1));
  waiter.OnUnitRemoved("b", At(2));
  EXPECT_THAT(Take(waiter),
              ElementsAre(std::pair("a", Kind::kRedirected), std::pair("b", Kind::kVanished)));
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, ATimeoutSaysHowFarEachUnitIs) {
  Waiter waiter(Goal::kLaunched, {"a", "b"});
  client::Unit unit = UnitOf("a", "launched", "pending");
  unit.status.active_state = "activating";
  unit.status.sub_state = "start-pre";
  waiter.OnSnapshot({unit, UnitOf("b", "launched", "reached")}, {}, At(0));
  waiter.OnTime(At(200));
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("b", Kind::kDone)));
  waiter.OnTimeout();
  const auto outcomes = waiter.TakeOutcomes();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].name, "a");
  EXPECT_EQ(outcomes[0].kind, Kind::kTimedOut);
  EXPECT_THAT(outcomes[0].reason, testing::HasSubstr("activating (start-pre)"));
  EXPECT_TRUE(waiter.done());
}

client::Unit MovingUnit(const std::string& machine, const std::string& progress) {
  client::Unit unit = UnitOf("a", "launched", progress);
  unit.status.machine_id = machine;
  return unit;
}

TEST(Waiter, AMoveIsDoneWhenTheUnitHasStartedWhereItWasToGo) {
  Waiter waiter(std::map<std::string, std::string>{{"a", "m2"}});
  client::Unit unit = MovingUnit("m1", "reached");
  unit.move_to = "m2";
  waiter.OnSnapshot({unit}, {}, At(0));
  waiter.OnTime(At(200));
  EXPECT_THAT(Take(waiter), IsEmpty());
  waiter.OnUnit(MovingUnit("m1", "pending"), At(300));
  waiter.OnUnit(MovingUnit("m2", "reached"), At(400));
  EXPECT_FALSE(waiter.done());
  waiter.OnTime(At(500));
  const auto outcomes = waiter.TakeOutcomes();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].kind, Kind::kDone);
  EXPECT_EQ(outcomes[0].machine_id, "m2");
  EXPECT_EQ(outcomes[0].desired, "launched");
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, AMoveOfALoadedUnitHasNoWindow) {
  Waiter waiter(std::map<std::string, std::string>{{"a", "m1"}});
  waiter.OnSnapshot({UnitOf("a", "loaded", "reached")}, {}, At(0));
  EXPECT_THAT(Take(waiter), ElementsAre(std::pair("a", Kind::kDone)));
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, AMoveThatIsGivenUpIsNotWaitedFor) {
  Waiter waiter(std::map<std::string, std::string>{{"a", "m2"}});
  waiter.OnSnapshot({MovingUnit("m3", "reached")}, {}, At(0));
  const auto outcomes = waiter.TakeOutcomes();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].kind, Kind::kStayed);
  EXPECT_EQ(outcomes[0].machine_id, "m3");
  EXPECT_TRUE(waiter.done());
}

TEST(Waiter, AMoveThatHasNotBegunSaysSoWhenTheTimeIsOver) {
  Waiter waiter(std::map<std::string, std::string>{{"a", "m2"}});
  client::Unit unit = MovingUnit("m1", "reached");
  unit.move_to = "m2";
  waiter.OnSnapshot({unit}, {}, At(0));
  waiter.OnTimeout();
  const auto outcomes = waiter.TakeOutcomes();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].reason, "its move has not begun yet");
}

TEST(Waiter, UnitsOfOthersAreIgnored) {
  Waiter waiter(Goal::kLoaded, {"a"});
  waiter.OnSnapshot({UnitOf("a", "loaded", "pending"), UnitOf("x", "loaded", "failed")}, {}, At(0));
  waiter.OnUnit(UnitOf("y", "loaded", "failed"), At(1));
  waiter.OnUnitRemoved("z", At(1));
  EXPECT_THAT(Take(waiter), IsEmpty());
  EXPECT_FALSE(waiter.done());
}

}  // namespace
}  // namespace fleet::fleetctl
