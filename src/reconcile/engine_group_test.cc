#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fmt/core.h"
#include "reconcile/engine_limits.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using ::testing::AllOf;
using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using testing::Text;
using ::testing::UnorderedElementsAre;

const std::string kFollows = "MachineOf=parent.service\n";

// parent.service and child.service on m1 of m1 and m2.
Cluster WithGroupOnM1() {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2, {{"disk", "ssd"}});
  cluster.model.PutUnit("child.service", Text(kFollows + "ReserveCPU=1"));
  cluster.model.PutUnit("parent.service", Text("MachineMetadata=disk=ssd\nReserveCPU=1"));
  cluster.Settle();
  cluster.model.PutMachineOf("m2", 2, 2, {{"disk", "ssd"}});
  cluster.Settle();
  return cluster;
}

TEST(Groups, UnitsThatShareAMachineArePlacedByOneDecision) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("child.service", Text(kFollows));
  cluster.model.PutUnit("parent.service", Text());
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_THAT(decisions, SizeIs(1));
  EXPECT_THAT(decisions[0].units, ElementsAre("parent.service", "child.service"));
  EXPECT_THAT(decisions[0].events, SizeIs(2));
  ASSERT_NE(cluster.model.Commit(decisions[0]), 0);
  EXPECT_THAT(cluster.model.MachinesOf("child.service"), SizeIs(1));
  EXPECT_EQ(cluster.model.MachinesOf("child.service"), cluster.model.MachinesOf("parent.service"));
}

TEST(Groups, TheyGoWhereAllOfThemFitNotWhereTheFirstWouldBeBest) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 1, 1);
  cluster.model.PutMachineOf("m2", 3, 1);
  cluster.model.PutUnit("other.service", Text("MachineID=m2\nReserveCPU=1"));
  cluster.Settle();
  cluster.model.PutUnit("parent.service", Text("ReserveCPU=1"));
  cluster.model.PutUnit("child.service", Text(kFollows + "ReserveCPU=1"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf("child.service"), ElementsAre("m2"));
}

TEST(Groups, WhatFitsTogetherNowhereWaitsTogetherAndSaysSo) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachineOf(machine, 1, 1);
  cluster.model.PutUnit("parent.service", Text("ReserveCPU=60%"));
  cluster.model.PutUnit("child.service", Text(kFollows + "ReserveCPU=60%"));
  cluster.Settle();
  for (const char* unit : {"parent.service", "child.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), IsEmpty());
    EXPECT_THAT(cluster.model.Unit(unit).refusal,
                AllOf(HasSubstr("parent.service"), HasSubstr("child.service")));
  }
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
  cluster.model.PutMachineOf("m3", 2, 2);
  cluster.Settle();
  for (const char* unit : {"parent.service", "child.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), ElementsAre("m3"));
    EXPECT_EQ(cluster.model.Unit(unit).refusal, "");
  }
}

TEST(Groups, AParentThatWouldFitAloneWaitsForItsFollower) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("parent.service", Text());
  cluster.model.PutUnit("child.service", Text(kFollows + "MachineMetadata=disk=ssd"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), IsEmpty());
  cluster.model.DestroyUnit("child.service");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), ElementsAre("m1"));
}

TEST(Groups, AFollowerOfWhatIsNotWantedWaitsAloneAndHoldsNobodyUp) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("parent.service", Text());
  cluster.model.PutUnit("child.service", Text(kFollows + "MachineOf=absent.service"));
  cluster.model.PutUnit("grandchild.service", Text("MachineOf=child.service"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.Unit("child.service").refusal, HasSubstr("absent.service"));
  EXPECT_THAT(cluster.model.MachinesOf("grandchild.service"), IsEmpty());
  cluster.model.PutUnit("absent.service", Text());
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("grandchild.service"), ElementsAre("m1"));
}

TEST(Groups, AMemberThatIsToBeNearAFollowerOfTheGroupComesAfterIt) {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"zone", "a"}});
  cluster.model.PutUnit("parent.service", Text());
  cluster.model.PutUnit("near.service", Text("CollocateWithin=zone=parent.service"));
  cluster.model.PutUnit("child.service", Text(kFollows + "CollocateWithin=zone=near.service"));
  cluster.Settle();
  for (const char* unit : {"parent.service", "near.service", "child.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), ElementsAre("m1"));
  }
}

TEST(Groups, AChainGoesToOneMachine) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachineOf(machine, 2, 2);
  cluster.model.PutMachineOf("m3", 3, 2);
  cluster.model.PutUnit("a.service", Text("MachineOf=b.service\nReserveCPU=1"));
  cluster.model.PutUnit("b.service", Text("MachineOf=c.service\nReserveCPU=1"));
  cluster.model.PutUnit("c.service", Text("ReserveCPU=1"));
  cluster.Settle();
  for (const char* unit : {"a.service", "b.service", "c.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), ElementsAre("m3"));
  }
}

TEST(Groups, AFollowerOfAUnitThatRunsGoesThereOrWaitsAlone) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2);
  cluster.model.PutUnit("parent.service", Text("ReserveCPU=1"));
  cluster.Settle();
  cluster.model.PutMachineOf("m2", 4, 4);
  cluster.model.PutUnit("child.service", Text(kFollows + "ReserveCPU=1"));
  cluster.model.PutUnit("second.service", Text(kFollows + "ReserveCPU=1"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("child.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.Unit("second.service").refusal, Not(HasSubstr("child.service")));
}

TEST(Groups, TheUnitsOfALostMachineStayTogether) {
  Cluster cluster = WithGroupOnM1();
  cluster.model.PutUnit("filler.service", Text("MachineID=m2\nReserveCPU=1"));
  cluster.Settle();
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  // The parent alone would fit on m2.
  for (const char* unit : {"parent.service", "child.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), ElementsAre("m1"));
    EXPECT_THAT(cluster.model.Unit(unit).refusal, HasSubstr("machine m1 is gone"));
  }
  cluster.model.DestroyUnit("filler.service");
  cluster.events.clear();
  cluster.Settle();
  for (const char* unit : {"parent.service", "child.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), ElementsAre("m2"));
    EXPECT_EQ(cluster.model.AssignmentOf(unit, "m1")->state, AssignmentState::kGone);
  }
}

TEST(Groups, TheUnitsOfALostMachineMoveByOneDecision) {
  Cluster cluster = WithGroupOnM1();
  cluster.model.LoseMachine("m1");
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_THAT(decisions, SizeIs(1));
  EXPECT_THAT(decisions[0].units, UnorderedElementsAre("parent.service", "child.service"));
}

TEST(Groups, TheUnitsOfALeavingMachineMoveOnceAllOfThemHaveStopped) {
  Cluster cluster = WithGroupOnM1();
  cluster.model.PutMachine("m1", {{"disk", "ssd"}}, /*leaving=*/true);
  const Assignment parent = *cluster.model.AssignmentOf("parent.service", "m1");
  cluster.model.Report("m1", "parent.service",
                       {.uid = parent.uid, .generation = parent.generation, .gone = true});
  cluster.PassUntilIdle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), ElementsAre("m1"));
  cluster.Settle();
  for (const char* unit : {"parent.service", "child.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), ElementsAre("m2"));
    EXPECT_EQ(cluster.model.AssignmentOf(unit, "m1"), nullptr);
  }
}

TEST(Groups, WhenTheParentMayNotStayAllMoveToTheSameMachine) {
  Cluster cluster = WithGroupOnM1();
  cluster.model.PutMachineOf("m1", 2, 2, {{"disk", "hdd"}});
  cluster.PassUntilIdle();
  for (const char* unit : {"parent.service", "child.service"}) {
    ASSERT_NE(cluster.model.AssignmentOf(unit, "m1"), nullptr);
    EXPECT_EQ(cluster.model.AssignmentOf(unit, "m1")->next_machine, "m2");
    EXPECT_THAT(cluster.model.MachinesOf(unit), IsEmpty());
  }
  // One has stopped: it waits for the other.
  const Assignment parent = *cluster.model.AssignmentOf("parent.service", "m1");
  cluster.model.Report("m1", "parent.service",
                       {.uid = parent.uid, .generation = parent.generation, .gone = true});
  cluster.PassUntilIdle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), IsEmpty());
  cluster.Settle();
  for (const char* unit : {"parent.service", "child.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), ElementsAre("m2"));
  }
}

TEST(Groups, WhenTheParentHasNowhereToGoAllStopAndWait) {
  Cluster cluster = WithGroupOnM1();
  cluster.model.PutUnit("filler.service", Text("MachineID=m2\nReserveCPU=1"));
  cluster.Settle();
  cluster.model.PutMachineOf("m1", 2, 2, {{"disk", "hdd"}});
  cluster.Settle();
  for (const char* unit : {"parent.service", "child.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), IsEmpty());
    EXPECT_THAT(cluster.model.Unit(unit).refusal, HasSubstr("child.service"));
  }
  cluster.model.PutMachineOf("m1", 2, 2, {{"disk", "ssd"}});
  cluster.Settle();
  for (const char* unit : {"parent.service", "child.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), ElementsAre("m1"));
  }
}

TEST(Groups, AFollowerThatMayNotStayStopsAloneIfNoMachineTakesAll) {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"disk", "ssd"}});
  cluster.model.PutUnit("parent.service", Text("MachineID=m1"));
  cluster.model.PutUnit("child.service", Text(kFollows + "MachineMetadata=disk=ssd"));
  cluster.Settle();
  cluster.model.PutMachine("m1", {{"disk", "hdd"}});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("child.service"), IsEmpty());
  EXPECT_NE(cluster.model.Unit("child.service").refusal, "");
}

TEST(Groups, AFollowerThatComesDuringAMoveDoesNotKeepTheParentFromArriving) {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"disk", "ssd"}});
  cluster.model.PutUnit("parent.service", Text("MachineMetadata=disk=ssd"));
  cluster.Settle();
  cluster.model.PutMachine("m2", {{"disk", "ssd"}});
  cluster.model.PutMachine("m1", {{"disk", "hdd"}});
  cluster.PassUntilIdle();
  cluster.model.PutUnit("child.service", Text(kFollows + "MachineMetadata=disk=nvme"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf("child.service"), IsEmpty());
}

TEST(Groups, AMemberWhoseTextCannotBeReadDoesNotHoldTheOthersUp) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("parent.service", Text());
  cluster.model.PutUnit("child.service", Text(kFollows + "ReserveCPU=nonsense"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.Unit("child.service").refusal, HasSubstr("nonsense"));
}

TEST(Groups, AUnitThatWasGlobalJoinsOnlyOnceItIsOnOneMachine) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("parent.service", Text("MachineMetadata=disk=ssd"));
  cluster.model.PutMachine("m1", {{"disk", "ssd"}});
  cluster.model.PutUnit("child.service", Text("Global=true"));
  cluster.Settle();
  cluster.model.PutUnit("child.service", Text(kFollows));
  cluster.model.PutMachine("m3", {{"disk", "ssd"}});
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), ElementsAre("m3"));
  EXPECT_THAT(cluster.model.MachinesOf("child.service"), ElementsAre("m3"));
}

TEST(Groups, ReplacesTakesAMachineForAllOfThem) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2);
  cluster.model.PutUnit("old.service", Text("ReserveCPU=1"));
  cluster.Settle();
  cluster.model.PutMachineOf("m2", 2, 2);
  cluster.model.PutUnit("parent.service", Text("Replaces=old.service\nReserveCPU=1"));
  cluster.model.PutUnit("child.service", Text(kFollows + "ReserveCPU=1"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("old.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("child.service"), ElementsAre("m1"));
}

class LargeGroup : public ::testing::Test {
 protected:
  static constexpr int kFollowers = 60;
  LargeGroup() {
    cluster_.model.PutMachineOf("m1", 61, 1);
    cluster_.model.PutUnit("parent.service", Text("ReserveCPU=1"));
    for (int i = 0; i < kFollowers; ++i) {
      cluster_.model.PutUnit(Name(i), Text(kFollows + "ReserveCPU=1"));
    }
  }
  static std::string Name(int i) { return fmt::format("child{:02}.service", i); }
  int Placed() const {
    int placed = 0;
    for (int i = 0; i < kFollowers; ++i) {
      placed += static_cast<int>(cluster_.model.MachinesOf(Name(i)).size());
    }
    return placed;
  }
  Cluster cluster_;
};

TEST_F(LargeGroup, IsPlacedInChunksTheParentFirst) {
  cluster_.engine.Apply(cluster_.model.TakeChange());
  const auto decisions = cluster_.engine.Decide(cluster_.now);
  ASSERT_THAT(decisions, SizeIs(1));
  EXPECT_THAT(decisions[0].units, SizeIs(kMaxTogether));
  EXPECT_EQ(decisions[0].units[0], "parent.service");
  EXPECT_LE(decisions[0].guards.size(), kMaxGuards);
  EXPECT_LE(decisions[0].writes.size(), kMaxWrites);
  cluster_.engine.OnCommitted(decisions[0].id, cluster_.model.Commit(decisions[0]));
  cluster_.Settle();
  EXPECT_EQ(Placed(), kFollowers);
}

TEST_F(LargeGroup, KeepsRoomForThoseThatAreStillToBePlaced) {
  cluster_.Pass();
  cluster_.model.PutUnit("a-thief.service", Text("Priority=1\nReserveCPU=40"));
  cluster_.Settle();
  EXPECT_EQ(Placed(), kFollowers);
  EXPECT_THAT(cluster_.model.MachinesOf("a-thief.service"), IsEmpty());
}

TEST_F(LargeGroup, MovesAsAWholeToo) {
  cluster_.Settle();
  cluster_.model.PutMachineOf("m2", 61, 1);
  cluster_.model.LoseMachine("m1");
  cluster_.Settle();
  EXPECT_THAT(cluster_.model.MachinesOf(Name(59)), ElementsAre("m2"));
  EXPECT_EQ(Placed(), kFollowers);
}

TEST_F(LargeGroup, IsFinishedByTheNextLeader) {
  cluster_.Pass();
  EngineReconciler successor(EngineSettings{});
  successor.Apply(cluster_.model.ReadAnew());
  successor.BeginLeading(cluster_.now);
  const auto decisions = successor.Decide(cluster_.now);
  int units = 0;
  for (const Decision& decision : decisions) units += static_cast<int>(decision.units.size());
  EXPECT_EQ(units, kFollowers + 1 - static_cast<int>(kMaxTogether));
}

}  // namespace
}  // namespace fleet::reconcile
