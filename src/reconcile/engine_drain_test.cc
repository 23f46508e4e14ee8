#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

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
using ::testing::UnorderedElementsAre;

std::string Unit(int i) { return fmt::format("u{}.service", i); }
std::string Web(int i) { return fmt::format("web@{}.service", i); }

// All units on m1; m2 and so on come empty.
Cluster WithAllOnM1(const std::vector<std::pair<std::string, std::string>>& units,
                    const std::vector<std::string>& others = {"m2"},
                    const EngineSettings& settings = {}) {
  Cluster cluster(settings);
  cluster.model.PutMachine("m1");
  for (const auto& [unit, options] : units) cluster.model.PutUnit(unit, Text(options));
  cluster.Settle();
  for (const std::string& machine : others) cluster.model.PutMachine(machine);
  cluster.Settle();
  return cluster;
}

std::vector<std::pair<std::string, std::string>> Instances(int count, const std::string& options) {
  std::vector<std::pair<std::string, std::string>> units;
  for (int i = 1; i <= count; ++i) units.emplace_back(Web(i), options);
  return units;
}

std::vector<std::string> Moving(const Cluster& cluster) {
  std::vector<std::string> moving;
  for (const auto& [place, stored] : cluster.model.records().assignments) {
    if (stored.value.state == AssignmentState::kGone) moving.push_back(place.unit);
  }
  return moving;
}

std::set<std::string> UnitsOn(const Cluster& cluster, const std::string& machine) {
  std::set<std::string> units;
  for (const auto& [place, stored] : cluster.model.records().assignments) {
    if (place.machine == machine) units.insert(place.unit);
  }
  return units;
}

std::string WhyHeld(Cluster& cluster, const std::string& machine, const std::string& unit) {
  for (const HeldUnit& held : ExplainDrain(cluster.model.view(), EngineSettings{}, machine)) {
    if (held.unit == unit) return held.reason;
  }
  return "";
}

TEST(Cordon, NothingNewComesAndWhatIsThereStays) {
  Cluster cluster = WithAllOnM1({{"a.service", ""}});
  cluster.model.PutSettings("m1", {.cordoned = true});
  cluster.model.PutUnit("bound.service", Text("MachineID=m1"));
  cluster.model.PutUnit("g.service", Text("Global=true"));
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), ElementsAre("a.service"));
  EXPECT_THAT(cluster.model.Unit("bound.service").refusal, HasSubstr("cordoned"));
  // It is still restarted where it is.
  cluster.model.Restart("a.service");
  cluster.Settle();
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1")->restarts, 1);

  cluster.model.PutSettings("m1", {});
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), ElementsAre("a.service", "bound.service", "g.service"));
}

TEST(Cordon, LastsWhileTheMachineIsAway) {
  Cluster cluster = WithAllOnM1({});
  cluster.model.PutSettings("m1", {.cordoned = true});
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("bound.service", Text("MachineID=m1"));
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), IsEmpty());
}

TEST(Cordon, AHandOverToTheMachineGoesElsewhere) {
  Cluster cluster = WithAllOnM1({{"a.service", ""}}, {"m2", "m3"});
  cluster.model.SetMoveTo("a.service", "m2");
  cluster.PassUntilIdle();
  cluster.model.PutSettings("m2", {.cordoned = true});
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m2"), IsEmpty());
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), SizeIs(1));
}

TEST(Drain, HandsAllUnitsOverAtOnceWithTheirTargetsReserved) {
  std::vector<std::pair<std::string, std::string>> units;
  for (int i = 0; i < 50; ++i) units.emplace_back(Unit(i), "");
  Cluster cluster = WithAllOnM1(units, {"m2", "m3"});
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  EXPECT_THAT(Moving(cluster), SizeIs(50));
  EXPECT_THAT(cluster.model.AssignmentOf(Unit(0), "m1")->next_machine, Not(IsEmpty()));
  EXPECT_THAT(cluster.events,
              Contains(AllOf(Field(&EventEntry::kind, StrEq("moving")),
                             Field(&EventEntry::reason, StrEq("machine m1 is drained")))));
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), IsEmpty());
  EXPECT_THAT(UnitsOn(cluster, "m2"), SizeIs(25));
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST(Drain, EmptiesNoMoreMachinesAtOnceThanTheBudgetAllows) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2", "m3"}) cluster.model.PutMachine(machine);
  for (int i = 0; i < 6; ++i) cluster.model.PutUnit(Unit(i), Text());
  cluster.Settle();
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.model.PutSettings("m2", {.drained = true});
  cluster.PassUntilIdle();
  EXPECT_THAT(Moving(cluster), SizeIs(2));
  EXPECT_THAT(WhyHeld(cluster, "m2", Unit(1)), HasSubstr("disruption budget"));
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m3"), SizeIs(6));
}

TEST(Drain, NothingMoreLeavesAMachineThatIsBackWhileAnotherOneIsEmptied) {
  Cluster cluster({.loss_grace = absl::Seconds(10)});
  cluster.model.PutMachine("m1", {{"zone", "b"}});
  cluster.model.PutUnit("bound.service", Text("MachineMetadata=zone=b"));
  cluster.model.PutUnit("free.service", Text());
  cluster.Settle();
  cluster.model.PutMachine("m2", {{"zone", "a"}});
  cluster.model.PutUnit("other.service", Text());
  cluster.Settle();
  cluster.model.PutMachine("m4", {{"zone", "a"}});
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  ASSERT_THAT(Moving(cluster), ElementsAre("free.service")) << "the other one has nowhere to go";
  cluster.model.LoseMachine("m1");
  cluster.model.PutSettings("m2", {.drained = true});
  cluster.PassUntilIdle();
  ASSERT_THAT(Moving(cluster), UnorderedElementsAre("free.service", "other.service"));
  cluster.model.PutMachine("m1", {{"zone", "b"}});
  cluster.model.PutMachine("m3", {{"zone", "b"}});
  cluster.PassUntilIdle();
  EXPECT_THAT(Moving(cluster), UnorderedElementsAre("free.service", "other.service"));
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m3"), ::testing::Contains("bound.service"));
}

TEST(Drain, ABudgetOfTwoEmptiesTwoMachinesAtOnce) {
  Cluster cluster({.disruption_budget = {.amount = 2}});
  for (const char* machine : {"m1", "m2", "m3"}) cluster.model.PutMachine(machine);
  for (int i = 0; i < 6; ++i) cluster.model.PutUnit(Unit(i), Text());
  cluster.Settle();
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.model.PutSettings("m2", {.drained = true});
  cluster.PassUntilIdle();
  EXPECT_THAT(Moving(cluster), SizeIs(4));
}

TEST(Drain, AsManyInstancesAsMaxUnavailableSaysAreDownAtOnce) {
  Cluster cluster = WithAllOnM1(Instances(4, "MaxUnavailable=2"));
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  EXPECT_THAT(Moving(cluster), SizeIs(2));
  EXPECT_THAT(WhyHeld(cluster, "m1", Web(4)), HasSubstr("MaxUnavailable=2"));
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m2"), SizeIs(4));
}

TEST(Drain, APartOfTheInstancesMayBeDown) {
  Cluster cluster = WithAllOnM1(Instances(10, "MaxUnavailable=30%"));
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  EXPECT_THAT(Moving(cluster), SizeIs(3));
}

TEST(Drain, TheNextInstanceGoesOnceTheOneBeforeIsUp) {
  Cluster cluster = WithAllOnM1(Instances(2, ""));
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  cluster.model.RunAgent("m1");
  cluster.PassUntilIdle();
  // The first one starts on m2 and has not said that it is up.
  ASSERT_THAT(UnitsOn(cluster, "m2"), ElementsAre(Web(1)));
  EXPECT_THAT(Moving(cluster), IsEmpty());
  cluster.model.RunAgent("m2");
  cluster.PassUntilIdle();
  EXPECT_THAT(Moving(cluster), ElementsAre(Web(2)));
}

// What the agent of a machine says of the run that is asked for now.
void ReportOf(Cluster& cluster, const std::string& unit, const std::string& machine,
              const std::string& active_state) {
  const Assignment assignment = *cluster.model.AssignmentOf(unit, machine);
  cluster.model.Report(machine, unit,
                       {.uid = assignment.uid,
                        .generation = assignment.generation,
                        .content_hash = assignment.content_hash,
                        .load_state = "loaded",
                        .active_state = active_state,
                        .settled = true,
                        .result = active_state == "failed" ? "exit-code" : ""});
}

TEST(Drain, TakesNoInstanceWhileAnotherOneHasFailed) {
  Cluster cluster = WithAllOnM1(Instances(2, ""));
  cluster.model.PutUnit("free.service", Text());
  cluster.Settle();
  cluster.model.PutUnit(Web(3), Text("MachineID=m2"));
  cluster.Settle();
  ReportOf(cluster, Web(3), "m2", "failed");
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), UnorderedElementsAre(Web(1), Web(2)));
  EXPECT_THAT(WhyHeld(cluster, "m1", Web(1)), HasSubstr("MaxUnavailable=1"));
  ReportOf(cluster, Web(3), "m2", "active");
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), IsEmpty());
}

TEST(Drain, AnInstanceThatHasFailedGoesAndMakesNothingWorse) {
  Cluster cluster = WithAllOnM1(Instances(2, ""));
  ReportOf(cluster, Web(2), "m1", "failed");
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  EXPECT_THAT(Moving(cluster), ElementsAre(Web(2)));
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), IsEmpty());
}

TEST(Drain, AnInstanceThatWaitsForAMachineHoldsUpNothing) {
  Cluster cluster = WithAllOnM1(Instances(2, ""));
  cluster.model.PutUnit(Web(3), Text("MachineID=none"));
  cluster.Settle();
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), IsEmpty());
}

TEST(Drain, AShareOfTheInstancesIsOfThoseThatAreToRun) {
  Cluster cluster = WithAllOnM1(Instances(4, "MaxUnavailable=50%"));
  for (int i = 5; i <= 8; ++i) {
    cluster.model.PutUnit(Web(i), Text("MaxUnavailable=50%"), DesiredState::kLoaded);
  }
  cluster.Settle();
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  size_t launched = 0;
  for (const std::string& unit : Moving(cluster)) {
    if (cluster.model.Unit(unit).desired == DesiredState::kLaunched) ++launched;
  }
  EXPECT_EQ(launched, 2u);
}

TEST(Drain, OfAMachineThatDiesNothingIsLeftOnceItsUnitsAreElsewhere) {
  Cluster cluster = WithAllOnM1({{"a.service", ""}, {"bound.service", "MachineID=m1"}});
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  cluster.now += absl::Minutes(1);
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
  ASSERT_NE(cluster.model.records().assignments.Find(UnitOnMachine{"a.service", "m1"}), nullptr);
  EXPECT_THAT(UnitsLeftOn(cluster.model.records(), "m1"), Not(Contains("a.service")));
}

TEST(Drain, NamesWhatTheRegistryDoesNotKnow) {
  Cluster cluster = WithAllOnM1({});
  cluster.model.Report(
      "m1", "stray.service",
      {.uid = "of another time", .load_state = "loaded", .active_state = "active"});
  cluster.Settle();
  MachineSettings settings;
  settings.Drain(cluster.now + absl::Minutes(1), /*forces=*/false);
  cluster.model.PutSettings("m1", settings);
  cluster.Settle();
  EXPECT_THAT(WhyHeld(cluster, "m1", "stray.service"), HasSubstr("in no record"));
  cluster.now += absl::Minutes(2);
  cluster.Settle();
  EXPECT_TRUE(cluster.model.records().settings.Find("m1")->value.drain_expired);
}

TEST(Drain, TheNextLeaderCountsWhatIsUnderWay) {
  Cluster cluster = WithAllOnM1(Instances(3, ""));
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  Simulation successor(&cluster.model, EngineSettings{});
  EXPECT_EQ(successor.Pass(), 0u);
  ASSERT_TRUE(successor.Settle(100));
  EXPECT_THAT(UnitsOn(cluster, "m2"), SizeIs(3));
}

TEST(Drain, WhatHasNowhereToGoStaysIsNamedAndGoesWhenRoomComesUp) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 4, 4);
  cluster.model.PutUnit("big.service", Text("ReserveCPU=2"));
  cluster.model.PutUnit("bound.service", Text("MachineID=m1"));
  cluster.Settle();
  cluster.model.PutMachineOf("m2", 2, 4);
  cluster.model.PutUnit("other.service", Text("ReserveCPU=1\nMachineID=m2"));
  cluster.Settle();
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), ElementsAre("big.service", "bound.service"));
  const auto held = ExplainDrain(cluster.model.view(), EngineSettings{}, "m1");
  ASSERT_THAT(held, SizeIs(2));
  EXPECT_THAT(held[0].reason, AllOf(HasSubstr("it stays"), HasSubstr("CPU")));
  EXPECT_TRUE(held[0].cannot_move);
  EXPECT_THAT(held[1].reason, HasSubstr("MachineID"));

  cluster.model.DestroyUnit("other.service");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("big.service"), ElementsAre("m2"));
  EXPECT_THAT(UnitsOn(cluster, "m1"), ElementsAre("bound.service"));
}

TEST(Drain, AGlobalUnitIsHeldOnlyByTheUnitsThatShareItsMachine) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("alone.service", Text("Global=true"));
  cluster.model.PutUnit("shared.service", Text("Global=true"));
  cluster.model.PutUnit("bound.service", Text("MachineID=m1\nMachineOf=shared.service"));
  cluster.Settle();
  cluster.model.PutSettings("m1", {.drained = true});
  // Nothing is decided yet: what is going to stop is not held.
  const auto held = ExplainDrain(cluster.model.view(), EngineSettings{}, "m1");
  ASSERT_THAT(held, SizeIs(3));
  EXPECT_EQ(held[0].unit, "alone.service");
  EXPECT_FALSE(held[0].cannot_move);
  EXPECT_THAT(held[0].reason, HasSubstr("being stopped"));
  EXPECT_EQ(held[2].unit, "shared.service");
  EXPECT_TRUE(held[2].cannot_move);
  EXPECT_THAT(held[2].reason, HasSubstr("once the units that share its machine"));
}

TEST(Drain, UnitsThatShareAMachineGoTogether) {
  Cluster cluster =
      WithAllOnM1({{"db.service", ""}, {"log.service", "MachineOf=db.service"}}, {"m2", "m3"});
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  EXPECT_THAT(Moving(cluster), ElementsAre("db.service", "log.service"));
  EXPECT_EQ(cluster.model.AssignmentOf("db.service", "m1")->next_machine,
            cluster.model.AssignmentOf("log.service", "m1")->next_machine);
  cluster.Settle();
  EXPECT_EQ(cluster.model.MachinesOf("db.service"), cluster.model.MachinesOf("log.service"));
}

TEST(Drain, NobodyLeavesAZoneForIt) {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"zone", "a"}});
  cluster.model.PutUnit("db.service", Text());
  cluster.Settle();
  cluster.model.PutMachine("m2", {{"zone", "a"}});
  cluster.model.PutUnit("near.service", Text("CollocateWithin=zone=db.service\nMachineID=m2"));
  cluster.Settle();
  cluster.model.PutMachine("m3", {{"zone", "b"}});  // less loaded than m2
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("db.service"), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf("near.service"), ElementsAre("m2"));

  cluster.model.PutSettings("m2", {.drained = true});
  cluster.model.PutMachine("m1", {{"zone", "c"}});
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m2"), ElementsAre("db.service", "near.service"));
  EXPECT_THAT(WhyHeld(cluster, "m2", "db.service"), HasSubstr("near.service would have to leave"));
}

TEST(Drain, GlobalUnitsStopAndComeBackAfterwards) {
  Cluster cluster = WithAllOnM1({{"g.service", "Global=true"}});
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("g.service"), ElementsAre("m2"));
  EXPECT_THAT(UnitsOn(cluster, "m1"), IsEmpty());
  cluster.model.LoseMachine("m1");
  cluster.model.PutMachine("m1");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("g.service"), ElementsAre("m2"));
  cluster.model.PutSettings("m1", {});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("g.service"), ElementsAre("m1", "m2"));
}

TEST(Drain, AGlobalUnitOutlastsThoseThatShareItsMachine) {
  Cluster cluster = WithAllOnM1({{"g.service", "Global=true"},
                                 {"bound.service", "MachineOf=g.service\nMachineMetadata=x=y"}});
  cluster.model.PutMachine("m1", {{"x", "y"}});
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("bound.service"), ElementsAre("m1"));
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), ElementsAre("bound.service", "g.service"));
  cluster.model.DestroyUnit("bound.service");
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), IsEmpty());
}

TEST(Drain, EndsWhereItIsWhenItIsTakenBack) {
  Cluster cluster = WithAllOnM1(Instances(3, ""));
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.PassUntilIdle();
  cluster.model.PutSettings("m1", {});
  cluster.Settle();
  EXPECT_THAT(UnitsOn(cluster, "m1"), SizeIs(2));
  EXPECT_THAT(UnitsOn(cluster, "m2"), SizeIs(1));
}

TEST(Drain, IsWhatThePlanSays) {
  Cluster cluster = WithAllOnM1({{"a.service", ""},
                                 {"bound.service", "MachineID=m1"},
                                 {"g.service", "Global=true"},
                                 {"log.service", "MachineOf=a.service"}},
                                {"m2", "m3"});
  const auto plan = MakePlan(cluster.model.view(), EngineSettings{},
                             {.verb = PlanRequest::Verb::kDrain, .machine = "m1"});
  ASSERT_TRUE(plan.ok());
  cluster.model.PutSettings("m1", {.drained = true});
  cluster.Settle();
  for (const PlannedChange& change : plan->changes) {
    if (change.kind == PlannedChange::Kind::kMove) {
      EXPECT_THAT(cluster.model.MachinesOf(change.unit), ElementsAre(change.machine));
    } else if (change.kind == PlannedChange::Kind::kStay) {
      EXPECT_THAT(cluster.model.MachinesOf(change.unit), ElementsAre("m1"));
      EXPECT_EQ(change.reason, WhyHeld(cluster, "m1", change.unit));
    }
  }
  EXPECT_THAT(plan->changes, SizeIs(4));
}

}  // namespace
}  // namespace fleet::reconcile
