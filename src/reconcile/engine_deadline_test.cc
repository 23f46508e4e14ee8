#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "reconcile/planner.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Text;

// bound.service may run on m1 only, free.service anywhere; m2 came after both.
Cluster WithTwoOnM1(const EngineSettings& settings = {}) {
  Cluster cluster(settings);
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("bound.service", Text("MachineID=m1"));
  cluster.model.PutUnit("free.service", Text());
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.Settle();
  return cluster;
}

void Drain(Cluster& cluster, const std::string& machine, absl::Duration within, bool forces) {
  MachineSettings settings;
  settings.Drain(cluster.now + within, forces);
  cluster.model.PutSettings(machine, settings);
}

std::set<std::string> LiveOn(const Cluster& cluster, const std::string& machine) {
  std::set<std::string> units;
  for (const auto& [place, stored] : cluster.model.records().assignments) {
    if (place.machine == machine && stored.value.state != AssignmentState::kGone) {
      units.insert(place.unit);
    }
  }
  return units;
}

const MachineSettings& SettingsOf(const Cluster& cluster, const std::string& machine) {
  return cluster.model.records().settings.Find(machine)->value;
}

std::string ReasonOf(const Cluster& cluster, const std::string& kind) {
  for (const EventEntry& event : cluster.events) {
    if (event.kind == kind) return event.reason;
  }
  return "";
}

TEST(Deadline, EndsADrainAndSaysWhatIsLeftAndWhy) {
  Cluster cluster = WithTwoOnM1();
  Drain(cluster, "m1", absl::Minutes(10), /*forces=*/false);
  cluster.Settle();
  EXPECT_THAT(LiveOn(cluster, "m1"), ElementsAre("bound.service"));
  EXPECT_FALSE(SettingsOf(cluster, "m1").drain_expired);
  EXPECT_LE(cluster.engine.NextWakeup(), cluster.now + absl::Minutes(10));

  cluster.now += absl::Minutes(10);
  cluster.Settle();
  EXPECT_TRUE(SettingsOf(cluster, "m1").drain_expired);
  EXPECT_THAT(ReasonOf(cluster, "drain-expired"), HasSubstr("1 unit left"));
  EXPECT_THAT(ReasonOf(cluster, "drain-expired"), HasSubstr("bound.service"));
  EXPECT_THAT(ReasonOf(cluster, "drain-expired"), HasSubstr("MachineID"));
  const auto held = ExplainDrain(cluster.model.view(), EngineSettings{}, "m1");
  ASSERT_EQ(held.size(), 1u);
  EXPECT_TRUE(held[0].cannot_move);
  EXPECT_THAT(held[0].reason, HasSubstr("whose drain has expired"));
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST(Deadline, OfManyMachinesAtOnceExpiresAFewInEachPass) {
  constexpr int kMachines = 10;
  Cluster cluster;
  for (int i = 0; i < kMachines; ++i) {
    const std::string machine = "m" + std::to_string(i);
    cluster.model.PutMachine(machine);
    for (const char* const name : {"a", "b", "c", "d"}) {
      cluster.model.PutUnit(name + std::to_string(i) + ".service", Text("MachineID=" + machine));
    }
  }
  cluster.Settle();
  for (int i = 0; i < kMachines; ++i) {
    Drain(cluster, "m" + std::to_string(i), absl::Minutes(1), /*forces=*/false);
  }
  cluster.Settle();
  cluster.now += absl::Minutes(1);
  const auto expired = [&] {
    int count = 0;
    for (const auto& [machine, stored] : cluster.model.records().settings) {
      if (stored.value.drain_expired) ++count;
    }
    return count;
  };
  cluster.Pass();
  EXPECT_EQ(expired(), 4);
  EXPECT_EQ(cluster.engine.NextWakeup(), cluster.now);
  cluster.Pass();
  EXPECT_EQ(expired(), 8);
  cluster.Settle();
  EXPECT_EQ(expired(), kMachines);
  EXPECT_EQ(cluster.engine.NextWakeup(), absl::InfiniteFuture());
}

TEST(Deadline, NothingMoreLeavesAfterItAndNothingComes) {
  Cluster cluster = WithTwoOnM1();
  cluster.model.LoseMachine("m2");
  cluster.Settle();
  Drain(cluster, "m1", absl::Minutes(1), /*forces=*/false);
  cluster.Settle();
  cluster.now += absl::Minutes(1);
  // Room comes up together with the deadline.
  cluster.model.PutMachine("m2");
  cluster.Settle();
  EXPECT_THAT(LiveOn(cluster, "m1"), ElementsAre("bound.service", "free.service"));
  EXPECT_TRUE(SettingsOf(cluster, "m1").drain_expired);
  const auto held = ExplainDrain(cluster.model.view(), EngineSettings{}, "m1");
  ASSERT_EQ(held.size(), 2u);
  EXPECT_THAT(held[1].reason, HasSubstr("drained again, it would go to m2"));
  cluster.model.PutUnit("new.service", Text("MachineID=m1"));
  cluster.model.PutUnit("g.service", Text("Global=true"));
  cluster.Settle();
  EXPECT_THAT(LiveOn(cluster, "m1"), ElementsAre("bound.service", "free.service"));
}

TEST(Deadline, WhatLeavesAfterItForAnotherReasonSaysThatOne) {
  Cluster cluster = WithTwoOnM1();
  cluster.model.LoseMachine("m2");
  cluster.Settle();
  Drain(cluster, "m1", absl::Minutes(1), /*forces=*/false);
  cluster.Settle();
  MachineSettings settings = SettingsOf(cluster, "m1");
  settings.lock_group = "web";
  settings.lock_granted = true;
  cluster.model.PutSettings("m1", settings);
  cluster.now += absl::Minutes(1);
  cluster.events.clear();
  cluster.model.PutMachine("m2");
  cluster.Settle();
  EXPECT_THAT(LiveOn(cluster, "m1"), ElementsAre("bound.service"));
  EXPECT_THAT(ReasonOf(cluster, "moving"), HasSubstr("FleetLock"));
}

TEST(Deadline, OfADrainThatHasLeftNothingWritesNothing) {
  Cluster cluster = WithTwoOnM1();
  cluster.model.DestroyUnit("bound.service");
  Drain(cluster, "m1", absl::Minutes(1), /*forces=*/true);
  cluster.Settle();
  EXPECT_THAT(LiveOn(cluster, "m1"), IsEmpty());
  const int64_t revision = cluster.model.revision();
  cluster.now += absl::Hours(1);
  cluster.Settle();
  EXPECT_EQ(cluster.model.revision(), revision);
  EXPECT_FALSE(SettingsOf(cluster, "m1").drain_expired);
}

TEST(Deadline, AHandOverThatHasBegunIsCarriedThrough) {
  Cluster cluster = WithTwoOnM1();
  cluster.model.DestroyUnit("bound.service");
  cluster.Settle();
  Drain(cluster, "m1", absl::Minutes(1), /*forces=*/false);
  cluster.PassUntilIdle();
  EXPECT_THAT(LiveOn(cluster, "m1"), IsEmpty());
  cluster.now += absl::Minutes(2);
  cluster.Settle();
  EXPECT_THAT(LiveOn(cluster, "m2"), ElementsAre("free.service"));
  EXPECT_FALSE(SettingsOf(cluster, "m1").drain_expired);
}

TEST(Deadline, StopsWhatIsLeftIfItForces) {
  Cluster cluster = WithTwoOnM1();
  cluster.model.PutUnit("g.service", Text("Global=true"));
  cluster.Settle();
  Drain(cluster, "m1", absl::Minutes(1), /*forces=*/true);
  cluster.Settle();
  EXPECT_THAT(LiveOn(cluster, "m1"), ElementsAre("bound.service"));
  cluster.events.clear();
  cluster.now += absl::Minutes(1);
  cluster.Settle();
  EXPECT_THAT(LiveOn(cluster, "m1"), IsEmpty());
  EXPECT_THAT(ReasonOf(cluster, "drain-expired"), HasSubstr("stopped whatever holds"));
  EXPECT_THAT(ReasonOf(cluster, "stopped"), HasSubstr("its deadline has passed"));
  EXPECT_THAT(cluster.model.Unit("bound.service").refusal, Not(IsEmpty()));

  // It is back where it was as soon as it may.
  MachineSettings settings = SettingsOf(cluster, "m1");
  settings.Open();
  cluster.model.PutSettings("m1", settings);
  cluster.Settle();
  EXPECT_THAT(LiveOn(cluster, "m1"), ElementsAre("bound.service", "g.service"));
}

TEST(Deadline, AForcedDrainKeepsToNoBudget) {
  Cluster cluster({.disruption_budget = {.amount = 1}});
  for (const char* machine : {"m1", "m2", "m3"}) cluster.model.PutMachine(machine);
  for (int i = 0; i < 6; ++i) {
    cluster.model.PutUnit("u" + std::to_string(i) + ".service", Text());
  }
  cluster.Settle();
  MachineSettings drained;
  drained.Drain(absl::InfiniteFuture(), false);
  cluster.model.PutSettings("m1", drained);
  cluster.PassUntilIdle();  // m1 uses the budget up
  Drain(cluster, "m2", absl::ZeroDuration(), /*forces=*/true);
  cluster.PassUntilIdle();
  EXPECT_THAT(LiveOn(cluster, "m2"), IsEmpty());
  cluster.Settle();
  EXPECT_EQ(LiveOn(cluster, "m3").size(), 6u);
}

TEST(Deadline, IsOfTheWallClockAndTheWaitForItIsNot) {
  Cluster cluster = WithTwoOnM1();
  const absl::Time wall = absl::FromUnixSeconds(1'800'000'000);
  MachineSettings settings;
  settings.Drain(wall + absl::Seconds(5), false);
  cluster.model.PutSettings("m1", settings);
  cluster.engine.Apply(cluster.model.TakeChange());
  cluster.engine.Decide(cluster.now, wall);
  EXPECT_EQ(cluster.engine.NextWakeup(), cluster.now + absl::Seconds(5));
}

TEST(Deadline, IsMetSoonAfterTheWallClockWasSet) {
  Cluster cluster = WithTwoOnM1();
  Drain(cluster, "m1", absl::Hours(1), /*forces=*/false);
  cluster.Settle();
  // Nobody tells: it has to look.
  EXPECT_LE(cluster.engine.NextWakeup(), cluster.now + absl::Seconds(10));
  cluster.engine.Decide(cluster.now, cluster.now + absl::Hours(1));
  EXPECT_THAT(cluster.engine.units_in_flight(), ::testing::Gt(0u));
}

TEST(Deadline, IsKeptByTheNextLeader) {
  Cluster cluster = WithTwoOnM1();
  Drain(cluster, "m1", absl::Seconds(5), /*forces=*/false);
  cluster.Settle();
  EngineReconciler successor(EngineSettings{});
  successor.Apply(cluster.model.ReadAnew());
  successor.BeginLeading(cluster.now);
  successor.Decide(cluster.now);
  EXPECT_EQ(successor.NextWakeup(), cluster.now + absl::Seconds(5));
}

}  // namespace
}  // namespace fleet::reconcile
