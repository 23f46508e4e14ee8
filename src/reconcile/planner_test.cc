#include "reconcile/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fmt/core.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using ::testing::AllOf;
using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::Text;
using Kind = PlannedChange::Kind;
using Verb = PlanRequest::Verb;

std::shared_ptr<const UnitFile> File(const std::string& fleet_options = "") {
  return std::make_shared<const UnitFile>(*UnitFile::Parse(Text(fleet_options)));
}

std::vector<PlannedChange> ChangesOf(Cluster& cluster, const PlanRequest& request) {
  const auto plan = MakePlan(cluster.model.view(), EngineSettings{}, request);
  EXPECT_TRUE(plan.ok()) << plan.status();
  if (!plan.ok()) return {};
  EXPECT_EQ(plan->revision, cluster.model.revision());
  return plan->changes;
}

auto Change(Kind kind, const std::string& unit, const std::string& from, const std::string& to) {
  return AllOf(Field("kind", &PlannedChange::kind, kind), Field("unit", &PlannedChange::unit, unit),
               Field("from", &PlannedChange::from, from),
               Field("machine", &PlannedChange::machine, to));
}

// a.service on m1, b.service on m2.
Cluster WithTwoUnits() {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  for (const char* unit : {"a.service", "b.service"}) cluster.model.PutUnit(unit, Text());
  cluster.Settle();
  return cluster;
}

TEST(Plan, AStartSaysWhereTheUnitsGoAndChangesNothing) {
  Cluster cluster = WithTwoUnits();
  const int64_t revision = cluster.model.revision();
  const auto changes = ChangesOf(
      cluster, {.verb = Verb::kStart, .units = {{"c.service", File()}, {"d.service", File()}}});
  EXPECT_THAT(changes, ElementsAre(Change(Kind::kPlace, "c.service", "", "m1"),
                                   Change(Kind::kPlace, "d.service", "", "m2")));
  EXPECT_THAT(changes[0].reason, HasSubstr("least loaded"));
  EXPECT_EQ(cluster.model.revision(), revision);
}

TEST(Plan, AStartOfWhatRunsIsNothing) {
  Cluster cluster = WithTwoUnits();
  EXPECT_THAT(ChangesOf(cluster, {.verb = Verb::kStart, .units = {{"a.service", nullptr}}}),
              IsEmpty());
}

TEST(Plan, AStartThatFitsNowhereWaitsWithItsReason) {
  Cluster cluster = WithTwoUnits();
  const auto changes = ChangesOf(
      cluster, {.verb = Verb::kStart, .units = {{"c.service", File("MachineMetadata=zone=c")}}});
  ASSERT_THAT(changes, ElementsAre(Change(Kind::kWait, "c.service", "", "")));
  EXPECT_THAT(changes[0].reason, HasSubstr("zone=c"));
}

TEST(Plan, AStartShowsWhatItPushesOut) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 1, 1);
  cluster.model.PutUnit("low.service", Text("ReserveCPU=1"));
  cluster.Settle();
  const auto changes = ChangesOf(
      cluster,
      {.verb = Verb::kStart, .units = {{"high.service", File("ReserveCPU=1\nPriority=1")}}});
  EXPECT_THAT(changes, ElementsAre(Change(Kind::kPlace, "high.service", "", "m1"),
                                   Change(Kind::kWait, "low.service", "m1", "")));
}

TEST(Plan, AnInstanceIsStartedWithItsTemplatesText) {
  Cluster cluster = WithTwoUnits();
  cluster.model.PutUnit("web@.service", Text("MachineID=m2"), DesiredState::kInactive);
  EXPECT_THAT(ChangesOf(cluster, {.verb = Verb::kStart, .units = {{"web@1.service", nullptr}}}),
              ElementsAre(Change(Kind::kPlace, "web@1.service", "", "m2")));
}

TEST(Plan, WhatCannotBeStartedIsAnError) {
  Cluster cluster = WithTwoUnits();
  const auto status = [&](const std::string& unit, std::shared_ptr<const UnitFile> file) {
    return MakePlan(cluster.model.view(), EngineSettings{},
                    {.verb = Verb::kStart, .units = {{unit, std::move(file)}}})
        .status();
  };
  EXPECT_TRUE(absl::IsNotFound(status("c.service", nullptr)));
  EXPECT_TRUE(absl::IsNotFound(status("web@1.service", nullptr)));
  EXPECT_TRUE(absl::IsInvalidArgument(status("web@.service", File())));
  EXPECT_TRUE(absl::IsInvalidArgument(status("c", File())));
  EXPECT_TRUE(absl::IsInvalidArgument(status("c.service", File("Weight=none"))));
  EXPECT_TRUE(absl::IsInvalidArgument(status("c.service", File("MachineOf=c.service"))));
}

TEST(Plan, ADestroyedUnitStopsAndMakesRoomForOthers) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", Text("Conflicts=b.service"));
  cluster.model.PutUnit("b.service", Text());
  cluster.Settle();
  EXPECT_THAT(ChangesOf(cluster, {.verb = Verb::kDestroy, .units = {{"a.service", nullptr}}}),
              ElementsAre(Change(Kind::kStop, "a.service", "m1", ""),
                          Change(Kind::kPlace, "b.service", "", "m1")));
  EXPECT_TRUE(absl::IsNotFound(MakePlan(cluster.model.view(), EngineSettings{},
                                        {.verb = Verb::kDestroy, .units = {{"x.service", nullptr}}})
                                   .status()));
}

TEST(Plan, ADrainMovesEverythingOff) {
  Cluster cluster = WithTwoUnits();
  cluster.model.PutUnit("g.service", Text("Global=true"));
  cluster.model.PutUnit("bound.service", Text("MachineID=m1"));
  cluster.Settle();
  const auto changes = ChangesOf(cluster, {.verb = Verb::kDrain, .machine = "m1"});
  EXPECT_THAT(changes, ElementsAre(Change(Kind::kMove, "a.service", "m1", "m2"),
                                   Change(Kind::kStay, "bound.service", "m1", ""),
                                   Change(Kind::kStop, "g.service", "m1", "")));
  EXPECT_THAT(changes[0].reason, HasSubstr("drained"));
  EXPECT_THAT(changes[1].reason, HasSubstr("MachineID"));
}

TEST(Plan, ALostMachinesUnitsAreRestartedElsewhere) {
  Cluster cluster = WithTwoUnits();
  cluster.model.PutUnit("bound.service", Text("MachineID=m1"));
  cluster.Settle();
  const auto changes = ChangesOf(cluster, {.verb = Verb::kLose, .machine = "m1"});
  ASSERT_THAT(changes, ElementsAre(Change(Kind::kMove, "a.service", "m1", "m2"),
                                   Change(Kind::kWait, "bound.service", "m1", "")));
  EXPECT_THAT(changes[0].reason, HasSubstr("m1 is lost"));
  EXPECT_THAT(changes[1].reason, HasSubstr("machine m1 is gone"));
}

TEST(Plan, NewMachinesTakeWhatWaits) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 1, 1, {{"zone", "a"}});
  for (const char* unit : {"a.service", "b.service", "c.service"}) {
    cluster.model.PutUnit(unit, Text("ReserveCPU=1\nMachineMetadata=zone=a"));
  }
  cluster.Settle();
  EXPECT_THAT(ChangesOf(cluster, {.verb = Verb::kAdd, .machine = "m1", .count = 1}),
              ElementsAre(Change(Kind::kPlace, "b.service", "", "new-1")));
  EXPECT_THAT(ChangesOf(cluster, {.verb = Verb::kAdd, .machine = "m1", .count = 3}), SizeIs(2));
}

TEST(Plan, MachinesThatAreNotThereAreNotFound) {
  Cluster cluster = WithTwoUnits();
  for (const Verb verb : {Verb::kDrain, Verb::kLose, Verb::kAdd}) {
    EXPECT_TRUE(absl::IsNotFound(
        MakePlan(cluster.model.view(), EngineSettings{}, {.verb = verb, .machine = "m9"})
            .status()));
  }
}

TEST(Plan, ScaleMakesTheFirstInstancesAndEndsThoseItMade) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("web@.service", Text("Replicas=2"), DesiredState::kInactive);
  for (const char* unit : {"web@9.service", "web@blue.service"}) {
    cluster.model.PutUnit(unit, Text());
  }
  cluster.model.PutUnit("web@3.service", Text(), DesiredState::kLoaded);
  cluster.model.PutUnit("web@4.service", Text(), DesiredState::kInactive);
  cluster.Settle();
  PlanRequest request = {.verb = Verb::kScale, .units = {{"web@.service", nullptr}}, .count = 5};
  EXPECT_THAT(ChangesOf(cluster, request),
              ElementsAre(Change(Kind::kPlace, "web@4.service", "", "m1"),
                          Change(Kind::kPlace, "web@5.service", "", "m1")));
  request.count = 1;
  EXPECT_THAT(ChangesOf(cluster, request),
              ElementsAre(Change(Kind::kStop, "web@2.service", "m1", "")));
  EXPECT_TRUE(absl::IsNotFound(
      MakePlan(cluster.model.view(), EngineSettings{},
               {.verb = Verb::kScale, .units = {{"api@.service", nullptr}}, .count = 3})
          .status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      MakePlan(cluster.model.view(), EngineSettings{},
               {.verb = Verb::kScale, .units = {{"web@1.service", nullptr}}, .count = 3})
          .status()));
}

TEST(Plan, AScaleThatIsTakenBackComesToWhatTheTextSays) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("web@.service", Text("Replicas=2"), DesiredState::kInactive);
  cluster.model.PutUnit("api@.service", Text(), DesiredState::kInactive);
  for (const char* unit : {"web@.service", "api@.service"}) {
    UnitRecord scaled = cluster.model.Unit(unit);
    scaled.replicas = 3;
    static_cast<SimulatedRegistry&>(cluster.model).PutUnit(unit, scaled);
  }
  cluster.Settle();
  cluster.model.SetDesired("web@1.service", DesiredState::kLoaded);
  cluster.model.SetDesired("api@1.service", DesiredState::kLoaded);
  cluster.Settle();
  PlanRequest request = {
      .verb = Verb::kScale, .units = {{"web@.service", nullptr}}, .resets = true};
  EXPECT_THAT(ChangesOf(cluster, request),
              ElementsAre(Change(Kind::kStop, "web@3.service", "m1", "")));
  request.units[0].name = "api@.service";  // no number is kept
  EXPECT_THAT(ChangesOf(cluster, request), IsEmpty());
  request.units[0].name = "none@.service";
  EXPECT_TRUE(absl::IsNotFound(MakePlan(cluster.model.view(), EngineSettings{}, request).status()));
}

TEST(Plan, ARebalanceShowsItsMovesAndThenNone) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  for (int i = 0; i < 6; ++i) cluster.model.PutUnit(fmt::format("u{}.service", i), Text());
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.Settle();
  const auto changes = ChangesOf(cluster, {.verb = Verb::kRebalance});
  EXPECT_THAT(changes, SizeIs(3));
  for (const PlannedChange& change : changes) {
    EXPECT_EQ(change.kind, Kind::kMove);
    EXPECT_THAT(change.reason, HasSubstr("load"));
    cluster.model.SetMoveTo(change.unit, change.machine);
  }
  EXPECT_THAT(ChangesOf(cluster, {.verb = Verb::kRebalance}), IsEmpty());
  cluster.Settle();
  EXPECT_THAT(ChangesOf(cluster, {.verb = Verb::kRebalance}), IsEmpty());
}

TEST(Plan, ARebalanceMakesNoMoreMovesThanAskedFor) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  for (int i = 0; i < 6; ++i) cluster.model.PutUnit(fmt::format("u{}.service", i), Text());
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.Settle();
  EXPECT_THAT(ChangesOf(cluster, {.verb = Verb::kRebalance, .max_moves = 1}), SizeIs(1));
}

TEST(Plan, WhatIsUnderWayAnywayIsNotShown) {
  Cluster cluster = WithTwoUnits();
  cluster.model.PutUnit("c.service", Text());  // not placed yet
  EXPECT_THAT(ChangesOf(cluster, {.verb = Verb::kStart, .units = {{"a.service", nullptr}}}),
              IsEmpty());
}

using State = UnitExplanation::State;

UnitExplanation Explained(Cluster& cluster, const std::string& unit) {
  const auto explained = ExplainUnit(cluster.model.view(), EngineSettings{}, unit);
  EXPECT_TRUE(explained.ok()) << explained.status();
  return explained.ok() ? *explained : UnitExplanation{};
}

TEST(Explain, AUnitThatDoesNotExistIsNotFound) {
  Cluster cluster = WithTwoUnits();
  EXPECT_TRUE(
      absl::IsNotFound(ExplainUnit(cluster.model.view(), EngineSettings{}, "x.service").status()));
}

TEST(Explain, APlacedUnitIsComparedWithTheOtherMachines) {
  Cluster cluster = WithTwoUnits();
  cluster.model.PutUnit("c.service", Text("MachineID=m2"));
  cluster.Settle();
  const auto a = Explained(cluster, "a.service");
  EXPECT_EQ(a.state, State::kPlaced);
  EXPECT_THAT(a.machines, ElementsAre("m1"));
  EXPECT_EQ(a.reason, "the least loaded of 2 eligible machines (load 0; next best m2 with load 2)");
  EXPECT_THAT(a.verdicts, SizeIs(2));
  EXPECT_EQ(a.explanation.machines, 2);
  EXPECT_THAT(a.together, IsEmpty());
  EXPECT_EQ(Explained(cluster, "c.service").reason, "the only eligible machine");
  cluster.model.PutMachine("m3");
  cluster.Settle();
  EXPECT_THAT(Explained(cluster, "b.service").reason, HasSubstr("m3 would be chosen now"));
}

TEST(Explain, AUnitWhoseMachineCannotDoWhatItIsAskedSaysSo) {
  Cluster cluster = WithTwoUnits();
  StateReport report = cluster.model.records().states.Find(UnitOnMachine{"a.service", "m1"})->value;
  --report.generation;
  report.settled = false;
  report.result = "cannot write: disk full";
  cluster.model.Report("m1", "a.service", report);
  EXPECT_THAT(Explained(cluster, "a.service").reason, HasSubstr("cannot write: disk full"));
}

TEST(Explain, AUnitThatIsNotWantedSaysSo) {
  Cluster cluster = WithTwoUnits();
  cluster.model.PutUnit("web@.service", Text(), DesiredState::kInactive);
  cluster.model.SetDesired("a.service", DesiredState::kInactive);
  EXPECT_EQ(Explained(cluster, "web@.service").state, State::kNotWanted);
  const auto a = Explained(cluster, "a.service");
  EXPECT_EQ(a.state, State::kNotWanted);
  EXPECT_THAT(a.reason, HasSubstr("m1"));
}

TEST(Explain, AUnitThatWaitsHasTheReasonOfToday) {
  Cluster cluster = WithTwoUnits();
  cluster.model.PutUnit("x.service", Text("MachineMetadata=zone=c"));
  cluster.Settle();
  cluster.model.PutMachine("m3");
  const auto x = Explained(cluster, "x.service");
  EXPECT_EQ(x.state, State::kWaiting);
  EXPECT_EQ(x.explanation.machines, 3);
  EXPECT_THAT(x.reason, HasSubstr("zone=c"));
  ASSERT_THAT(x.verdicts, SizeIs(3));
  EXPECT_THAT(x.verdicts[0].ruled_out_by, SizeIs(1));
}

TEST(Explain, AUnitBetweenMachinesSaysWhatItWaitsFor) {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"disk", "ssd"}});
  cluster.model.PutUnit("a.service", Text("MachineMetadata=disk=ssd"));
  cluster.Settle();
  cluster.model.PutMachine("m2", {{"disk", "ssd"}});
  cluster.model.PutMachine("m1", {{"disk", "hdd"}});
  const auto before = Explained(cluster, "a.service");
  EXPECT_EQ(before.state, State::kMoving);
  EXPECT_THAT(before.reason, HasSubstr("may not stay on m1"));
  cluster.PassUntilIdle();
  const auto a = Explained(cluster, "a.service");
  EXPECT_EQ(a.state, State::kMoving);
  EXPECT_THAT(a.machines, ElementsAre("m1"));
  EXPECT_THAT(a.reason, AllOf(HasSubstr("until m1 reports"), HasSubstr("m2")));
}

TEST(Explain, AGlobalUnitIsWhereItIsAndTheRestIsRuledOut) {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"role", "web"}});
  cluster.model.PutMachine("m2");
  cluster.model.PutUnit("g.service", Text("Global=true\nMachineMetadata=role=web"));
  cluster.Settle();
  const auto g = Explained(cluster, "g.service");
  EXPECT_EQ(g.state, State::kGlobal);
  EXPECT_THAT(g.machines, ElementsAre("m1"));
  ASSERT_THAT(g.verdicts, SizeIs(2));
  EXPECT_THAT(g.verdicts[1].ruled_out_by, SizeIs(1));
}

TEST(Explain, AGroupIsExplainedTogether) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachineOf(machine, 1, 1);
  cluster.model.PutUnit("a.service", Text("ReserveCPU=60%"));
  cluster.model.PutUnit("b.service", Text("MachineOf=a.service\nReserveCPU=60%"));
  cluster.Settle();
  const auto waiting = Explained(cluster, "a.service");
  EXPECT_EQ(waiting.state, State::kWaiting);
  EXPECT_THAT(waiting.together, ElementsAre("a.service", "b.service"));
  EXPECT_THAT(waiting.reason, HasSubstr("b.service"));
  cluster.model.PutMachineOf("m3", 2, 2);
  cluster.Settle();
  const auto placed = Explained(cluster, "b.service");
  EXPECT_EQ(placed.state, State::kPlaced);
  EXPECT_THAT(placed.together, ElementsAre("a.service", "b.service"));
  EXPECT_EQ(placed.reason, "the only eligible machine");
}

TEST(Explain, CirclesUnreadableTextsReservationsAndRebalancesHaveTheirReason) {
  Cluster cluster;
  cluster.model.PutMachineOf("m1", 1, 1);
  cluster.model.PutUnit("low.service", Text("ReserveCPU=1"));
  cluster.model.PutUnit("broken.service", Text("Weight=none"));
  cluster.model.PutUnit("old.service", Text("Replaces=new.service"));
  cluster.Settle();
  cluster.model.PutUnit("new.service", Text("Replaces=old.service"));
  cluster.model.PutUnit("high.service", Text("ReserveCPU=1\nPriority=1"));
  cluster.PassUntilIdle();
  EXPECT_THAT(Explained(cluster, "broken.service").reason, HasSubstr("Weight"));
  EXPECT_THAT(Explained(cluster, "new.service").reason, HasSubstr("circle"));
  EXPECT_THAT(Explained(cluster, "high.service").reason,
              AllOf(HasSubstr("m1 is reserved"), HasSubstr("low.service")));
  cluster.model.PutMachineOf("m2", 1, 1);
  cluster.Settle();
  cluster.model.SetMoveTo("old.service", "m2");
  EXPECT_EQ(Explained(cluster, "old.service").reason, "a rebalance moves it to m2");
}

TEST(Explain, AUnitOfALostMachineThatFitsNowhereElseSaysSo) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutMachine("m2");
  cluster.model.PutUnit("a.service", Text("MachineID=m1"));
  cluster.Settle();
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  const auto a = Explained(cluster, "a.service");
  EXPECT_EQ(a.state, State::kWaiting);
  EXPECT_THAT(a.reason, HasSubstr("machine m1 is gone"));
}

}  // namespace
}  // namespace fleet::reconcile
