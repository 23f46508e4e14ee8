// Units that run here and that the registry says nothing, something old or something unreadable
// about (S3).

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
using testing::Machine;
using ::testing::Not;
using testing::Running;

// What the unit is reported as when nothing is assigned.
void ExpectKeptAndReported(Machine& machine) {
  EXPECT_THAT(machine.log, Not(Contains("stop a.service")));
  EXPECT_EQ(machine.statuses["a.service"].active_state, "active");
  ASSERT_TRUE(machine.reports.contains("a.service"));
  EXPECT_EQ(machine.reports["a.service"].uid, "uid");
  EXPECT_EQ(machine.reports["a.service"].active_state, "active");
  EXPECT_FALSE(machine.reports["a.service"].gone);
}

TEST(AgentOrphans, AnEmptiedRegistryStopsNothing) {
  Machine machine = Running();
  machine.agent.OnAssignments({});
  machine.Run();
  ExpectKeptAndReported(machine);
  machine.agent.SetReported({});  // the reports are gone with the rest
  machine.reports.clear();
  machine.Run();
  ExpectKeptAndReported(machine);
}

TEST(AgentOrphans, AnOrphanIsAdoptedByAnAssignmentWithItsUidWithoutARestart) {
  Machine machine = Running();
  machine.Begin();  // also after a crash or an upgrade of fleetd
  machine.agent.OnAssignments({});
  machine.Run();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 1));
  machine.Run();
  ExpectKeptAndReported(machine);
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

TEST(AgentOrphans, AnAssignmentOfALowerGenerationIsTakenOverWithoutARestart) {
  Machine machine = Running();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 90));
  machine.Run();
  machine.Begin();
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched, 7)}});
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_EQ(machine.reports["a.service"].generation, 7);
  EXPECT_EQ(machine.installed["a.service"].note.generation, 7);
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

TEST(AgentOrphans, ATombstoneOfALowerGenerationStopsTheUnit) {
  // The engine of a restored registry may have started it elsewhere (S1).
  Machine machine = Running();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 90));
  machine.Run();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kGone, 7));
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("stop a.service", "remove a.service"));
  EXPECT_EQ(machine.reports["a.service"].generation, 7);
  EXPECT_TRUE(machine.reports["a.service"].gone);
}

TEST(AgentOrphans, AnAssignmentThatCannotBeReadLeavesTheUnitAsItIs) {
  Machine machine = Running();
  machine.agent.OnUnreadableAssignment("a.service");
  machine.Run();
  ExpectKeptAndReported(machine);
  machine.Begin();
  machine.agent.OnAssignments({}, {"a.service"});
  machine.Run();
  ExpectKeptAndReported(machine);
  EXPECT_THAT(machine.log, IsEmpty());
}

TEST(AgentOrphans, NothingIsDoneForAUnitWhileItsAssignmentCannotBeRead) {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLoaded)}});
  machine.Run();
  machine.log.clear();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 2));
  machine.agent.OnUnreadableAssignment("a.service");
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 2));
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("start a.service"));
}

TEST(AgentOrphans, AnUnreadableTombstoneHoldsUpNoOtherUnit) {
  Machine machine = Running();
  machine.stop_takes_forever = true;
  Assignment other = Assigned(AssignmentState::kLaunched, 9);
  other.uid = "other";
  machine.agent.OnAssignments(
      {{"0.service", other}, {"a.service", Assigned(AssignmentState::kGone, 2)}});
  machine.Run();
  EXPECT_THAT(machine.log, Not(Contains("start 0.service")));
  machine.agent.OnUnreadableAssignment("a.service");
  machine.Run();
  EXPECT_THAT(machine.log, Contains("start 0.service"));
}

TEST(AgentOrphans, NothingStartsBetweenTheEndOfTheLeaseAndTheNextCompleteRead) {
  Machine machine = Running();
  machine.agent.OnAssignment("b.service", Assigned(AssignmentState::kLoaded));
  machine.Run();
  machine.log.clear();
  machine.agent.OnAssignment("b.service", Assigned(AssignmentState::kLaunched, 2));
  machine.agent.OnMembershipLost();
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  // It was moved meanwhile; so was the other one, which has to stop before anything starts.
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kGone, 3)},
                               {"b.service", Assigned(AssignmentState::kLaunched, 2)}});
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("stop a.service", "remove a.service", "start b.service"));
}

TEST(AgentOrphans, AnInstallThatACrashCutShortIsDoneAgainBeforeTheStart) {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLoaded)}});
  machine.Run();
  // The note of the next text was written, the text was not.
  machine.installed["a.service"].note.content_hash = kOther->hash();
  machine.Begin();
  machine.log.clear();
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched, 2, kOther)}});
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("fetch", "install a.service", "start a.service"));
  EXPECT_EQ(machine.installed["a.service"].text, kOther->text());
}

TEST(AgentOrphans, ARebootHasNothingInstalledAndStartsWhatIsAssigned) {
  Machine machine = Running();
  machine.installed.clear();  // /run is empty
  machine.statuses.clear();
  machine.reports.clear();
  machine.Begin();
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)},
                               {"b.service", Assigned(AssignmentState::kGone, 2)}});
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("fetch", "install a.service", "start a.service"));
  EXPECT_TRUE(machine.reports["b.service"].gone);
}

TEST(AgentOrphans, AUnitWhoseRemovalFleetdDidNotSurviveIsStartedWhereItIsWantedAgain) {
  Machine machine = Running();
  machine.stop_takes_forever = true;
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kGone, 2));
  machine.Run();
  machine.statuses["a.service"].active_state = "inactive";
  machine.stop_takes_forever = false;
  machine.log.clear();
  machine.Begin();
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched, 3)}});
  machine.Run();
  EXPECT_THAT(machine.log, Contains("start a.service"));
}

TEST(AgentOrphans, NothingIsToBeWokenForWhileTheAssignmentsAreUnknown) {
  Machine machine = Running();
  machine.install_status = absl::ResourceExhaustedError("no space left on device");
  machine.agent.OnAssignment("b.service", Assigned(AssignmentState::kLaunched, 2, kOther));
  machine.Run();
  ASSERT_NE(machine.agent.NextWakeup(), absl::InfiniteFuture());
  machine.agent.OnMembershipLost();
  EXPECT_EQ(machine.agent.NextWakeup(), absl::InfiniteFuture());
}

}  // namespace
}  // namespace fleet::reconcile
