#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using ::testing::AnyOf;
using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::Text;

const std::string kApart = Text("ConflictsWithin=zone=db*.service");

// m1 and m2 in zone a, m3 in zone b.
Cluster WithTwoZones() {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"zone", "a"}});
  cluster.model.PutMachine("m2", {{"zone", "a"}});
  cluster.model.PutMachine("m3", {{"zone", "b"}});
  return cluster;
}

TEST(Zones, UnitsThatConflictWithinAZoneGoToDifferentOnes) {
  Cluster cluster = WithTwoZones();
  for (const char* unit : {"db1.service", "db2.service", "db3.service"}) {
    cluster.model.PutUnit(unit, kApart);
  }
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("db1.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("db2.service"), ElementsAre("m3"));
  EXPECT_THAT(cluster.model.Unit("db3.service").refusal, HasSubstr("zone"));
  cluster.model.PutMachine("m2", {{"zone", "c"}});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("db3.service"), ElementsAre("m2"));
}

TEST(Zones, WhenMachinesComeToShareAZoneTheUnitPlacedLaterLeaves) {
  Cluster cluster = WithTwoZones();
  cluster.model.PutUnit("db1.service", Text("MachineID=m3\nConflictsWithin=zone=db*.service"));
  cluster.Settle();
  cluster.model.PutUnit("db2.service", kApart);
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("db2.service"), ElementsAre("m1"));
  // The machine of the earlier one changes: the later one, elsewhere, has to go.
  cluster.model.PutMachine("m4", {{"zone", "c"}});
  cluster.model.PutMachine("m3", {{"zone", "a"}});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("db1.service"), ElementsAre("m3"));
  EXPECT_THAT(cluster.model.MachinesOf("db2.service"), ElementsAre("m4"));
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST(Zones, AMoveReservesItsZone) {
  Cluster cluster = WithTwoZones();
  cluster.model.PutUnit("db1.service", Text("MachineMetadata=disk=ssd\n"
                                            "ConflictsWithin=zone=db*.service"));
  cluster.model.PutMachine("m1", {{"zone", "a"}, {"disk", "ssd"}});
  cluster.Settle();
  cluster.model.PutMachine("m3", {{"zone", "b"}, {"disk", "ssd"}});
  cluster.model.PutMachine("m1", {{"zone", "a"}});
  cluster.PassUntilIdle();
  ASSERT_EQ(cluster.model.AssignmentOf("db1.service", "m1")->next_machine, "m3");
  cluster.model.PutUnit("db2.service", kApart);
  cluster.PassUntilIdle();
  EXPECT_THAT(cluster.model.MachinesOf("db2.service"), IsEmpty());  // zone a is not free yet
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("db1.service"), ElementsAre("m3"));
  EXPECT_THAT(cluster.model.MachinesOf("db2.service"), ElementsAre(AnyOf("m1", "m2")));
}

TEST(Zones, ACollocatedUnitFollowsIntoAnotherZone) {
  Cluster cluster = WithTwoZones();
  cluster.model.PutUnit("cache.service", Text("CollocateWithin=zone=db.service"));
  cluster.model.PutUnit("db.service", Text("MachineMetadata=zone=b"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("cache.service"), ElementsAre("m3"));
  cluster.model.PutUnit("db.service", Text("MachineMetadata=zone=a"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("db.service"), ElementsAre(AnyOf("m1", "m2")));
  EXPECT_THAT(cluster.model.MachinesOf("cache.service"), ElementsAre(AnyOf("m1", "m2")));
}

TEST(Zones, ACollocatedUnitLeavesWhenTheOthersMachineChangesItsZone) {
  Cluster cluster = WithTwoZones();
  cluster.model.PutUnit("db.service", Text("MachineID=m1"));
  cluster.model.PutUnit("cache.service", Text("CollocateWithin=zone=db.service\n"
                                              "Conflicts=db.service"));
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("cache.service"), ElementsAre("m2"));
  cluster.model.PutMachine("m1", {{"zone", "b"}});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("cache.service"), ElementsAre("m3"));
}

TEST(Zones, ACollocatedUnitRunsOnWhileTheOthersMachineIsAway) {
  Cluster cluster = WithTwoZones();
  cluster.model.PutUnit("db.service", Text("MachineID=m1"));
  cluster.model.PutUnit("cache.service", Text("CollocateWithin=zone=db.service\n"
                                              "Conflicts=db.service"));
  cluster.Settle();
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("db.service"), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf("cache.service"), ElementsAre("m2"));
  EXPECT_EQ(cluster.model.Unit("cache.service").refusal, "");
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST(Zones, ACollocatedUnitWaitsForTheOtherToBePlaced) {
  Cluster cluster = WithTwoZones();
  cluster.model.PutUnit("cache.service", Text("CollocateWithin=zone=db.service"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.Unit("cache.service").refusal, HasSubstr("db.service"));
  cluster.model.PutUnit("db.service", Text());
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("cache.service"), SizeIs(1));
}

TEST(Zones, ItsPlacementRestsOnWhereTheOtherIs) {
  Cluster cluster = WithTwoZones();
  cluster.model.PutUnit("db.service", Text("MachineID=m1"));
  cluster.Settle();
  cluster.model.PutUnit("cache.service", Text("CollocateWithin=zone=db.service"));
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_THAT(decisions, SizeIs(1));
  cluster.model.PutMachine("m1", {{"zone", "b"}});
  EXPECT_EQ(cluster.model.Commit(decisions[0]), 0);
}

TEST(Zones, TheInstancesOfATemplateSpreadOverThem) {
  Cluster cluster = WithTwoZones();
  for (const char* unit : {"web@1.service", "web@2.service", "web@3.service", "web@4.service"}) {
    cluster.model.PutUnit(unit, Text("SpreadOver=zone"));
  }
  cluster.Settle();
  int in_b = 0;
  for (const char* unit : {"web@1.service", "web@2.service", "web@3.service", "web@4.service"}) {
    if (cluster.model.MachinesOf(unit) == std::vector<std::string>{"m3"}) ++in_b;
  }
  EXPECT_EQ(in_b, 2);
}

}  // namespace
}  // namespace fleet::reconcile
