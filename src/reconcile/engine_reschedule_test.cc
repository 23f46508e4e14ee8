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
using ::testing::SizeIs;
using testing::Text;

const std::string kUnit = "a.service";

class RescheduleOnFailure : public ::testing::Test {
 protected:
  RescheduleOnFailure() {
    for (const char* machine : {"m1", "m2", "m3"}) cluster_.model.PutMachine(machine);
    cluster_.model.PutUnit(kUnit, Text("Reschedule=on-failure"));
    cluster_.Settle();
  }
  std::string Machine() {
    const auto machines = cluster_.model.MachinesOf(kUnit);
    return machines.size() == 1 ? machines[0] : "";
  }
  StateReport Answer(const std::string& active_state) {
    const Assignment* assignment = cluster_.model.AssignmentOf(kUnit, Machine());
    return {.uid = assignment->uid,
            .generation = assignment->generation,
            .content_hash = assignment->content_hash,
            .load_state = "loaded",
            .active_state = active_state,
            .settled = true,
            .result = active_state == "failed" ? "exit-code" : ""};
  }
  void Say(const std::string& active_state) {
    cluster_.model.Report(Machine(), kUnit, Answer(active_state));
    cluster_.Settle();
  }
  void Wait(absl::Duration duration) {
    cluster_.now += duration;
    cluster_.Settle();
  }
  Cluster cluster_;
};

TEST_F(RescheduleOnFailure, AUnitThatHasFailedIsMovedAfterASecond) {
  const std::string before = Machine();
  Say("failed");
  EXPECT_EQ(Machine(), before);
  EXPECT_EQ(cluster_.engine.NextWakeup(), cluster_.now + absl::Seconds(1));
  EXPECT_THAT(ExplainUnit(cluster_.model.view(), {}, kUnit)->reason,
              HasSubstr("it has failed: after 1s it is moved to"));
  Wait(absl::Seconds(1));
  EXPECT_NE(Machine(), before);
  ASSERT_THAT(cluster_.model.Unit(kUnit).failed_on, SizeIs(1));
  EXPECT_EQ(cluster_.model.Unit(kUnit).failed_on[0].machine, before);
  EXPECT_THAT(cluster_.model.AssignmentOf(kUnit, before), nullptr);  // it has been handed over
}

TEST_F(RescheduleOnFailure, MachinesWhereItHasFailedComeLastAndTheOldestFailureFirst) {
  const std::string first = Machine();
  Say("failed");
  Wait(absl::Seconds(1));
  const std::string second = Machine();
  Say("failed");
  Wait(absl::Seconds(1));
  EXPECT_EQ(Machine(), second);  // twice as long
  Wait(absl::Seconds(1));
  const std::string third = Machine();
  EXPECT_THAT((std::set<std::string>{first, second, third}), SizeIs(3));
  Say("failed");
  Wait(absl::Seconds(4));
  EXPECT_EQ(Machine(), first);
  Say("failed");
  Wait(absl::Seconds(8));
  EXPECT_EQ(Machine(), second);
}

TEST_F(RescheduleOnFailure, AnotherLeaderKnowsWhereItHasFailedAndHowOften) {
  const std::string first = Machine();
  Say("failed");
  Wait(absl::Seconds(1));
  Say("failed");
  Simulation second(&cluster_.model, EngineSettings{});
  second.now = cluster_.now;
  second.engine.BeginLeading(second.now);
  second.Settle(100);
  EXPECT_EQ(second.engine.NextWakeup(), second.now + absl::Seconds(2));
  second.now += absl::Seconds(2);
  second.Settle(100);
  EXPECT_NE(Machine(), first);
  EXPECT_THAT(cluster_.model.Unit(kUnit).failed_on, SizeIs(2));
}

TEST_F(RescheduleOnFailure, WhatSystemdRestartsItselfIsNotMoved) {
  const std::string before = Machine();
  Say("failed");
  Say("activating");
  Wait(absl::Minutes(1));
  EXPECT_EQ(Machine(), before);
}

TEST_F(RescheduleOnFailure, AReportAboutAnEarlierRunIsNot) {
  const std::string before = Machine();
  StateReport stale = Answer("failed");
  --stale.generation;
  cluster_.PassUntilIdle();
  cluster_.model.Report(before, kUnit, stale);
  cluster_.PassUntilIdle();
  cluster_.now += absl::Minutes(1);
  cluster_.PassUntilIdle();
  EXPECT_EQ(Machine(), before);
}

TEST_F(RescheduleOnFailure, AfterTenMinutesOfRunningItIsForgotten) {
  Say("failed");
  Wait(absl::Seconds(1));
  Wait(absl::Minutes(9));
  EXPECT_THAT(cluster_.model.Unit(kUnit).failed_on, SizeIs(1));
  Wait(absl::Minutes(1));
  EXPECT_THAT(cluster_.model.Unit(kUnit).failed_on, IsEmpty());
  EXPECT_EQ(cluster_.Pass(), 0u);  // L2
}

TEST_F(RescheduleOnFailure, WithoutAnotherMachineItStaysUntilThereIsOne) {
  const std::string before = Machine();
  for (const char* machine : {"m1", "m2", "m3"}) {
    if (machine != before) cluster_.model.PutMachine(machine, {}, /*leaving=*/true);
  }
  cluster_.Settle();
  Say("failed");
  Wait(absl::Minutes(1));
  EXPECT_EQ(Machine(), before);
  EXPECT_THAT(ExplainUnit(cluster_.model.view(), {}, kUnit)->reason,
              HasSubstr("no other machine is eligible"));
  cluster_.model.PutMachine("m4");
  cluster_.Settle();
  EXPECT_EQ(Machine(), "m4");
}

TEST_F(RescheduleOnFailure, UnitsThatAreTiedToOthersStay) {
  const std::string before = Machine();
  cluster_.model.PutUnit("b.service", Text("MachineOf=a.service"));
  cluster_.Settle();
  Say("failed");
  Wait(absl::Minutes(1));
  EXPECT_EQ(Machine(), before);
}

TEST_F(RescheduleOnFailure, WithoutItAUnitThatFailsStays) {
  cluster_.model.PutUnit(kUnit, Text());
  cluster_.Settle();
  const std::string before = Machine();
  Say("failed");
  Wait(absl::Hours(1));
  EXPECT_EQ(Machine(), before);
}

}  // namespace
}  // namespace fleet::reconcile
