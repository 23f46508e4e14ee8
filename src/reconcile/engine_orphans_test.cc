// What machines run without having been assigned it. See engine_reconciler.h for the whole.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/engine_reconciler.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Text;

const std::string kSleep = "[Service]\nExecStart=/bin/sleep 1d\n";

TEST(Orphans, AnOrphanIsAdoptedWhereItRuns) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutMachine("m2");
  cluster.model.PutUnit("a.service", kSleep, DesiredState::kInactive);
  cluster.Settle();
  const UnitRecord record = cluster.model.Unit("a.service");
  cluster.model.Report("m2", "a.service",
                       {.uid = record.uid,
                        .generation = 2,
                        .content_hash = record.content_hash,
                        .load_state = "loaded",
                        .active_state = "active"});
  cluster.model.SetDesired("a.service", DesiredState::kLaunched);
  cluster.Pass();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
  // With its uid and its text: it is not restarted. What was told there earlier is not known.
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m2")->uid, record.uid);
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m2")->content_hash, record.content_hash);
  EXPECT_GE(cluster.model.AssignmentOf("a.service", "m2")->generation,
            cluster.model.view()->revision - 1);
}

TEST(Orphans, AnOrphanThatHasEndedMeanwhileIsNotAdopted) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep, DesiredState::kInactive);
  cluster.model.PutUnit("g.service", kSleep + "[X-Fleet]\nGlobal=true\n", DesiredState::kInactive);
  cluster.Settle();
  for (const char* name : {"a.service", "g.service"}) {
    const UnitRecord& record = cluster.model.Unit(name);
    cluster.model.Report("m1", name,
                         {.uid = record.uid,
                          .generation = 2,
                          .content_hash = record.content_hash,
                          .active_state = "active"});
    cluster.model.SetDesired(name, DesiredState::kLaunched);
  }
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_EQ(decisions.size(), 2u);
  // The machine has rebooted.
  cluster.model.Report("m1", "a.service", {.uid = "", .gone = true});
  cluster.model.Report("m1", "g.service", {.uid = "", .gone = true});
  for (const Decision& decision : decisions) {
    EXPECT_EQ(decision.events[0].kind, "adopted");
    EXPECT_EQ(cluster.model.Commit(decision), 0);
  }
}

TEST(Orphans, AnOrphanOfAnUnknownUnitIsLeftAlone) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.Report("m1", "stray.service",
                       {.uid = "other", .generation = 2, .active_state = "active"});
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST(Orphans, ACopyOfAUnitAssignedElsewhereGetsATombstone) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.model.Report(
      "m2", "a.service",
      {.uid = cluster.model.Unit("a.service").uid, .generation = 2, .active_state = "active"});
  cluster.Pass();
  ASSERT_NE(cluster.model.AssignmentOf("a.service", "m2"), nullptr);
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m2")->state, AssignmentState::kGone);
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST(Orphans, OneIsAdoptedOnceAnotherCopyHasEndedAndGetsNoEarlierGenerationThanThat) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.model.SetDesired("a.service", DesiredState::kInactive);
  cluster.Pass();
  const Assignment tombstone = *cluster.model.AssignmentOf("a.service", "m1");
  ASSERT_EQ(tombstone.state, AssignmentState::kGone);
  // In an earlier history of this registry it ran on m2.
  cluster.model.SetDesired("a.service", DesiredState::kLaunched);
  cluster.model.Report("m2", "a.service",
                       {.uid = tombstone.uid,
                        .generation = tombstone.generation - 1,
                        .content_hash = tombstone.content_hash,
                        .load_state = "loaded",
                        .active_state = "active"});
  cluster.Pass();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), IsEmpty()) << "that on m1 may still run";
  cluster.model.Report("m1", "a.service",
                       {.uid = tombstone.uid, .generation = tombstone.generation, .gone = true});
  cluster.Pass();
  ASSERT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
  EXPECT_GT(cluster.model.AssignmentOf("a.service", "m2")->generation, tombstone.generation);
}

// A registry restored to a time before the unit was created anew: its tombstone on m2 is that of
// the unit before, what stands there is one of the history that was lost.
class AnothersTombstone : public ::testing::Test {
 protected:
  AnothersTombstone() {
    cluster_.model.PutMachine("m2");
    cluster_.model.PutUnit("a.service", kSleep);
    cluster_.Settle();
    cluster_.model.PutMachine("m1");
    cluster_.model.SetDesired("a.service", DesiredState::kInactive);
    cluster_.Pass();
    tombstone_ = *cluster_.model.AssignmentOf("a.service", "m2");
  }

  void ReportAnother(const std::string& uid) {
    cluster_.model.Report("m2", "a.service",
                          {.uid = uid,
                           .generation = tombstone_.generation + 15,
                           .content_hash = tombstone_.content_hash,
                           .load_state = "loaded",
                           .active_state = "active"});
  }

  const Assignment& OnM2() { return *cluster_.model.AssignmentOf("a.service", "m2"); }

  Cluster cluster_;
  Assignment tombstone_;
};

TEST_F(AnothersTombstone, BecomesOneOfWhatRunsThereBeforeTheUnitIsPlacedElsewhere) {
  ReportAnother("lost");
  cluster_.model.PutSettings("m2", {.cordoned = true});
  cluster_.model.SetDesired("a.service", DesiredState::kLaunched);
  cluster_.Pass();
  ASSERT_EQ(OnM2().state, AssignmentState::kGone);
  EXPECT_EQ(OnM2().uid, "lost");
  EXPECT_GT(OnM2().generation, tombstone_.generation + 15);
  EXPECT_EQ(cluster_.model.AssignmentOf("a.service", "m1"), nullptr);
  cluster_.Settle();
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST_F(AnothersTombstone, StopsNothingThatNobodyHasAskedToStop) {
  ReportAnother("lost");
  cluster_.PassUntilIdle();
  EXPECT_EQ(cluster_.model.AssignmentOf("a.service", "m2"), nullptr);
  // Once the unit is wanted, that one has to go first.
  cluster_.model.SetDesired("a.service", DesiredState::kLaunched);
  cluster_.PassUntilIdle();
  EXPECT_EQ(OnM2().uid, "lost");
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), IsEmpty());
}

TEST_F(AnothersTombstone, DoesNotKeepACopyElsewhereFromBeingAdopted) {
  cluster_.model.DestroyUnit("a.service");
  cluster_.Pass();
  cluster_.model.PutUnit("a.service", kSleep);
  const UnitRecord record = cluster_.model.Unit("a.service");
  ReportAnother(record.uid);
  cluster_.model.Report("m1", "a.service",
                        {.uid = record.uid,
                         .generation = 90,
                         .content_hash = record.content_hash,
                         .active_state = "active"});
  cluster_.PassUntilIdle();
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m1"));
  EXPECT_EQ(OnM2().state, AssignmentState::kGone);
  EXPECT_EQ(OnM2().uid, record.uid) << "the other copy is stopped";
}

TEST_F(AnothersTombstone, GivesWayToTheUnitItselfWhereThatRuns) {
  cluster_.model.DestroyUnit("a.service");
  cluster_.Pass();
  cluster_.model.PutUnit("a.service", kSleep);
  ReportAnother(cluster_.model.Unit("a.service").uid);
  cluster_.Pass();
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m2")) << "it is not stopped";
  EXPECT_GT(OnM2().generation, tombstone_.generation);
}

TEST(Orphans, AGlobalUnitIsStoppedWhereItMayNotRun) {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"zone", "a"}});
  cluster.model.PutMachine("m2", {{"zone", "b"}});
  cluster.model.PutUnit("g.service", kSleep + "[X-Fleet]\nGlobal=true\nMachineMetadata=zone=a\n");
  cluster.Settle();
  const UnitRecord record = cluster.model.Unit("g.service");
  cluster.model.Report("m2", "g.service",
                       {.uid = record.uid,
                        .generation = 2,
                        .content_hash = record.content_hash,
                        .load_state = "loaded",
                        .active_state = "active"});
  cluster.Pass();
  EXPECT_THAT(cluster.model.MachinesOf("g.service"), ElementsAre("m1"));
  ASSERT_TRUE(cluster.model.AssignmentOf("g.service", "m2"));
  EXPECT_EQ(cluster.model.AssignmentOf("g.service", "m2")->state, AssignmentState::kGone);
}

TEST(Orphans, ACopyWithAnotherTextDoesNotHideWhatADestroyedUnitKeepsAway) {
  Cluster cluster;
  cluster.model.PutMachine("m2");
  cluster.model.PutUnit("a.service", Text("Conflicts=b.service"));
  cluster.Settle();
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("plain.service", kSleep, DesiredState::kInactive);
  cluster.model.Report("m1", "a.service",
                       {.uid = "lost",
                        .generation = 90,
                        .content_hash = cluster.model.Unit("plain.service").content_hash,
                        .active_state = "active"});
  cluster.model.DestroyUnit("a.service");
  cluster.model.PutUnit("b.service", Text("MachineID=m2"));
  cluster.PassUntilIdle();
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m2")->state, AssignmentState::kGone);
  EXPECT_THAT(cluster.model.MachinesOf("b.service"), IsEmpty()) << "it has not stopped yet";
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("b.service"), ElementsAre("m2"));
}

// Its tombstone on m2 is that of a unit destroyed before; what m2 reports is of the history lost.
void ReportGlobalUnderAnothersTombstone(Cluster& cluster, bool is_this_one,
                                        bool is_cordoned = false) {
  const std::string text = kSleep + "[X-Fleet]\nGlobal=true\n";
  cluster.model.PutMachine("m2");
  cluster.model.PutUnit("g.service", text);
  cluster.Settle();
  cluster.model.DestroyUnit("g.service");
  cluster.Pass();
  cluster.model.PutUnit("g.service", text);
  if (is_cordoned) cluster.model.PutSettings("m2", {.cordoned = true});
  cluster.model.Report("m2", "g.service",
                       {.uid = is_this_one ? cluster.model.Unit("g.service").uid : "lost",
                        .generation = 90,
                        .content_hash = cluster.model.Unit("g.service").content_hash,
                        .load_state = "loaded",
                        .active_state = "active"});
  cluster.Pass();
}

TEST(Orphans, AGlobalUnitIsAdoptedInPlaceOfAnothersTombstone) {
  Cluster cluster;
  ReportGlobalUnderAnothersTombstone(cluster, /*is_this_one=*/true);
  EXPECT_EQ(cluster.model.AssignmentOf("g.service", "m2")->state, AssignmentState::kLaunched);
  EXPECT_GE(cluster.model.AssignmentOf("g.service", "m2")->generation, 90);
}

TEST(Orphans, AGlobalUnitIsAdoptedInPlaceOfAnothersTombstoneOnAMachineThatIsCordonedByNow) {
  Cluster cluster;
  ReportGlobalUnderAnothersTombstone(cluster, /*is_this_one=*/true, /*is_cordoned=*/true);
  EXPECT_EQ(cluster.model.AssignmentOf("g.service", "m2")->state, AssignmentState::kLaunched);
}

TEST(Orphans, AGlobalUnitRunsWhereAnotherOneOfItsNameIsOnceThatHasStopped) {
  Cluster cluster;
  ReportGlobalUnderAnothersTombstone(cluster, /*is_this_one=*/false);
  EXPECT_EQ(cluster.model.AssignmentOf("g.service", "m2")->state, AssignmentState::kGone);
  EXPECT_EQ(cluster.model.AssignmentOf("g.service", "m2")->uid, "lost");
  cluster.Settle();
  EXPECT_EQ(cluster.model.AssignmentOf("g.service", "m2")->state, AssignmentState::kLaunched);
  EXPECT_EQ(cluster.model.AssignmentOf("g.service", "m2")->uid,
            cluster.model.Unit("g.service").uid);
}

TEST(Orphans, AGlobalUnitIsAdoptedOnAMachineThatIsCordonedByNow) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutMachine("m2");
  cluster.model.PutSettings("m2", {.cordoned = true});
  cluster.model.PutUnit("g.service", kSleep + "[X-Fleet]\nGlobal=true\n");
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("g.service"), ElementsAre("m1"));
  const UnitRecord record = cluster.model.Unit("g.service");
  cluster.model.Report("m2", "g.service",
                       {.uid = record.uid,
                        .generation = 2,
                        .content_hash = record.content_hash,
                        .load_state = "loaded",
                        .active_state = "active"});
  cluster.Pass();
  EXPECT_THAT(cluster.model.MachinesOf("g.service"), ElementsAre("m1", "m2"));
  EXPECT_GT(cluster.model.AssignmentOf("g.service", "m2")->generation, 2);
}

}  // namespace
}  // namespace fleet::reconcile
