#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::Cluster;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using testing::Text;

void Forget(Cluster& cluster, const std::string& machine) {
  cluster.model.PutSettings(machine, {.forgotten = true});
  cluster.Settle();
}

TEST(ForgottenMachine, TheNextLeaderActsOnTheOperatorsWord) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("pinned.service", Text("MachineID=m1"));
  cluster.Settle();
  cluster.model.LoseMachine("m1");
  cluster.model.PutSettings("m1", {.forgotten = true});
  Simulation successor(&cluster.model, EngineSettings{});
  ASSERT_TRUE(successor.Settle(100));
  EXPECT_EQ(cluster.model.AssignmentOf("pinned.service", "m1"), nullptr);
  EXPECT_TRUE(cluster.model.records().settings.empty());
}

TEST(ForgottenMachine, ItsUnitsHaveEndedAndItsTombstonesAreRemoved) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", Text());
  cluster.model.PutUnit("pinned.service", Text("MachineID=m1"));
  cluster.model.PutUnit("unwanted.service", Text());
  cluster.model.PutUnit("global.service", Text("Global=true"));
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.Settle();
  cluster.model.LoseMachine("m1");
  cluster.model.DestroyUnit("unwanted.service");
  cluster.Settle();
  for (const char* unit : {"a.service", "pinned.service", "unwanted.service", "global.service"}) {
    ASSERT_NE(cluster.model.AssignmentOf(unit, "m1"), nullptr) << unit;
  }
  Forget(cluster, "m1");
  for (const char* unit : {"a.service", "pinned.service", "unwanted.service", "global.service"}) {
    EXPECT_EQ(cluster.model.AssignmentOf(unit, "m1"), nullptr) << unit;
  }
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.Unit("pinned.service").refusal, ::testing::Not(IsEmpty()));
  EXPECT_THAT(cluster.events, Contains(Field(&EventEntry::kind, "forgotten")));
  // The operator's word is used up.
  EXPECT_TRUE(cluster.model.records().settings.empty());
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST(ForgottenMachine, NothingOfWhatWasSetStays) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.Settle();
  cluster.model.LoseMachine("m1");
  cluster.model.PutSettings(
      "m1",
      {.set_metadata = {{"zone", "a"}}, .forgotten = true, .cordoned = true, .drained = true});
  cluster.Settle();
  EXPECT_TRUE(cluster.model.records().settings.empty());
}

TEST(ForgottenMachine, NothingIsWaitedForNeitherAHoldNorAnIsolatedUnit) {
  Cluster cluster({.mass_loss_hold = absl::Minutes(1)});
  for (const char* machine : {"m1", "m2", "m3"}) {
    cluster.model.PutMachine(machine);
    cluster.model.PutUnit(std::string(machine) + ".service", Text("OnIsolation=stop"));
    cluster.Settle();
  }
  cluster.model.PutMachine("m4");
  cluster.Settle();
  for (const char* machine : {"m1", "m2", "m3"}) cluster.model.LoseMachine(machine);
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("m1.service"), ElementsAre("m1"));
  Forget(cluster, "m1");
  EXPECT_THAT(cluster.model.MachinesOf("m1.service"), ElementsAre("m4"));
  EXPECT_THAT(cluster.model.MachinesOf("m2.service"), ElementsAre("m2"));
}

TEST(ForgottenMachine, OneThatIsThereIsNotAndItsOtherSettingsStay) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", Text());
  cluster.Settle();
  cluster.model.PutSettings("m1", {.set_metadata = {{"zone", "a"}}, .forgotten = true});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
  const auto* settings = cluster.model.records().settings.Find("m1");
  ASSERT_NE(settings, nullptr);
  EXPECT_FALSE(settings->value.forgotten);
  EXPECT_EQ(settings->value.set_metadata.at("zone"), "a");
}

}  // namespace
}  // namespace fleet::reconcile
