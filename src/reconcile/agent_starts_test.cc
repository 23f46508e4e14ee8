// Starts, stops and restarts as the agent carries them out.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/testing/agent_machine.h"

namespace fleet::reconcile {
namespace {

using testing::Assigned;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Machine;
using testing::Running;

TEST(Agent, ARestartIsAStopAndAStart) {
  Machine machine = Running();
  Assignment again = Assigned(AssignmentState::kLaunched, 2);
  again.restarts = 1;
  machine.agent.OnAssignment("a.service", again);
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("stop a.service", "start a.service"));
  EXPECT_EQ(machine.reports["a.service"].generation, 2);
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

TEST(Agent, AStopEndsAlsoWhatSystemdStartedByItself) {
  Machine machine;
  Assignment loaded = Assigned(AssignmentState::kLoaded);
  machine.agent.OnAssignments({{"a.service", loaded}});
  machine.Run();
  machine.Change("a.service", "active", "running");  // for a socket
  machine.Run();
  EXPECT_EQ(machine.reports["a.service"].active_state, "active");
  machine.log.clear();
  loaded.generation = 2;
  ++loaded.restarts;
  machine.agent.OnAssignment("a.service", loaded);
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("stop a.service"));
  EXPECT_EQ(machine.reports["a.service"].generation, 2);
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

TEST(Agent, ALowerCountOfRestartsOfARestoredRegistryRestartsNothing) {
  Machine machine = Running();
  Assignment again = Assigned(AssignmentState::kLaunched, 2);
  again.restarts = 3;
  machine.agent.OnAssignment("a.service", again);
  machine.Run();
  machine.log.clear();
  again.restarts = 1;
  machine.agent.OnAssignment("a.service", again);
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  again.restarts = 2;  // the next one asked for
  machine.agent.OnAssignment("a.service", again);
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("stop a.service", "start a.service"));
}

TEST(Agent, AStartWhileTheUnitStillStopsStartsItAfterwards) {
  Machine machine = Running();
  machine.stop_takes_forever = true;
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLoaded, 2));
  machine.Run();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 3));
  machine.Run();
  EXPECT_FALSE(machine.reports["a.service"].settled);
  machine.Change("a.service", "inactive", "dead");
  machine.agent.OnStopped("a.service", std::string("done"));
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("stop a.service", "start a.service"));
  EXPECT_EQ(machine.reports["a.service"].active_state, "active");
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

TEST(Agent, AStartStartsWhatHasEndedAndLeavesAloneWhatRuns) {
  Machine machine = Running();
  Assignment started = Assigned(AssignmentState::kLaunched, 2);
  started.starts = 1;
  machine.agent.OnAssignment("a.service", started);
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());

  machine.Change("a.service", "failed", "failed");
  machine.Run();
  started.generation = 3;
  ++started.starts;
  machine.agent.OnAssignment("a.service", started);
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("reset a.service", "start a.service"));
  EXPECT_EQ(machine.reports["a.service"].active_state, "active");
  EXPECT_EQ(machine.reports["a.service"].result, "");
}

TEST(Agent, AOneshotThatSystemdTriesAgainWithSuccessHasNotFailed) {
  Machine machine;
  machine.start_result = "failed";
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  EXPECT_THAT(machine.reports["a.service"].result, HasSubstr("exit-code"));
  machine.Change("a.service", "activating", "start");
  machine.Run();
  machine.diagnosis = "success";
  machine.Change("a.service", "inactive", "dead");
  machine.Run();
  EXPECT_EQ(machine.reports["a.service"].result, "");
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

TEST(Agent, AGenerationThatNeedsNothingDoneIsReportedAlsoAfterAReportInBetween) {
  Machine machine = Running();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 2));
  for (const StateWrite& write : machine.agent.TakeReports(machine.now)) {
    EXPECT_NE(write.report->generation, 2);
  }
  machine.Run();
  EXPECT_EQ(machine.reports["a.service"].generation, 2);
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

TEST(Agent, AStartStartsAlsoWhatSomebodyElseIsStopping) {
  Machine machine = Running();
  machine.Change("a.service", "deactivating", "stop");
  machine.Run();
  Assignment started = Assigned(AssignmentState::kLaunched, 2);
  started.starts = 1;
  machine.agent.OnAssignment("a.service", started);
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("start a.service"));
}

TEST(Agent, AStartThatSystemdRefusesHasFailedAlthoughTheUnitsResultIsSuccess) {
  Machine machine;
  machine.start_result = "unsupported";
  machine.active_after_failed_start = "inactive";
  machine.diagnosis = "success";
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  EXPECT_EQ(machine.reports["a.service"].result, "its start job ended with unsupported");
}

TEST(Agent, AStartDuringAStartIsTheSameStart) {
  Machine machine;
  machine.start_takes_forever = true;
  Assignment job = Assigned(AssignmentState::kLaunched);
  machine.agent.OnAssignments({{"a.service", job}});
  machine.Run();
  job.generation = 2;
  ++job.starts;
  machine.agent.OnAssignment("a.service", job);
  machine.Run();
  machine.log.clear();
  machine.Change("a.service", "inactive", "dead");  // a oneshot that has run to its end
  machine.agent.OnStarted("a.service", std::string("done"));
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_EQ(machine.reports["a.service"].generation, 2);
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

TEST(Agent, HowARunEndedThatNobodyAskedForIsNoFailureOfALoad) {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLoaded)}});
  machine.Run();
  machine.Change("a.service", "active", "running");
  machine.Run();
  machine.Change("a.service", "failed", "failed");
  machine.Run();
  EXPECT_EQ(machine.reports["a.service"].active_state, "failed");
  EXPECT_EQ(machine.reports["a.service"].result, "");
}

TEST(Agent, AFailedStartIsForgottenWhenSystemdsNextAttemptSucceeds) {
  Machine machine;
  machine.start_result = "failed";
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  EXPECT_NE(machine.reports["a.service"].result, "");
  machine.Change("a.service", "active", "running");
  machine.Run();
  EXPECT_EQ(machine.reports["a.service"].result, "");
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

// Bound to b.service, which is assigned at the same time, and whose text comes a moment later.
TEST(Agent, AStartThatWasTooEarlyForWhatItNeedsIsTriedOnceMore) {
  Machine machine;
  machine.start_takes_forever = true;
  machine.agent.OnAssignments(
      {{"a.service", Assigned(AssignmentState::kLaunched)},
       {"b.service", Assigned(AssignmentState::kLaunched, 1, testing::File("# not here\n"))}});
  machine.Run();
  const absl::Status missing =
      absl::NotFoundError("cannot start a.service: Unit b.service not found.");
  machine.agent.OnStarted("a.service", missing);
  machine.log.clear();
  machine.Run();
  EXPECT_FALSE(machine.reports["a.service"].settled);
  EXPECT_EQ(machine.reports["a.service"].result, "");
  machine.now += absl::Seconds(2);
  machine.Run();
  EXPECT_THAT(machine.log, Contains("start a.service"));
  machine.agent.OnStarted("a.service", missing);
  machine.Run();
  EXPECT_THAT(machine.reports["a.service"].result, HasSubstr("b.service not found"));
}

TEST(Agent, AStartThatMissesWhatNobodyBringsHasFailed) {
  Machine machine;
  machine.start_takes_forever = true;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  machine.agent.OnStarted("a.service", absl::NotFoundError("Unit b.service not found."));
  machine.Run();
  EXPECT_THAT(machine.reports["a.service"].result, HasSubstr("b.service not found"));
}

}  // namespace
}  // namespace fleet::reconcile
