#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fmt/core.h"
#include "reconcile/planner.h"
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

std::string Unit(int i) { return fmt::format("u{}.service", i); }

// So many units on m1, and m2 empty beside it.
Cluster WithAllOnM1(int units, const EngineSettings& settings = {}) {
  Cluster cluster(settings);
  cluster.model.PutMachine("m1");
  for (int i = 0; i < units; ++i) cluster.model.PutUnit(Unit(i), Text());
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.Settle();
  return cluster;
}

int Moving(const Cluster& cluster) {
  int moving = 0;
  for (const auto& [place, stored] : cluster.model.records().assignments) {
    if (stored.value.state == AssignmentState::kGone) ++moving;
  }
  return moving;
}

TEST(MoveTo, IsAHandOverToThatMachine) {
  Cluster cluster = WithAllOnM1(1);
  cluster.model.SetMoveTo(Unit(0), "m2");
  cluster.PassUntilIdle();
  ASSERT_NE(cluster.model.AssignmentOf(Unit(0), "m1"), nullptr);
  EXPECT_EQ(cluster.model.AssignmentOf(Unit(0), "m1")->next_machine, "m2");
  EXPECT_EQ(cluster.model.Unit(Unit(0)).move_to, "m2");
  EXPECT_THAT(cluster.events, Contains(AllOf(Field(&EventEntry::kind, StrEq("moving")),
                                             Field(&EventEntry::reason, StrEq("rebalance")))));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf(Unit(0)), ElementsAre("m2"));
  EXPECT_EQ(cluster.model.Unit(Unit(0)).move_to, "");
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST(MoveTo, EmptiesNoMoreMachinesAtOnceThanTheBudgetAllows) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2", "m3", "m4"}) cluster.model.PutMachine(machine);
  for (int i = 0; i < 4; ++i) {
    cluster.model.PutUnit(Unit(i), Text(fmt::format("MachineMetadata=no{}=x", i)));
  }
  for (int i = 0; i < 2; ++i) {
    cluster.model.PutUnit(Unit(i), Text());
    cluster.Settle();
  }
  cluster.model.PutUnit(Unit(2), Text());
  cluster.Settle();
  // u0 on m1, u1 on m2, u2 on m3.
  for (int i = 0; i < 3; ++i) cluster.model.SetMoveTo(Unit(i), "m4");
  cluster.PassUntilIdle();
  EXPECT_EQ(Moving(cluster), 1);
  cluster.Settle();
  for (int i = 0; i < 3; ++i) EXPECT_THAT(cluster.model.MachinesOf(Unit(i)), ElementsAre("m4"));
}

TEST(MoveTo, UnitsOfOneMachineMoveTogether) {
  Cluster cluster = WithAllOnM1(4);
  for (int i = 0; i < 2; ++i) cluster.model.SetMoveTo(Unit(i), "m2");
  cluster.PassUntilIdle();
  EXPECT_EQ(Moving(cluster), 2);
}

TEST(MoveTo, OneInstanceOfATemplateAtATime) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  for (const char* unit : {"web@1.service", "web@2.service"}) cluster.model.PutUnit(unit, Text());
  cluster.Settle();
  cluster.model.PutMachine("m2");
  for (const char* unit : {"web@1.service", "web@2.service"}) cluster.model.SetMoveTo(unit, "m2");
  cluster.PassUntilIdle();
  EXPECT_EQ(Moving(cluster), 1);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("web@2.service"), ElementsAre("m2"));
}

TEST(MoveTo, TheNextLeaderCountsWhatIsUnderWay) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  for (const char* unit : {"web@1.service", "web@2.service"}) cluster.model.PutUnit(unit, Text());
  cluster.Settle();
  cluster.model.PutMachine("m2");
  for (const char* unit : {"web@1.service", "web@2.service"}) cluster.model.SetMoveTo(unit, "m2");
  cluster.PassUntilIdle();
  Simulation successor(&cluster.model, EngineSettings{});
  EXPECT_EQ(successor.Pass(), 0u);
  ASSERT_TRUE(successor.Settle(100));
  EXPECT_THAT(cluster.model.MachinesOf("web@1.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf("web@2.service"), ElementsAre("m2"));
}

TEST(MoveTo, IsClearedWhenTheTargetIsNotEligible) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 2, 2);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=1"));
  cluster.Settle();
  cluster.model.PutMachineOf("m2", 1, 1);
  cluster.model.PutUnit("b.service", Text("ReserveCPU=1\nMachineID=m2"));
  cluster.Settle();
  cluster.model.SetMoveTo("a.service", "m2");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
  EXPECT_EQ(cluster.model.Unit("a.service").move_to, "");
  EXPECT_THAT(cluster.events, Contains(AllOf(Field(&EventEntry::kind, StrEq("cleared")),
                                             Field(&EventEntry::reason, HasSubstr("ReserveCPU")))));
}

TEST(MoveTo, IsClearedWhenItNamesAnAbsentMachineOrItsOwn) {
  Cluster cluster = WithAllOnM1(2);
  cluster.model.SetMoveTo(Unit(0), "m9");
  cluster.model.SetMoveTo(Unit(1), "m1");
  cluster.Settle();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(cluster.model.Unit(Unit(i)).move_to, "");
    EXPECT_THAT(cluster.model.MachinesOf(Unit(i)), ElementsAre("m1"));
  }
}

TEST(MoveTo, IsClearedWhenTheUnitIsNotPlacedAnyMore) {
  Cluster cluster = WithAllOnM1(1);
  cluster.model.SetMoveTo(Unit(0), "m2");
  cluster.PassUntilIdle();
  cluster.model.SetDesired(Unit(0), DesiredState::kInactive);
  cluster.Settle();
  EXPECT_EQ(cluster.model.Unit(Unit(0)).move_to, "");
  EXPECT_THAT(cluster.model.MachinesOf(Unit(0)), IsEmpty());
}

TEST(MoveTo, ATargetThatIsLostOnTheWayIsReplacedByAnother) {
  Cluster cluster = WithAllOnM1(1);
  cluster.model.SetMoveTo(Unit(0), "m2");
  cluster.PassUntilIdle();
  cluster.model.LoseMachine("m2");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf(Unit(0)), ElementsAre("m1"));
  EXPECT_EQ(cluster.model.Unit(Unit(0)).move_to, "");
}

TEST(MoveTo, AUnitThatWaitsForItsTurnIsStillUpdated) {
  Cluster cluster = WithAllOnM1(1);
  cluster.model.PutUnit("other.service", Text("MachineID=m2"));
  cluster.Settle();
  cluster.model.PutMachine("m3");
  cluster.model.PutUnit("other.service", Text());
  cluster.model.SetMoveTo("other.service", "m3");
  cluster.PassUntilIdle();
  cluster.model.SetMoveTo(Unit(0), "m3");
  cluster.model.SetDesired(Unit(0), DesiredState::kLoaded);
  cluster.PassUntilIdle();
  ASSERT_NE(cluster.model.AssignmentOf(Unit(0), "m1"), nullptr);
  EXPECT_EQ(cluster.model.AssignmentOf(Unit(0), "m1")->state, AssignmentState::kLoaded);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf(Unit(0)), ElementsAre("m3"));
}

TEST(MoveTo, AUnitThatOthersFollowStays) {
  Cluster cluster = WithAllOnM1(1);
  cluster.model.PutUnit("child.service", Text("MachineOf=u0.service"));
  cluster.Settle();
  cluster.model.SetMoveTo(Unit(0), "m2");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf(Unit(0)), ElementsAre("m1"));
  EXPECT_EQ(cluster.model.Unit(Unit(0)).move_to, "");
}

TEST(PlanRebalance, NamesTheFewestMovesAndASecondOneNone) {
  Cluster cluster = WithAllOnM1(4);
  const auto moves = PlanRebalance(cluster.model.view(), EngineSettings{}, 10);
  ASSERT_TRUE(moves.ok());
  ASSERT_THAT(*moves, SizeIs(2));
  for (const RebalanceMove& move : *moves) {
    EXPECT_EQ(move.from, "m1");
    EXPECT_EQ(move.to, "m2");
    EXPECT_NE(move.reason, "");
    EXPECT_EQ(move.mod_revision, cluster.model.records().units.Find(move.unit)->mod_revision);
    cluster.model.SetMoveTo(move.unit, move.to);
  }
  // While they are still to come, and under way, and once they are there.
  EXPECT_THAT(*PlanRebalance(cluster.model.view(), EngineSettings{}, 10), IsEmpty());
  cluster.PassUntilIdle();
  EXPECT_THAT(*PlanRebalance(cluster.model.view(), EngineSettings{}, 10), IsEmpty());
  cluster.Settle();
  EXPECT_THAT(*PlanRebalance(cluster.model.view(), EngineSettings{}, 10), IsEmpty());
}

TEST(PlanRebalance, LeavesAloneWhatIsNotSettledFailedOrTied) {
  Cluster cluster = WithAllOnM1(0);
  cluster.model.PutUnit("bound.service", Text("MachineID=m1"));
  cluster.Settle();
  for (int i = 0; i < 4; ++i) {
    cluster.model.PutUnit(Unit(i), Text("MachineMetadata=was=here"));
  }
  cluster.model.PutMachine("m1", {{"was", "here"}});
  cluster.Settle();
  cluster.model.PutMachine("m2", {{"was", "here"}});
  const Assignment assignment = *cluster.model.AssignmentOf(Unit(0), "m1");
  cluster.model.Report("m1", Unit(0),
                       {.uid = assignment.uid,
                        .generation = assignment.generation,
                        .active_state = "failed",
                        .settled = true});
  cluster.model.PutUnit("child.service", Text("MachineOf=u1.service"));
  cluster.Settle();
  const auto moves = PlanRebalance(cluster.model.view(), EngineSettings{}, 10);
  ASSERT_TRUE(moves.ok());
  for (const RebalanceMove& move : *moves) {
    EXPECT_THAT(move.unit, ::testing::AnyOf(Unit(2), Unit(3)));
  }
  EXPECT_THAT(*moves, Not(IsEmpty()));
}

class AutoRebalance : public ::testing::Test {
 protected:
  static EngineSettings Settings() {
    return {.rebalances = true, .rebalance_after = absl::Minutes(5)};
  }
  void GoOn(Cluster& cluster, absl::Duration time) {
    cluster.now += time;
    cluster.Settle();
  }
};

TEST_F(AutoRebalance, UsesAMachineThatHasBeenThereForLongEnough) {
  Cluster cluster = WithAllOnM1(6, Settings());
  EXPECT_EQ(cluster.engine.NextWakeup(), cluster.now + absl::Minutes(5));
  GoOn(cluster, absl::Minutes(4));
  EXPECT_THAT(cluster.events, Not(Contains(Field(&EventEntry::kind, StrEq("rebalancing")))));
  GoOn(cluster, absl::Minutes(1));
  EXPECT_THAT(cluster.events, Contains(Field(&EventEntry::kind, StrEq("rebalancing"))));
  size_t on_m2 = 0;
  for (int i = 0; i < 6; ++i) {
    on_m2 += cluster.model.MachinesOf(Unit(i)) == std::vector<std::string>{"m2"} ? 1 : 0;
  }
  EXPECT_EQ(on_m2, 3u);
  EXPECT_EQ(cluster.engine.NextWakeup(), absl::InfiniteFuture());
  // Nothing comes of it once more.
  cluster.events.clear();
  GoOn(cluster, absl::Hours(1));
  EXPECT_THAT(cluster.events, IsEmpty());
}

TEST_F(AutoRebalance, WaitsUntilMachinesHaveStoppedComingAndGoing) {
  Cluster cluster = WithAllOnM1(6, Settings());
  GoOn(cluster, absl::Minutes(4));
  cluster.model.PutMachine("m3");
  cluster.Settle();
  GoOn(cluster, absl::Minutes(4));
  EXPECT_THAT(cluster.events, Not(Contains(Field(&EventEntry::kind, StrEq("rebalancing")))));
  GoOn(cluster, absl::Minutes(1));
  EXPECT_THAT(cluster.events, Contains(Field(&EventEntry::kind, StrEq("rebalancing"))));
}

TEST_F(AutoRebalance, ADifferenceOfOneMoveIsNoReason) {
  Cluster cluster = WithAllOnM1(2, Settings());
  GoOn(cluster, absl::Minutes(6));
  EXPECT_THAT(cluster.model.MachinesOf(Unit(0)), ElementsAre("m1"));
  EXPECT_THAT(cluster.model.MachinesOf(Unit(1)), ElementsAre("m1"));
}

TEST_F(AutoRebalance, AMachineThatOnlyGoesIsNoReason) {
  Cluster cluster(Settings());
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.engine.Apply(cluster.model.TakeChange());
  cluster.engine.BeginLeading(cluster.now);  // they were there before
  for (int i = 0; i < 8; ++i) cluster.model.PutUnit(Unit(i), Text("MachineID=m1"));
  cluster.Settle();
  for (int i = 0; i < 8; ++i) cluster.model.PutUnit(Unit(i), Text());
  cluster.model.PutMachine("m3", {}, /*leaving=*/true);
  cluster.model.LoseMachine("m3");
  GoOn(cluster, absl::Minutes(10));
  EXPECT_THAT(cluster.events, Not(Contains(Field(&EventEntry::kind, StrEq("rebalancing")))));
}

TEST_F(AutoRebalance, IsOffUnlessAskedFor) {
  Cluster cluster = WithAllOnM1(6);
  GoOn(cluster, absl::Hours(1));
  EXPECT_THAT(cluster.events, Not(Contains(Field(&EventEntry::kind, StrEq("rebalancing")))));
  EXPECT_EQ(cluster.engine.NextWakeup(), absl::InfiniteFuture());
}

}  // namespace
}  // namespace fleet::reconcile
