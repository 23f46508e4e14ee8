#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::SizeIs;
using testing::Text;

// The units of m1 were there before the other machines.
Cluster WithMachines(const std::vector<std::string>& units,
                     const std::vector<std::string>& others = {"m2"}) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  for (const std::string& unit : units) cluster.model.PutUnit(unit, Text());
  cluster.Settle();
  for (const std::string& machine : others) cluster.model.PutMachine(machine);
  cluster.Settle();
  return cluster;
}

MachineSettings Asking(absl::Time since, absl::Time repeated) {
  return {.lock_group = "web", .lock_since = since, .lock_repeated = repeated};
}

bool HasSlot(const Cluster& cluster, const std::string& machine) {
  const auto* settings = cluster.model.records().settings.Find(machine);
  return settings != nullptr && settings->value.lock_granted;
}

TEST(FleetLock, ASlotIsGrantedToSoManyOfAGroupAndTheMachineIsDrained) {
  Cluster cluster = WithMachines({"a.service"}, {"m2", "m3"});
  cluster.model.PutSettings("m1", {.lock_group = "web"});
  cluster.model.PutSettings("m2", {.lock_group = "web"});
  cluster.model.PutSettings("m3", {.lock_group = "db"});
  cluster.PassUntilIdle();
  EXPECT_TRUE(HasSlot(cluster, "m1"));  // it has asked first
  EXPECT_FALSE(HasSlot(cluster, "m2"));
  EXPECT_TRUE(HasSlot(cluster, "m3"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));

  // Away for the reboot, it keeps the slot.
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  EXPECT_FALSE(HasSlot(cluster, "m2"));
  cluster.model.PutMachine("m1");
  cluster.model.PutSettings("m1", {});
  cluster.Settle();
  EXPECT_TRUE(HasSlot(cluster, "m2"));
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST(FleetLock, NothingNewComesToAMachineWhoseSlotIsBeingGranted) {
  Cluster cluster = WithMachines({}, {});
  cluster.model.PutSettings("m1", {.lock_group = "web"});
  cluster.model.PutUnit("a.service", Text());
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_THAT(decisions, SizeIs(2));
  EXPECT_EQ(decisions[0].events[0].kind, "refused");
  EXPECT_EQ(decisions[1].events[0].kind, "granted");
  // Neither is stored.
  cluster.engine.OnFailed(decisions[0].id);
  cluster.model.PutSettings("m1", {});
  cluster.engine.Apply(cluster.model.TakeChange());
  cluster.engine.OnRejected(decisions[1].id, cluster.model.revision());
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST(FleetLock, TheNextLeaderKnowsTheSlotsOfMachinesThatAreAway) {
  Cluster cluster = WithMachines({});
  cluster.model.PutSettings("m1", {.lock_group = "web", .lock_granted = true});
  cluster.model.LoseMachine("m1");
  cluster.model.PutSettings("m2", {.lock_group = "web"});
  Simulation successor(&cluster.model, EngineSettings{});
  EXPECT_EQ(successor.Pass(), 0u);
  // Whose settings are gone when the records are read anew has none.
  cluster.model.PutSettings("m1", {});
  successor.engine.Apply(cluster.model.ReadAnew());
  EXPECT_EQ(successor.Pass(), 1u);
}

TEST(FleetLock, AMachineThatIsForgottenGivesItsSlotBack) {
  Cluster cluster = WithMachines({});
  cluster.model.PutSettings("m1", {.lock_group = "web", .lock_granted = true});
  cluster.model.PutSettings("m2", {.lock_group = "web"});
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  EXPECT_FALSE(HasSlot(cluster, "m2"));
  cluster.model.PutSettings("m1", {.forgotten = true, .lock_group = "web", .lock_granted = true});
  cluster.Settle();
  EXPECT_TRUE(HasSlot(cluster, "m2"));
}

TEST(FleetLock, WhoHasAskedFirstComesFirstHoweverOftenItAsksAgain) {
  Cluster cluster = WithMachines({}, {"m2", "m3"});
  cluster.model.PutSettings("m1", {.lock_group = "web", .lock_granted = true});
  const absl::Time start = cluster.now;
  cluster.model.PutSettings("m3", Asking(start + absl::Seconds(2), start + absl::Seconds(2)));
  cluster.model.PutSettings("m2", Asking(start + absl::Seconds(1), start + absl::Minutes(1)));
  cluster.Settle();
  cluster.model.PutSettings("m1", {});
  cluster.Settle();
  EXPECT_TRUE(HasSlot(cluster, "m2"));
  EXPECT_FALSE(HasSlot(cluster, "m3"));
}

TEST(FleetLock, AMachineThatUnitsAreOnTheirWayToGetsNoSlotYet) {
  Cluster cluster = WithMachines({"a.service"});
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  ASSERT_EQ(cluster.model.AssignmentOf("a.service", "m1")->next_machine, "m2");
  cluster.model.PutSettings("m2", {.lock_group = "web"});
  cluster.PassUntilIdle();
  EXPECT_FALSE(HasSlot(cluster, "m2"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
  EXPECT_TRUE(HasSlot(cluster, "m2"));
}

TEST(FleetLock, WhoStopsAskingWaitsForASlotNoMore) {
  Cluster cluster = WithMachines({}, {"m2", "m3"});
  cluster.model.PutSettings("m1", {.lock_group = "web", .lock_granted = true});
  const absl::Time start = cluster.now;
  cluster.model.PutSettings("m2", Asking(start, start));
  cluster.model.PutSettings("m3", Asking(start + absl::Seconds(1), start));
  cluster.model.LoseMachine("m2");  // whether it is there or not
  cluster.Settle();
  cluster.now = start + absl::Minutes(15);
  cluster.Settle();
  EXPECT_EQ(cluster.model.records().settings.Find("m2")->value.lock_group, "web");
  cluster.model.PutSettings("m3", Asking(start + absl::Seconds(1), cluster.now));
  cluster.now = start + absl::Minutes(21);
  cluster.Settle();
  EXPECT_EQ(cluster.model.records().settings.Find("m2"), nullptr);
  EXPECT_EQ(cluster.events.back().kind, "withdrawn");
  EXPECT_EQ(cluster.events.back().machine, "m2");
  EXPECT_EQ(cluster.model.records().settings.Find("m3")->value.lock_group, "web");
  EXPECT_TRUE(HasSlot(cluster, "m1"));  // it may be rebooting for as long as it takes
}

TEST(FleetLock, ARequestThatAnOlderApiHasNotedWaitsForEver) {
  Cluster cluster = WithMachines({});
  cluster.model.PutSettings("m1", {.lock_group = "web", .lock_granted = true});
  cluster.model.PutSettings("m2", {.lock_group = "web"});
  cluster.Settle();
  cluster.now += absl::Hours(24);
  cluster.Settle();
  cluster.model.PutSettings("m1", {});
  cluster.Settle();
  EXPECT_TRUE(HasSlot(cluster, "m2"));
}

}  // namespace
}  // namespace fleet::reconcile
