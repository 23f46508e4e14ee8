#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fmt/core.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using ::testing::AllOf;
using testing::Cluster;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StrEq;
using testing::Text;

TEST(Capacity, IsPromisedToTheLastByteAndNotBeyond) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 1, 1);
  cluster.model.PutUnit("a.service", Text("ReserveMemory=1073741823"));
  cluster.Settle();
  cluster.model.PutUnit("b.service", Text("ReserveMemory=2"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.Unit("b.service").refusal, HasSubstr("ReserveMemory"));
  cluster.model.PutUnit("c.service", Text("ReserveMemory=1"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("c.service"), ElementsAre("m1"));
}

TEST(Capacity, UnitsThatComeAtOnceShareIt) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachineOf(machine, 2, 2);
  for (int i = 0; i < 6; ++i) {
    cluster.model.PutUnit(fmt::format("u{}.service", i), Text("ReserveCPU=1"));
  }
  cluster.Settle();
  size_t placed = 0;
  for (int i = 0; i < 6; ++i) {
    placed += cluster.model.MachinesOf(fmt::format("u{}.service", i)).size();
  }
  EXPECT_EQ(placed, 4u);
}

TEST(Capacity, ANewTextThatStillFitsIsTakenInPlace) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=1"));
  cluster.Settle();
  cluster.model.PutMachineOf("m2", 8, 8);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=2"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST(Capacity, ANewTextThatReservesMoreThanThereIsMovesTheUnit) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=1"));
  cluster.model.PutUnit("b.service", Text("ReserveCPU=1"));
  cluster.Settle();
  cluster.model.PutMachineOf("m2", 2, 2);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=2"));
  cluster.PassUntilIdle();
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1")->next_machine, "m2");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
}

TEST(Capacity, ANewTextThatFitsNowhereStopsTheUnit) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=1"));
  cluster.Settle();
  cluster.model.PutUnit("a.service", Text("ReserveCPU=3"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), IsEmpty());
  EXPECT_THAT(cluster.model.Unit("a.service").refusal, HasSubstr("ReserveCPU=3"));
}

TEST(Capacity, ANewTextThatReservesLessMakesRoom) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=2"));
  cluster.model.PutUnit("b.service", Text("ReserveCPU=1"));
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("b.service"), IsEmpty());
  cluster.model.PutUnit("a.service", Text("ReserveCPU=1"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("b.service"), ElementsAre("m1"));
}

TEST(Capacity, ANewTextThatReservesLessIsNoReasonToLeaveACrowdedMachine) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 4, 4);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=2"));
  cluster.model.PutUnit("b.service", Text("ReserveCPU=2"));
  cluster.Settle();
  cluster.model.PutMachineOf("m1", 1, 4);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=1"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1")->content_hash,
            cluster.model.Unit("a.service").content_hash);
}

TEST(Capacity, WhatRunsWithItsOldTextKeepsItsRoom) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=2\nMachineID=m1"));
  cluster.Settle();
  // It has to stop before others may have its room.
  cluster.model.PutUnit("a.service", Text("MachineID=m2"));
  cluster.model.PutUnit("b.service", Text("ReserveCPU=1"));
  cluster.PassUntilIdle();
  EXPECT_THAT(cluster.model.MachinesOf("b.service"), IsEmpty());
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("b.service"), ElementsAre("m1"));
}

TEST(Capacity, AMachineThatShrinksKeepsWhatItHas) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=2"));
  cluster.Settle();
  cluster.model.PutMachineOf("m2", 2, 2);
  cluster.model.PutMachineOf("m1", 1, 1);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST(Capacity, ADecisionRestsOnTheCapacityOfTheMachine) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=2"));
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_THAT(decisions, SizeIs(1));
  cluster.model.PutMachineOf("m1", 1, 1);
  EXPECT_EQ(cluster.model.Commit(decisions[0]), 0);
}

TEST(Priority, TheHigherOneIsPlacedFirst) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 1, 1);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=1"));
  cluster.model.PutUnit("b.service", Text("ReserveCPU=1\nPriority=1"));
  cluster.model.PutUnit("c.service", Text("ReserveCPU=1\nPriority=2"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("c.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.events, Not(Contains(Field(&EventEntry::kind, StrEq("preempted")))));
}

// low.service on m1, which it fills.
Cluster WithLowOnM1() {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2);
  cluster.model.PutUnit("low.service", Text("ReserveCPU=2"));
  cluster.Settle();
  return cluster;
}

TEST(Preemption, AUnitOfHigherPriorityPushesOutAndStartsWhenTheOtherIsGone) {
  Cluster cluster = WithLowOnM1();
  cluster.model.PutUnit("high.service", Text("ReserveCPU=1\nPriority=5"));
  cluster.PassUntilIdle();
  EXPECT_EQ(cluster.model.AssignmentOf("low.service", "m1")->state, AssignmentState::kGone);
  EXPECT_EQ(cluster.model.Unit("high.service").nominated_machine, "m1");
  EXPECT_THAT(cluster.model.MachinesOf("high.service"), IsEmpty());
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("high.service"), ElementsAre("m1"));
  EXPECT_EQ(cluster.model.Unit("high.service").nominated_machine, "");
  EXPECT_THAT(cluster.model.MachinesOf("low.service"), IsEmpty());
  EXPECT_THAT(cluster.model.Unit("low.service").refusal, HasSubstr("ReserveCPU"));
  EXPECT_THAT(cluster.events,
              Contains(AllOf(Field(&EventEntry::kind, StrEq("preempted")),
                             Field(&EventEntry::unit, StrEq("low.service")),
                             Field(&EventEntry::reason, HasSubstr("high.service")))));
}

TEST(Preemption, TheOneThatIsPushedOutGoesWhereThereIsRoom) {
  Cluster cluster = WithLowOnM1();
  cluster.model.PutMachineOf("m2", 2, 2);
  cluster.model.PutUnit("high.service", Text("MachineID=m1\nReserveCPU=1\nPriority=5"));
  cluster.PassUntilIdle();
  EXPECT_EQ(cluster.model.AssignmentOf("low.service", "m1")->next_machine, "m2");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("high.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("low.service"), ElementsAre("m2"));
}

TEST(Preemption, NothingIsPushedOutIfThatWouldNotHelp) {
  Cluster cluster = WithLowOnM1();
  cluster.model.PutUnit("high.service", Text("ReserveCPU=3\nPriority=5"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("low.service"), ElementsAre("m1"));
  EXPECT_NE(cluster.model.Unit("high.service").refusal, "");
}

TEST(Preemption, EqualPriorityStays) {
  Cluster cluster = WithLowOnM1();
  cluster.model.PutUnit("new.service", Text("ReserveCPU=1"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("low.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), IsEmpty());
}

TEST(Preemption, UnitsThatAreTiedToOthersAndGlobalOnesStay) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 3, 3);
  cluster.model.PutUnit("followed.service", Text("ReserveCPU=1"));
  cluster.model.PutUnit("follows.service", Text("MachineOf=followed.service\nReserveCPU=1"));
  cluster.model.PutUnit("global.service", Text("Global=true\nReserveCPU=1"));
  cluster.Settle();
  cluster.model.PutUnit("high.service", Text("ReserveCPU=1\nPriority=5"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("high.service"), IsEmpty());
  for (const char* unit : {"followed.service", "follows.service", "global.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), ElementsAre("m1"));
  }
}

TEST(Preemption, TheNextLeaderGoesOnWithIt) {
  Cluster cluster = WithLowOnM1();
  cluster.model.PutUnit("high.service", Text("ReserveCPU=1\nPriority=5"));
  cluster.PassUntilIdle();
  Simulation successor(&cluster.model, EngineSettings{});
  EXPECT_EQ(successor.Pass(), 0u);  // what was pushed out has not stopped
  ASSERT_TRUE(successor.Settle(100));
  EXPECT_THAT(cluster.model.MachinesOf("high.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("low.service"), IsEmpty());
}

TEST(Preemption, WhatComesMeanwhileDoesNotTakeTheRoom) {
  Cluster cluster = WithLowOnM1();
  cluster.model.PutUnit("high.service", Text("ReserveCPU=2\nPriority=5"));
  cluster.PassUntilIdle();
  cluster.model.PutUnit("a-thief.service", Text("ReserveCPU=1\nPriority=5"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("high.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("a-thief.service"), IsEmpty());
}

TEST(Preemption, TheReservationIsDroppedWhenTheMachineDoesNotDoAnyMore) {
  Cluster cluster = WithLowOnM1();
  cluster.model.PutMachineOf("m2", 1, 1);
  cluster.model.PutUnit("high.service", Text("ReserveCPU=2\nPriority=5"));
  cluster.PassUntilIdle();
  ASSERT_EQ(cluster.model.Unit("high.service").nominated_machine, "m1");
  cluster.model.PutMachineOf("m2", 2, 2);
  cluster.model.PutMachineOf("m1", 1, 2);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("high.service"), ElementsAre("m2"));
}

TEST(Preemption, AGroupPushesOutForAllOfIt) {
  Cluster cluster = WithLowOnM1();
  cluster.model.PutUnit("parent.service", Text("ReserveCPU=1\nPriority=5"));
  cluster.model.PutUnit("child.service",
                        Text("MachineOf=parent.service\nReserveCPU=1\nPriority=5"));
  cluster.PassUntilIdle();
  EXPECT_EQ(cluster.model.Unit("parent.service").nominated_machine, "m1");
  EXPECT_EQ(cluster.model.Unit("child.service").nominated_machine, "m1");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("parent.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("child.service"), ElementsAre("m1"));
}

TEST(Preemption, AUnitOfALostMachineGoesBackToItIfItReturnsFirst) {
  Cluster cluster = WithLowOnM1();
  cluster.model.PutMachineOf("m2", 2, 2);
  cluster.model.PutUnit("high.service", Text("ReserveCPU=2\nPriority=5"));
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("high.service"), ElementsAre("m2"));
  cluster.model.LoseMachine("m2");
  cluster.PassUntilIdle();
  EXPECT_EQ(cluster.model.Unit("high.service").nominated_machine, "m1");
  EXPECT_EQ(cluster.model.AssignmentOf("low.service", "m1")->state, AssignmentState::kGone);
  cluster.model.PutMachineOf("m2", 2, 2);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("high.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf("low.service"), ElementsAre("m1"));
}

TEST(Preemption, AUnitOfALostMachinePushesOutElsewhere) {
  Cluster cluster = WithLowOnM1();
  cluster.model.PutMachineOf("m2", 2, 2);
  cluster.model.PutUnit("high.service", Text("ReserveCPU=2\nPriority=5"));
  cluster.Settle();
  cluster.model.LoseMachine("m2");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("high.service"), ElementsAre("m1"));
  EXPECT_EQ(cluster.model.AssignmentOf("high.service", "m2")->state, AssignmentState::kGone);
  EXPECT_THAT(cluster.model.MachinesOf("low.service"), IsEmpty());
}

TEST(Preemption, ManySmallUnitsAreMoreThanOneDecision) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 50, 1);
  for (int i = 0; i < 50; ++i) {
    cluster.model.PutUnit(fmt::format("low{}.service", i), Text("ReserveCPU=1"));
  }
  cluster.Settle();
  cluster.model.PutUnit("high.service", Text("ReserveCPU=50\nPriority=5"));
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  EXPECT_THAT(decisions, SizeIs(3));
  for (const Decision& decision : decisions) {
    EXPECT_LE(decision.guards.size(), 120u);
    cluster.engine.OnCommitted(decision.id, cluster.model.Commit(decision));
  }
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("high.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("low7.service"), IsEmpty());
}

TEST(Preemption, AnUnchangedClusterIsWrittenNothing) {
  Cluster cluster = WithLowOnM1();
  cluster.model.PutUnit("high.service", Text("ReserveCPU=2\nPriority=5"));
  cluster.model.PutUnit("middle.service", Text("ReserveCPU=2\nPriority=3"));
  cluster.Settle();
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

}  // namespace
}  // namespace fleet::reconcile
