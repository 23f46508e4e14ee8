// What somebody else does to the units of a machine.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/testing/agent_machine.h"

namespace fleet::reconcile {
namespace {

using testing::Assigned;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::kOther;
using testing::kSleep;
using testing::Machine;
using testing::Running;

void StopByHand(Machine& machine) {
  machine.agent.OnJobBegan("a.service");
  machine.Change("a.service", "deactivating", "stop-sigterm");
  machine.Change("a.service", "inactive", "dead");
  machine.agent.OnOtherJobEnded("a.service", "done");
  machine.Run();
}

std::string Drift(Machine& machine) { return machine.reports["a.service"].drift; }

TEST(AgentDrift, AStopByHandIsReportedAndLeftAlone) {
  Machine machine = Running();
  StopByHand(machine);
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_EQ(Drift(machine), "stopped by hand");
  EXPECT_EQ(machine.reports["a.service"].active_state, "inactive");
  machine.Change("a.service", "active", "running");  // somebody's start
  machine.Run();
  EXPECT_EQ(Drift(machine), "");
}

TEST(AgentDrift, AStopByHandIsUndoneWhereDriftIsRestored) {
  Machine machine = Running();
  machine.agent.SetRestoresDrift(true);
  StopByHand(machine);
  EXPECT_EQ(Drift(machine), "stopped by hand");
  machine.now = machine.agent.NextWakeup();
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("start a.service"));
  EXPECT_EQ(Drift(machine), "");
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

TEST(AgentDrift, AUnitThatEndsOrFailsByItselfIsNotRestored) {
  for (const char* state : {"inactive", "failed"}) {
    Machine machine = Running();
    machine.agent.SetRestoresDrift(true);
    machine.Change("a.service", "deactivating", "stop-post");
    machine.Change("a.service", state, "dead");
    machine.Run();
    EXPECT_THAT(machine.log, IsEmpty()) << state;
    EXPECT_EQ(Drift(machine), "") << state;
  }
}

TEST(AgentDrift, AStartOfSomebodyElsesThatHasEndedIsNoStop) {
  // A timer's oneshot: the job begins while it is down, and leaves it down.
  Machine machine = Running();
  machine.agent.SetRestoresDrift(true);
  machine.Change("a.service", "inactive", "dead");
  machine.agent.OnJobBegan("a.service");
  machine.Change("a.service", "activating", "start");
  machine.Change("a.service", "inactive", "dead");
  machine.agent.OnOtherJobEnded("a.service", "done");
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_EQ(Drift(machine), "");
}

TEST(AgentDrift, ARestartByHandIsNoDrift) {
  Machine machine = Running();
  machine.agent.SetRestoresDrift(true);
  machine.agent.OnJobBegan("a.service");
  machine.Change("a.service", "deactivating", "stop-sigterm");
  machine.Change("a.service", "inactive", "dead");
  machine.Change("a.service", "active", "running");
  machine.agent.OnOtherJobEnded("a.service", "done");
  machine.Run();
  machine.now += absl::Minutes(1);
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_EQ(Drift(machine), "");
}

TEST(AgentDrift, AStopThatFleetOrderedIsNoDrift) {
  Machine machine = Running();
  machine.agent.SetRestoresDrift(true);
  machine.stop_takes_forever = true;
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLoaded, 2));
  machine.Run();
  StopByHand(machine);  // the same signals
  machine.agent.OnStopped("a.service", std::string("done"));
  machine.Run();
  EXPECT_EQ(Drift(machine), "");
  EXPECT_THAT(machine.log, ElementsAre("stop a.service"));
}

TEST(AgentDrift, ARestartThatFleetOrderedIsNoDrift) {
  Machine machine = Running();
  machine.agent.SetRestoresDrift(true);
  machine.stop_takes_forever = true;
  Assignment restarted = Assigned(AssignmentState::kLaunched, 2);
  restarted.restarts = 1;
  machine.agent.OnAssignment("a.service", restarted);
  machine.Run();
  StopByHand(machine);
  EXPECT_EQ(Drift(machine), "");
  machine.agent.OnStopped("a.service", std::string("done"));
  machine.Run();
  EXPECT_EQ(Drift(machine), "");
  EXPECT_THAT(machine.log, ElementsAre("stop a.service", "start a.service"));
}

TEST(AgentDrift, AnOrphanIsNotRestored) {
  Machine machine = Running();
  machine.agent.SetRestoresDrift(true);
  machine.agent.OnAssignment("a.service", std::nullopt);
  machine.Run();
  StopByHand(machine);
  machine.now += absl::Minutes(1);
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
}

TEST(AgentDrift, AMaskedUnitIsReported) {
  Machine machine = Running();
  machine.agent.SetRestoresDrift(true);
  machine.agent.OnUnitList({{"a.service", "masked", "active", "running"}});
  machine.Run();
  EXPECT_EQ(Drift(machine), "masked");
  EXPECT_THAT(machine.log, IsEmpty());
}

TEST(AgentDrift, AnEditedFileIsReportedAndStopsNothing) {
  Machine machine = Running();
  machine.agent.OnTextRead("a.service", kOther->hash());
  machine.Run();
  EXPECT_EQ(Drift(machine), "its file was edited");
  EXPECT_THAT(machine.log, IsEmpty());
  machine.agent.OnTextRead("a.service", kSleep->hash());
  machine.Run();
  EXPECT_EQ(Drift(machine), "");
}

TEST(AgentDrift, AnEditedFileIsWrittenAnewWithoutARestartWhereDriftIsRestored) {
  Machine machine = Running();
  machine.agent.SetRestoresDrift(true);
  machine.needs_reload = true;
  machine.installed["a.service"].text = kOther->text();
  machine.agent.OnTextRead("a.service", kOther->hash());
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("fetch", "install a.service", "reload"));
  EXPECT_EQ(machine.installed["a.service"].text, kSleep->text());
  EXPECT_TRUE(machine.installed["a.service"].note.started);
  EXPECT_EQ(Drift(machine), "");
}

TEST(AgentDrift, AnEditMadeWhileFleetdWasAwayIsFound) {
  Machine machine = Running();
  machine.installed["a.service"].text = kOther->text();
  machine.Begin();
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  EXPECT_EQ(Drift(machine), "its file was edited");
  EXPECT_THAT(machine.log, IsEmpty());
}

}  // namespace
}  // namespace fleet::reconcile
