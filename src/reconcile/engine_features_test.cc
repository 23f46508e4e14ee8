// Machines of several versions: which features are enabled, and units that need others.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/planner.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using testing::Text;

const std::vector<std::string> kOld = {"reschedule"};

class Features : public ::testing::Test {
 protected:
  Features() { model_.EnableFeatures({}); }
  std::vector<std::string> Enabled() const { return model_.records().features->value.enabled; }
  std::string Why(const std::string& unit) { return ExplainUnit(model_.view(), {}, unit)->reason; }

  Cluster cluster_;
  testing::ClusterModel& model_ = cluster_.model;
};

TEST_F(Features, AreEnabledThatAllMachinesKnow) {
  model_.PutMachine("m1");
  model_.PutMachineOfVersion("m2", kOld);
  cluster_.Settle();
  EXPECT_THAT(Enabled(), ElementsAre("reschedule"));
  EXPECT_EQ(cluster_.events.back().kind, "enabled");
  EXPECT_THAT(cluster_.events.back().reason, HasSubstr("reschedule"));
  model_.PutMachine("m2");
  cluster_.Settle();
  EXPECT_EQ(Enabled(), KnownFeatures());
}

TEST_F(Features, AreWrittenOnce) {
  model_.PutMachine("m1");
  EXPECT_EQ(cluster_.Pass(), 1);
  EXPECT_EQ(cluster_.Pass(), 0);
  model_.PutMachine("m2");
  cluster_.engine.JudgeAll();
  EXPECT_EQ(cluster_.Pass(), 0);
}

TEST_F(Features, AreEnabledAnewWhenTheFateOfTheFirstWriteIsUnknown) {
  model_.PutMachine("m1");
  cluster_.engine.Apply(model_.TakeChange());
  ASSERT_EQ(cluster_.engine.Decide(cluster_.now).size(), 1u);
  cluster_.engine.ForgetInFlight();
  EXPECT_EQ(cluster_.engine.Decide(cluster_.now).size(), 1u);
}

TEST_F(Features, AUnitThatWasRefusedForAMachineThatCameTooLateIsJudgedOnceOneIsEnabled) {
  model_.PutMachine("m1");
  model_.PutMachineOfVersion("m2", kOld);
  model_.PutUnit("a.service", Text("OnIsolation=stop"));
  cluster_.PassUntilIdle();
  ASSERT_THAT(model_.MachinesOf("a.service"), IsEmpty());
  model_.EnableFeatures(KnownFeatures());
  cluster_.PassUntilIdle();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m1"));
}

// Only where it runs on a machine that would not heed it.
TEST_F(Features, ATextThatNeedsAnotherOneMovesNothingOffAMachineWithLessRoomThanBefore) {
  model_.PutMachineOf("m1", 2, 2);
  model_.PutUnit("a.service", Text("ReserveCPU=2"));
  cluster_.Settle();
  model_.PutMachineOf("m1", 1, 1);
  model_.PutUnit("a.service", Text("ReserveCPU=2\nReschedule=on-failure"));
  cluster_.Settle();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST_F(Features, AreNotEnabledWhereThereIsNoMachine) { EXPECT_EQ(cluster_.Pass(), 0); }

TEST_F(Features, StayEnabledWhenAMachineComesThatDoesNotKnowThem) {
  model_.PutMachine("m1");
  cluster_.Settle();
  model_.PutMachineOfVersion("m2", kOld);
  cluster_.Settle();
  EXPECT_EQ(Enabled(), KnownFeatures());
}

// Those of a newer version that led before, and that this one cannot judge.
TEST_F(Features, OfANewerVersionAreKept) {
  model_.EnableFeatures({"teleportation"});
  model_.PutMachineOfVersion("m1", {"reschedule", "levitation"});
  cluster_.Settle();
  EXPECT_THAT(Enabled(), ElementsAre("reschedule", "teleportation"));
}

TEST_F(Features, AreNotEnabledWhileMachinesMayComeBack) {
  model_.NameCluster("id");
  cluster_.Pass();
  cluster_.engine.BeginLeading(cluster_.now);
  model_.PutMachine("m1");
  EXPECT_EQ(cluster_.Pass(), 0);
  EXPECT_EQ(cluster_.engine.NextWakeup(), cluster_.now + absl::Seconds(10));
  model_.PutMachineOfVersion("m2", kOld);
  cluster_.now += absl::Seconds(10);
  cluster_.Settle();
  EXPECT_THAT(Enabled(), ElementsAre("reschedule"));
}

TEST_F(Features, AreEnabledAtOnceInANewCluster) {
  cluster_.engine.BeginLeading(cluster_.now);
  model_.PutMachine("m1");
  cluster_.Settle();
  EXPECT_EQ(Enabled(), KnownFeatures());
}

TEST_F(Features, OfAMachineThatCannotBeReadAreNotEnabled) {
  model_.PutMachine("m1");
  model_.PutUnreadable("machines/m2");
  EXPECT_EQ(cluster_.Pass(), 0);
}

TEST_F(Features, ThatMayHaveBeenEnabledInARecordThatCannotBeReadAreLeft) {
  model_.PutMachine("m1");
  model_.PutUnreadable("cluster/features");
  EXPECT_EQ(cluster_.Pass(), 0);
}

TEST_F(Features, AUnitThatNeedsOneWaitsUntilAllMachinesKnowIt) {
  model_.PutMachine("m1");
  model_.PutMachineOfVersion("m2", kOld);
  model_.PutUnit("a.service", Text("OnIsolation=stop"));
  cluster_.Settle();
  EXPECT_THAT(model_.MachinesOf("a.service"), IsEmpty());
  EXPECT_EQ(model_.Unit("a.service").refusal,
            "it needs the feature isolation, which is not enabled: m2 (version other) does not "
            "know it");
  EXPECT_EQ(Why("a.service"), model_.Unit("a.service").refusal);
  model_.LoseMachine("m2");
  cluster_.Settle();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m1"));
  EXPECT_EQ(model_.Unit("a.service").refusal, "");
}

TEST_F(Features, AUnitIsNotRefusedForTheMomentBeforeOneIsEnabled) {
  model_.PutMachine("m1");
  model_.PutUnit("a.service", Text("OnIsolation=stop"));
  cluster_.Settle();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m1"));
  for (const EventEntry& event : cluster_.events) EXPECT_NE(event.kind, "refused");
}

TEST_F(Features, AUnitWithANewTextThatNeedsOneRunsOnWithItsOldOne) {
  model_.PutMachineOfVersion("m1", kOld);
  model_.PutUnit("a.service", Text());
  cluster_.Settle();
  const std::string before = model_.AssignmentOf("a.service", "m1")->content_hash;
  model_.PutUnit("a.service", Text("OnIsolation=stop"));
  cluster_.Settle();
  ASSERT_NE(model_.AssignmentOf("a.service", "m1"), nullptr);
  EXPECT_EQ(model_.AssignmentOf("a.service", "m1")->content_hash, before);
  EXPECT_THAT(Why("a.service"), HasSubstr("isolation"));
  model_.PutMachine("m1");
  cluster_.Settle();
  EXPECT_NE(model_.AssignmentOf("a.service", "m1")->content_hash, before);
}

TEST_F(Features, OnceEnabledAUnitGoesOnlyToMachinesThatKnowThem) {
  model_.EnableFeatures(KnownFeatures());
  model_.PutMachineOfVersion("m1", kOld);
  model_.PutUnit("a.service", Text("OnIsolation=stop"));
  cluster_.Settle();
  EXPECT_EQ(model_.Unit("a.service").refusal,
            "no machine is eligible: 1 of 1 does not know the feature isolation");
  model_.PutMachine("m2");
  cluster_.Settle();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m2"));
}

// It runs, and the older version does with it what it did before.
TEST_F(Features, AUnitStaysWhereAnOlderVersionHasComeBack) {
  model_.PutMachine("m1");
  model_.PutMachine("m2");
  model_.PutUnit("a.service", Text("OnIsolation=stop"));
  cluster_.Settle();
  const std::string machine = model_.MachinesOf("a.service").front();
  model_.PutMachineOfVersion(machine, kOld);
  const int64_t before = model_.revision();
  cluster_.Settle();
  EXPECT_EQ(model_.revision(), before);
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre(machine));
}

TEST_F(Features, AUnitIsNotGivenANewTextWhereAnOlderVersionWouldNotHeedIt) {
  model_.EnableFeatures(KnownFeatures());
  model_.PutMachineOfVersion("m1", kOld);
  model_.PutUnit("a.service", Text());
  cluster_.Settle();
  model_.PutMachine("m2");
  model_.PutUnit("a.service", Text("OnIsolation=stop"));
  cluster_.Settle();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m2"));
}

// Units that ran before features were written down, in a registry of an older version.
TEST_F(Features, AUnitThatRunsAlreadyGoesOnWithOneThatIsNotEnabled) {
  model_.EnableFeatures(KnownFeatures());
  model_.PutMachine("m1");
  model_.PutUnit("a.service", Text("OnIsolation=stop"));
  cluster_.Settle();
  model_.EnableFeatures({});
  model_.PutMachineOfVersion("m2", kOld);
  model_.PutMachine("m3");
  cluster_.Settle();
  model_.SetMoveTo("a.service", "m3");
  cluster_.Settle();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m3"));
}

TEST_F(Features, AUnitTiedToOneThatWaitsWaitsWithIt) {
  model_.PutMachine("m1");
  model_.PutMachineOfVersion("m2", kOld);
  model_.PutUnit("a.service", Text("OnIsolation=stop"));
  model_.PutUnit("b.service", Text("MachineOf=a.service"));
  cluster_.Settle();
  EXPECT_THAT(model_.MachinesOf("b.service"), IsEmpty());
  model_.LoseMachine("m2");
  cluster_.Settle();
  EXPECT_THAT(model_.MachinesOf("b.service"), ElementsAre("m1"));
}

// The engine of an older version leaves what it does not know.
TEST(FeaturesOfAnOlderEngine, AreLeftAsTheyAre) {
  EngineSettings settings;
  settings.features = kOld;
  Cluster cluster(settings);
  cluster.model.EnableFeatures({});
  cluster.model.PutMachine("m1");
  UnitRecord record = {.uid = "uid", .desired = DesiredState::kLaunched, .features = {"isolation"}};
  static_cast<SimulatedRegistry&>(cluster.model).PutUnit("a.service", record);
  cluster.Settle();
  EXPECT_EQ(cluster.model.Unit("a.service"), record);
  // Nor does it enable what it does not know.
  EXPECT_THAT(cluster.model.records().features->value.enabled, ElementsAre("reschedule"));
}

}  // namespace
}  // namespace fleet::reconcile
