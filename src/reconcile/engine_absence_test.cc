#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/planner.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::Cluster;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Text;

constexpr absl::Duration kTtl = absl::Seconds(10);
const EngineSettings kHolding = {.ttl = kTtl, .mass_loss_hold = absl::Seconds(60)};
const std::vector<std::string> kFour = {"m1", "m2", "m3", "m4"};

std::string UnitOf(const std::string& machine) { return machine + ".service"; }

// Each machine runs one unit, which would go elsewhere without it.
Cluster WithAUnitOnEach(const EngineSettings& settings) {
  Cluster cluster(settings);
  for (const std::string& machine : kFour) {
    cluster.model.PutMachine(machine);
    cluster.model.PutUnit(UnitOf(machine), Text("Weight=5"));
    cluster.Settle();
  }
  return cluster;
}

void Lose(Cluster& cluster, const std::vector<std::string>& machines) {
  for (const std::string& machine : machines) cluster.model.LoseMachine(machine);
  cluster.Settle();
}

size_t EventsOf(const Cluster& cluster, const std::string& kind) {
  return static_cast<size_t>(std::count_if(cluster.events.begin(), cluster.events.end(),
                                           [&](const auto& event) { return event.kind == kind; }));
}

TEST(MassLossHold, NothingIsMovedOffMachinesThatAreMissingTogether) {
  Cluster cluster = WithAUnitOnEach(kHolding);
  Lose(cluster, {"m1", "m2", "m3"});
  for (const std::string& machine : kFour) {
    EXPECT_THAT(cluster.model.MachinesOf(UnitOf(machine)), ElementsAre(machine));
  }
  EXPECT_EQ(EventsOf(cluster, "held"), 1u);
  ASSERT_TRUE(cluster.model.records().hold);
  const auto explained = ExplainUnit(cluster.model.view(), kHolding, UnitOf("m1"));
  EXPECT_THAT(explained->reason, HasSubstr("3 of 4 machines with units are missing"));
  EXPECT_EQ(cluster.engine.NextWakeup(), cluster.now + absl::Seconds(60));
  EXPECT_EQ(cluster.Pass(), 0u);  // L2
}

TEST(MassLossHold, TwoMachinesAreMovedOff) {
  Cluster cluster = WithAUnitOnEach(kHolding);
  Lose(cluster, {"m1", "m2"});
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m1")), Not(ElementsAre("m1")));
  EXPECT_EQ(EventsOf(cluster, "held"), 0u);
}

TEST(MassLossHold, OnesThatWereLostWithinOneTtlBeforeCountToo) {
  Cluster cluster = WithAUnitOnEach(kHolding);
  Lose(cluster, {"m1"});
  Lose(cluster, {"m2"});
  cluster.now += kTtl;
  Lose(cluster, {"m3"});
  EXPECT_TRUE(cluster.model.records().hold);
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m3")), ElementsAre("m3"));
}

TEST(MassLossHold, OnesLostLongAgoDoNot) {
  Cluster cluster = WithAUnitOnEach(kHolding);
  Lose(cluster, {"m1"});
  Lose(cluster, {"m2"});
  cluster.now += 2 * kTtl;
  Lose(cluster, {"m3"});
  EXPECT_FALSE(cluster.model.records().hold);
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m3")), ElementsAre("m4"));
}

TEST(MassLossHold, MachinesThatLeaveAreNoFailures) {
  Cluster cluster = WithAUnitOnEach(kHolding);
  for (const char* machine : {"m1", "m2", "m3"}) {
    cluster.model.PutMachine(machine, {}, /*leaving=*/true);
    cluster.Settle();
  }
  Lose(cluster, {"m1", "m2", "m3"});
  EXPECT_FALSE(cluster.model.records().hold);
}

TEST(MassLossHold, NewUnitsArePlacedOnMachinesThatAreThere) {
  Cluster cluster = WithAUnitOnEach(kHolding);
  Lose(cluster, {"m1", "m2", "m3"});
  cluster.model.PutUnit("new.service", Text());
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("new.service"), ElementsAre("m4"));
}

TEST(MassLossHold, ItEndsWhenHalfOfThemAreBack) {
  Cluster cluster = WithAUnitOnEach(kHolding);
  Lose(cluster, {"m1", "m2", "m3"});
  cluster.model.PutMachine("m1");
  cluster.Settle();
  EXPECT_TRUE(cluster.model.records().hold);
  cluster.model.PutMachine("m2");
  cluster.Settle();
  EXPECT_FALSE(cluster.model.records().hold);
  EXPECT_EQ(EventsOf(cluster, "released"), 1u);
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m2")), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m3")), Not(ElementsAre("m3")));
}

TEST(MassLossHold, ItEndsInTime) {
  Cluster cluster = WithAUnitOnEach(kHolding);
  Lose(cluster, {"m1", "m2", "m3"});
  cluster.now += absl::Seconds(59);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m1")), ElementsAre("m1"));
  cluster.now += absl::Seconds(1);
  cluster.Settle();
  for (const std::string& machine : kFour) {
    EXPECT_THAT(cluster.model.MachinesOf(UnitOf(machine)), ElementsAre("m4"));
  }
  EXPECT_FALSE(cluster.model.records().hold);
}

TEST(MassLossHold, ItEndsByTheOperatorsWord) {
  Cluster cluster = WithAUnitOnEach(kHolding);
  Lose(cluster, {"m1", "m2", "m3"});
  HoldRecord released = cluster.model.records().hold->value;
  released.released = true;
  cluster.model.PutHold(released);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m1")), ElementsAre("m4"));
  EXPECT_FALSE(cluster.model.records().hold);
}

TEST(MassLossHold, ANewLeaderHoldsMachinesThatAreMissingAtTheTakeOver) {
  Cluster cluster = WithAUnitOnEach(kHolding);
  cluster.now += absl::Hours(1);
  for (const char* machine : {"m1", "m2", "m3"}) cluster.model.LoseMachine(machine);
  Simulation second(&cluster.model, kHolding);
  second.now = cluster.now;
  second.engine.BeginLeading(second.now);
  ASSERT_TRUE(second.Settle(100));
  EXPECT_TRUE(cluster.model.records().hold);
  second.now += kTtl + absl::Seconds(1);
  ASSERT_TRUE(second.Settle(100));
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m1")), ElementsAre("m1"));
  second.now += absl::Seconds(60);
  ASSERT_TRUE(second.Settle(100));
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m1")), ElementsAre("m4"));
}

TEST(MassLossHold, ALeaderClearsAnothersHoldThatIsOver) {
  Cluster cluster = WithAUnitOnEach(kHolding);
  cluster.model.PutHold({.reason = "of a leader before"});
  cluster.Settle();
  EXPECT_FALSE(cluster.model.records().hold);
  EXPECT_EQ(EventsOf(cluster, "released"), 1u);
}

TEST(LossGrace, AMachineThatIsBackAtOnceKeepsItsUnits) {
  Cluster cluster = WithAUnitOnEach({.ttl = kTtl, .loss_grace = absl::Milliseconds(500)});
  Lose(cluster, {"m1"});
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m1")), ElementsAre("m1"));
  EXPECT_EQ(cluster.engine.NextWakeup(), cluster.now + absl::Milliseconds(500));
  cluster.now += absl::Milliseconds(400);
  cluster.model.PutMachine("m1");
  cluster.Settle();
  cluster.now += absl::Seconds(1);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m1")), ElementsAre("m1"));
  Lose(cluster, {"m1"});
  cluster.now += absl::Milliseconds(500);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf(UnitOf("m1")), Not(ElementsAre("m1")));
}

TEST(Flapping, AMachineThatComesAndGoesGetsNothingNewWhileThereIsAnother) {
  Cluster cluster({.ttl = kTtl});
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.Settle();
  for (int i = 0; i < 3; ++i) {
    Lose(cluster, {"m1"});
    cluster.now += absl::Minutes(1);
    cluster.model.PutMachine("m1");
    cluster.Settle();
  }
  for (const char* unit : {"a.service", "b.service"}) cluster.model.PutUnit(unit, Text());
  cluster.model.PutUnit("global.service", Text("Global=true"));
  cluster.model.PutUnit("pinned.service", Text("MachineID=m1"));
  cluster.Settle();
  for (const char* unit : {"a.service", "b.service", "global.service"}) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), ElementsAre("m2")) << unit;
  }
  // Better there than nowhere.
  EXPECT_THAT(cluster.model.MachinesOf("pinned.service"), ElementsAre("m1"));
  EXPECT_EQ(cluster.engine.NextWakeup(), cluster.now + absl::Minutes(5));
  cluster.now += absl::Minutes(5);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("global.service"), ElementsAre("m1", "m2"));
  cluster.model.PutUnit("c.service", Text());
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("c.service"), ElementsAre("m1"));
}

class OnIsolationStop : public ::testing::Test {
 protected:
  OnIsolationStop() {
    cluster_.model.PutMachine("m1");
    cluster_.model.PutUnit("a.service", Text("OnIsolation=stop"));
    cluster_.model.PutUnit("b.service", Text("MachineOf=a.service"));
    cluster_.model.PutUnit("c.service", Text());
    cluster_.Settle();
    cluster_.model.PutMachine("m2");
    cluster_.Settle();
  }
  // 1.03 * (10 s + 5 s)
  static constexpr absl::Duration kWait = absl::Milliseconds(15450);
  Cluster cluster_{{.ttl = kTtl, .isolation_stop_timeout = absl::Seconds(5)}};
};

TEST_F(OnIsolationStop, TheUnitStartsElsewhereOnlyOnceItsMachineMustHaveStoppedIt) {
  Lose(cluster_, {"m1"});
  EXPECT_THAT(cluster_.model.MachinesOf("c.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m1"));
  EXPECT_THAT(ExplainUnit(cluster_.model.view(), {}, "a.service")->reason,
              HasSubstr("must have stopped it"));
  EXPECT_EQ(cluster_.engine.NextWakeup(), cluster_.now + kWait);
  cluster_.now += kWait - absl::Milliseconds(1);
  cluster_.Settle();
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m1"));
  cluster_.now += absl::Milliseconds(1);
  cluster_.Settle();
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m2"));
  // With all that share its machine.
  EXPECT_THAT(cluster_.model.MachinesOf("b.service"), ElementsAre("m2"));
}

TEST_F(OnIsolationStop, ANewLeaderStartsTheWaitAnew) {
  Lose(cluster_, {"m1"});
  cluster_.now += kWait - absl::Seconds(1);
  cluster_.engine.BeginLeading(cluster_.now);
  cluster_.now += kWait - absl::Seconds(1);
  cluster_.Settle();
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m1"));
  cluster_.now += absl::Seconds(1);
  cluster_.Settle();
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m2"));
}

TEST_F(OnIsolationStop, AMachineThatIsBackKeepsTheUnitAndTheNextAbsenceCountsAnew) {
  Lose(cluster_, {"m1"});
  cluster_.now += absl::Seconds(10);
  cluster_.model.PutMachine("m1");
  cluster_.Settle();
  cluster_.now += absl::Seconds(10);
  cluster_.Settle();
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m1"));
  Lose(cluster_, {"m1"});
  cluster_.now += kWait - absl::Seconds(1);
  cluster_.Settle();
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST_F(OnIsolationStop, TheTextThatRunsCountsAlsoWhenTheUnitHasAnother) {
  Lose(cluster_, {"m1"});
  cluster_.model.PutUnit("a.service", Text());
  cluster_.Settle();
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m1"));
  cluster_.now += kWait;
  cluster_.Settle();
  EXPECT_THAT(cluster_.model.MachinesOf("a.service"), ElementsAre("m2"));
}

TEST_F(OnIsolationStop, AMoveThatHadBegunWaitsToo) {
  cluster_.model.SetMoveTo("c.service", "m2");
  cluster_.model.PutUnit("c.service", Text("OnIsolation=stop"));
  cluster_.PassUntilIdle();
  ASSERT_THAT(cluster_.model.MachinesOf("c.service"), IsEmpty());  // m1 has not stopped it yet
  Lose(cluster_, {"m1"});
  EXPECT_THAT(cluster_.model.MachinesOf("c.service"), IsEmpty());
  cluster_.now += kWait;
  cluster_.Settle();
  EXPECT_THAT(cluster_.model.MachinesOf("c.service"), ElementsAre("m2"));
}

TEST_F(OnIsolationStop, APlanSaysWhatComesOfItNotHowLongItTakes) {
  const auto plan = MakePlan(cluster_.model.view(), {.ttl = kTtl},
                             {.verb = PlanRequest::Verb::kLose, .machine = "m1"});
  ASSERT_TRUE(plan.ok());
  EXPECT_THAT(plan->changes, Contains(Field(&PlannedChange::unit, "a.service")));
}

}  // namespace
}  // namespace fleet::reconcile
