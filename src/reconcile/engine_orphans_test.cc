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
  // The generation it runs under: it is not restarted.
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m2")->generation, 2);
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

TEST(Orphans, OneThatIsAdoptedGetsNoEarlierGenerationThanAnotherCopyHasByNow) {
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
  ASSERT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
  EXPECT_GT(cluster.model.AssignmentOf("a.service", "m2")->generation, tombstone.generation);
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
  EXPECT_EQ(cluster.model.AssignmentOf("g.service", "m2")->generation, 2);
}

}  // namespace
}  // namespace fleet::reconcile
