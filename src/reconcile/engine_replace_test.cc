#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::Cluster;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StrEq;

const std::string kSleep = "[Service]\nExecStart=/bin/sleep 1d\n";
std::string Fleet(const std::string& options) { return kSleep + "[X-Fleet]\n" + options + "\n"; }

// Two machines, old.service on m1.
Cluster WithOldOnM1() {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("old.service", kSleep);
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.Settle();
  return cluster;
}

void PassesOfTheEngineAlone(Cluster& cluster) {
  while (cluster.Pass() > 0) {
  }
}

TEST(Replaces, TheNewUnitTakesTheMachineAndTheOtherOneMoves) {
  Cluster cluster = WithOldOnM1();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("old.service"), ElementsAre("m2"));
  EXPECT_EQ(cluster.model.Unit("new.service").nominated_machine, "");
  EXPECT_THAT(cluster.events,
              Contains(Field(&EventEntry::reason, StrEq("new.service replaces it"))));
}

TEST(Replaces, TheNewUnitStartsOnlyWhenTheOtherOneIsGone) {
  Cluster cluster = WithOldOnM1();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  PassesOfTheEngineAlone(cluster);
  EXPECT_EQ(cluster.model.AssignmentOf("old.service", "m1")->state, AssignmentState::kGone);
  EXPECT_EQ(cluster.model.AssignmentOf("old.service", "m1")->next_machine, "m2");
  EXPECT_EQ(cluster.model.Unit("new.service").nominated_machine, "m1");
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), IsEmpty());
}

TEST(Replaces, TheMachineIsReservedMeanwhile) {
  Cluster cluster = WithOldOnM1();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  PassesOfTheEngineAlone(cluster);
  cluster.model.PutUnit("enemy.service", Fleet("Conflicts=new.service\nMachineID=m1"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("enemy.service"), IsEmpty());
}

TEST(Replaces, AUnitThatHasNoOtherMachineStaysAndTheNewOneIsPlacedAsUsual) {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"disk", "ssd"}});
  cluster.model.PutMachine("m2");
  cluster.model.PutUnit("old.service", Fleet("MachineMetadata=disk=ssd"));
  cluster.Settle();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("old.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.events.back().reason,
              HasSubstr("Replaces has no effect: old.service cannot leave its machine"));
}

TEST(Replaces, WhatIsPlacedAlreadyReplacesNothingMore) {
  Cluster cluster = WithOldOnM1();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  cluster.Settle();
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  // Both are on m2: the move of a unit is no first placement.
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf("old.service"), ElementsAre("m2"));
}

TEST(Replaces, AUnitThatWouldConflictIsReplacedToo) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("old.service", Fleet("Conflicts=new.service"));
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.Settle();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.*"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("old.service"), ElementsAre("m2"));
}

TEST(Replaces, GlobalUnitsAreNotReplaced) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("old.service", Fleet("Global=true"));
  cluster.Settle();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  cluster.Settle();
  EXPECT_EQ(cluster.model.MachinesOf("old.service").size(), 2u);
  EXPECT_EQ(cluster.model.MachinesOf("new.service").size(), 1u);
}

TEST(Replaces, InACircleTheUnitThatRunsStaysAndTheLaterOneIsRefusedWithTheCircle) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("a.service", Fleet("Replaces=b.service"));
  cluster.Settle();
  const auto where = cluster.model.MachinesOf("a.service");
  cluster.model.PutUnit("b.service", Fleet("Replaces=a.service"));
  cluster.Settle();
  EXPECT_EQ(cluster.model.MachinesOf("a.service"), where);
  EXPECT_THAT(cluster.model.MachinesOf("b.service"), IsEmpty());
  EXPECT_THAT(cluster.model.Unit("b.service").refusal,
              HasSubstr("b.service -> a.service -> b.service"));
  // The circle ends with the unit that ran.
  cluster.model.DestroyUnit("a.service");
  cluster.Settle();
  EXPECT_EQ(cluster.model.MachinesOf("b.service").size(), 1u);
}

TEST(Replaces, ACircleOverAThirdUnitIsFound) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("a.service", Fleet("Replaces=b.service"));
  cluster.model.PutUnit("b.service", Fleet("Replaces=c.*"));
  cluster.Settle();
  cluster.model.PutUnit("c.service", Fleet("Replaces=a.service"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("c.service"), IsEmpty());
  EXPECT_THAT(cluster.model.Unit("c.service").refusal, HasSubstr("in a circle"));
}

TEST(Replaces, AUnitOnItsWayIsWaitedForAndReplacedWhereItArrives) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("old.service", kSleep);
  cluster.Settle();
  for (const char* machine : {"m2", "m3"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("new1.service", Fleet("Replaces=old.service"));
  PassesOfTheEngineAlone(cluster);
  cluster.model.PutUnit("new2.service", Fleet("Replaces=old.service"));
  PassesOfTheEngineAlone(cluster);
  EXPECT_THAT(cluster.model.MachinesOf("new2.service"), IsEmpty());
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("new1.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("new2.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf("old.service"), ElementsAre("m3"));
}

TEST(Replaces, AUnitThatIsFollowedStays) {
  Cluster cluster = WithOldOnM1();
  cluster.model.PutUnit("follower.service", Fleet("MachineOf=old.service"));
  cluster.Settle();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("old.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("follower.service"), ElementsAre("m1"));
  EXPECT_EQ(cluster.model.MachinesOf("new.service").size(), 1u);
}

TEST(Replaces, AUnitThatStillWaitsForItsMachineIsWaitedForToo) {
  Cluster cluster = WithOldOnM1();
  cluster.model.PutUnit("new1.service", Fleet("Replaces=old.service"));
  PassesOfTheEngineAlone(cluster);
  cluster.model.PutMachine("m3");
  cluster.model.PutUnit("new2.service", Fleet("Replaces=new1.service"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("new2.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("new1.service"), ElementsAre("m3"));
}

TEST(Replaces, AReservationEndsWithItsMachine) {
  Cluster cluster = WithOldOnM1();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  PassesOfTheEngineAlone(cluster);
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf("old.service"), ElementsAre("m2"));
  EXPECT_EQ(cluster.model.Unit("new.service").nominated_machine, "");
}

TEST(Replaces, AReservationEndsWhenTheUnitIsNotWantedAnyMore) {
  Cluster cluster = WithOldOnM1();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  PassesOfTheEngineAlone(cluster);
  cluster.model.SetDesired("new.service", DesiredState::kInactive);
  cluster.Settle();
  EXPECT_EQ(cluster.model.Unit("new.service").nominated_machine, "");
  cluster.model.PutUnit("enemy.service", Fleet("Conflicts=new.service\nMachineID=m1"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("enemy.service"), ElementsAre("m1"));
}

TEST(Replaces, TheOtherGoesOnlyWhereItMayBeOnceTheNewOneIsThere) {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"zone", "a"}});
  cluster.model.PutUnit("old.service", Fleet("ConflictsWithin=zone=new.service"));
  cluster.Settle();
  cluster.model.PutMachine("m2", {{"zone", "a"}});
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("old.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), IsEmpty());
  cluster.model.PutMachine("m3", {{"zone", "b"}});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("old.service"), ElementsAre("m3"));
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), ElementsAre("m1"));
}

TEST(Replaces, AReservationThatIsLostDoesNotKeepWhatFollowsItWaiting) {
  Cluster cluster = WithOldOnM1();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  PassesOfTheEngineAlone(cluster);
  cluster.model.PutUnit("old.service", Fleet("CollocateWithin=zone=new.service"));
  cluster.model.LoseMachine("m1");
  cluster.model.PutMachine("m2", {{"zone", "a"}});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf("old.service"), ElementsAre("m2"));
}

TEST(Replaces, AnUnchangedClusterIsWrittenNothing) {
  Cluster cluster = WithOldOnM1();
  cluster.model.PutUnit("new.service", Fleet("Replaces=old.service"));
  cluster.model.PutUnit("self.1.service", Fleet("Replaces=self.*.service"));
  cluster.model.PutUnit("self.2.service", Fleet("Replaces=self.*.service"));
  cluster.Settle();
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

}  // namespace
}  // namespace fleet::reconcile
