#include "reconcile/agent_reconciler.h"

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
using testing::kEnabled;
using testing::kOther;
using testing::kSleep;
using testing::Machine;
using ::testing::Not;
using testing::Running;

TEST(Agent, StartsWhatIsAssignedAndReportsIt) {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("fetch", "install a.service", "start a.service"));
  EXPECT_EQ(machine.installed["a.service"].text, kSleep->text());
  EXPECT_TRUE(machine.installed["a.service"].note.started);
  const StateReport& report = machine.reports["a.service"];
  EXPECT_EQ(report.uid, "uid");
  EXPECT_EQ(report.generation, 1);
  EXPECT_EQ(report.active_state, "active");
  EXPECT_TRUE(report.settled);
}

TEST(Agent, DoesNothingBeforeACompleteReadOfItsAssignments) {
  Machine machine = Running();
  machine.Begin();
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
}

TEST(Agent, ALoadedUnitIsInstalledAndNotStarted) {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLoaded)}});
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("fetch", "install a.service", "load a.service"));
  EXPECT_EQ(machine.reports["a.service"].load_state, "loaded");
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

TEST(Agent, OneTextIsFetchedOnceForManyUnits) {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)},
                               {"b.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  EXPECT_EQ(std::count(machine.log.begin(), machine.log.end(), "fetch"), 1);
  EXPECT_EQ(machine.installed.size(), 2u);
}

TEST(Agent, ARestartOfFleetdAdoptsWhatRuns) {
  Machine machine = Running();
  machine.Begin();
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.agent.SetReported(machine.reports);
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_THAT(machine.agent.TakeReports(machine.now), IsEmpty());
}

TEST(Agent, AUnitInNoRecordIsKeptAndReported) {
  Machine machine = Running();
  machine.Begin();
  machine.reports.clear();
  machine.agent.OnAssignments({});
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_TRUE(machine.installed.contains("a.service"));
  EXPECT_EQ(machine.reports["a.service"].uid, "uid");
  EXPECT_FALSE(machine.reports["a.service"].gone);
}

TEST(Agent, AnAssignmentThatVanishesStopsNothing) {
  Machine machine = Running();
  machine.agent.OnAssignment("a.service", std::nullopt);
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
}

TEST(Agent, ATombstoneStopsRemovesAndReportsGone) {
  Machine machine = Running();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kGone, 2));
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("stop a.service", "remove a.service"));
  EXPECT_TRUE(machine.reports["a.service"].gone);
  EXPECT_EQ(machine.reports["a.service"].generation, 2);
  machine.agent.OnAssignment("a.service", std::nullopt);
  machine.Run();
  EXPECT_THAT(machine.reports, IsEmpty());
}

TEST(Agent, ATombstoneOfAnotherUidStopsNothing) {
  Machine machine = Running();
  Assignment tombstone = Assigned(AssignmentState::kGone, 2);
  tombstone.uid = "another";
  machine.agent.OnAssignment("a.service", tombstone);
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  // What is here occupies the machine: nobody may take the name for gone (S1).
  EXPECT_EQ(machine.reports["a.service"].uid, "uid");
  EXPECT_FALSE(machine.reports["a.service"].gone);
  EXPECT_EQ(machine.reports["a.service"].active_state, "active");
  machine.agent.OnAssignment("a.service", std::nullopt);
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_EQ(machine.reports["a.service"].uid, "uid");
  EXPECT_EQ(machine.reports["a.service"].active_state, "active");
}

TEST(Agent, ATombstoneOfAUnitThatIsNotHereIsGoneAtOnce) {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kGone, 5)}});
  machine.Run();
  EXPECT_TRUE(machine.reports["a.service"].gone);
  EXPECT_EQ(machine.reports["a.service"].generation, 5);
}

TEST(Agent, StopsWhatHasTombstonesBeforeItStartsAnything) {
  Machine machine = Running();
  machine.Begin();
  Assignment started = Assigned(AssignmentState::kLaunched, 9);
  started.uid = "other";
  machine.agent.OnAssignments(
      {{"0.service", started}, {"a.service", Assigned(AssignmentState::kGone, 2)}});
  machine.Run();
  const auto stop = std::find(machine.log.begin(), machine.log.end(), "stop a.service");
  const auto start = std::find(machine.log.begin(), machine.log.end(), "start 0.service");
  ASSERT_NE(stop, machine.log.end());
  ASSERT_NE(start, machine.log.end());
  EXPECT_LT(stop, start);
}

TEST(Agent, StopKeepsTheUnitInstalled) {
  Machine machine = Running();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLoaded));
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("stop a.service"));
  EXPECT_TRUE(machine.reports["a.service"].settled);
  EXPECT_EQ(machine.reports["a.service"].active_state, "inactive");
  EXPECT_FALSE(machine.installed["a.service"].note.started);
}

TEST(Agent, AServiceThatItsSocketStartedIsNotStoppedWhileLoaded) {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLoaded)}});
  machine.Run();
  machine.log.clear();
  machine.Change("a.service", "active", "running");
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_EQ(machine.reports["a.service"].active_state, "active");
}

TEST(Agent, ANewGenerationOfTheSameTextAloneRestartsNothing) {
  Machine machine = Running();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 2));
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_EQ(machine.reports["a.service"].generation, 2);
}

TEST(Agent, ANewTextIsReadOnlyAfterTheOldUnitHasStopped) {
  Machine machine = Running();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 2, kOther));
  machine.needs_reload = true;
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("fetch", "stop a.service", "install a.service", "reload",
                                       "start a.service"));
  EXPECT_EQ(machine.installed["a.service"].text, kOther->text());
}

TEST(Agent, ManyUnitsShareOneReload) {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched, 1, kEnabled)},
                               {"b.service", Assigned(AssignmentState::kLaunched, 1, kEnabled)}});
  machine.Run();
  EXPECT_EQ(std::count(machine.log.begin(), machine.log.end(), "reload"), 1);
  EXPECT_THAT(machine.log, Contains("enable a.service"));
  EXPECT_TRUE(machine.installed["a.service"].note.enabled);
}

TEST(Agent, AUnitThatCannotBeEnabledIsNamedAndHoldsUpNoOther) {
  Machine machine;
  machine.refuses_to_enable = "b.service";
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched, 1, kEnabled)},
                               {"b.service", Assigned(AssignmentState::kLaunched, 1, kEnabled)}});
  machine.Run();
  EXPECT_EQ(machine.reports["a.service"].active_state, "active");
  EXPECT_THAT(machine.reports["b.service"].result, HasSubstr("refuses to enable b.service"));
}

TEST(Agent, WhatWasLinkedByAFailedEnableIsRemovedWithTheUnit) {
  Machine machine;
  machine.refuses_to_enable = "a.service";
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched, 1, kEnabled)}});
  machine.Run();
  EXPECT_TRUE(machine.installed["a.service"].note.enabling);
  machine.log.clear();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kGone, 2, kEnabled));
  machine.Run();
  EXPECT_THAT(machine.log, Contains("disable a.service"));
  EXPECT_FALSE(machine.installed.contains("a.service"));
}

TEST(Agent, AnEnabledUnitIsDisabledBeforeItIsRemoved) {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched, 1, kEnabled)}});
  machine.Run();
  machine.log.clear();
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kGone, 2, kEnabled));
  machine.Run();
  EXPECT_THAT(machine.log,
              ElementsAre("stop a.service", "disable a.service", "reload", "remove a.service"));
}

TEST(Agent, AFailedStartIsReportedWithItsReasonAndNotTriedAgain) {
  Machine machine;
  machine.start_result = "failed";
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  const StateReport& report = machine.reports["a.service"];
  EXPECT_EQ(report.active_state, "failed");
  EXPECT_TRUE(report.settled);
  EXPECT_NE(report.result, "");
  EXPECT_EQ(report.log_tail, "it broke");
  machine.log.clear();
  machine.now += absl::Hours(1);
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
}

TEST(Agent, AUnitThatFailsLaterIsReportedAndLeftAlone) {
  Machine machine = Running();
  machine.Change("a.service", "failed", "failed");
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_EQ(machine.reports["a.service"].active_state, "failed");
  EXPECT_EQ(machine.reports["a.service"].result, "exit-code");
}

TEST(Agent, AFullDiskIsReportedAndTriedAgain) {
  Machine machine;
  machine.install_status = absl::ResourceExhaustedError("cannot write: disk full");
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  EXPECT_THAT(machine.log, Not(Contains("start a.service")));
  EXPECT_EQ(machine.reports["a.service"].result, "cannot write: disk full");
  machine.install_status = absl::OkStatus();
  machine.Run();
  EXPECT_THAT(machine.log, Not(Contains("start a.service")));
  machine.now = machine.agent.NextWakeup();
  machine.Run();
  EXPECT_THAT(machine.log, Contains("start a.service"));
  EXPECT_EQ(machine.reports["a.service"].result, "");
}

TEST(Agent, WhatRunsIsNotStoppedForATextThatTheDiskHasNoRoomFor) {
  Machine machine = Running();
  machine.install_status = absl::ResourceExhaustedError("cannot write: disk full");
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 2, kOther));
  machine.Run();
  EXPECT_THAT(machine.log, Not(Contains("stop a.service")));
  EXPECT_EQ(machine.reports["a.service"].active_state, "active");
  // What runs is what was asked before, and what is asked now is not done.
  EXPECT_EQ(machine.reports["a.service"].generation, 1);
  EXPECT_FALSE(machine.reports["a.service"].settled);
  EXPECT_EQ(machine.reports["a.service"].result, "cannot write: disk full");
  machine.install_status = absl::OkStatus();
  machine.now = machine.agent.NextWakeup();
  machine.Run();
  EXPECT_THAT(machine.log, Contains("stop a.service"));
  EXPECT_EQ(machine.installed["a.service"].text, kOther->text());
  EXPECT_EQ(machine.reports["a.service"].generation, 2);
  EXPECT_EQ(machine.reports["a.service"].result, "");
}

TEST(Agent, HowAFormerRunEndedIsNotWhatHindersTheNext) {
  Machine machine = Running();
  machine.Change("a.service", "failed", "failed");
  machine.Run();
  ASSERT_EQ(machine.reports["a.service"].result, "exit-code");
  machine.contents.erase(kOther->hash());
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 2, kOther));
  machine.Run();
  EXPECT_EQ(machine.reports["a.service"].generation, 1);
  EXPECT_EQ(machine.reports["a.service"].result, "its text is not in the registry");
}

TEST(Agent, NothingHindersAUnitWhoseTextIsTakenBack) {
  Machine machine = Running();
  machine.install_status = absl::ResourceExhaustedError("cannot write: disk full");
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 2, kOther));
  machine.Run();
  ASSERT_NE(machine.reports["a.service"].result, "");
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 3));
  machine.Run();
  EXPECT_EQ(machine.reports["a.service"].generation, 3);
  EXPECT_TRUE(machine.reports["a.service"].settled);
  EXPECT_EQ(machine.reports["a.service"].result, "");
}

TEST(Agent, WhetherATextCanBeInstalledIsAskedEachTimeItComes) {
  Machine machine = Running();
  machine.stop_takes_forever = true;
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 2, kOther));
  machine.Run();
  ASSERT_THAT(machine.log, Contains("stop a.service"));
  // It is taken back, and comes again when the disk is full.
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 3));
  machine.Change("a.service", "active", "running");
  machine.agent.OnStopped("a.service", std::string("canceled"));
  machine.Run();
  machine.now += absl::Minutes(1);
  machine.Run();
  machine.log.clear();
  machine.install_status = absl::ResourceExhaustedError("cannot write: disk full");
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, 4, kOther));
  machine.Run();
  EXPECT_THAT(machine.log, Not(Contains("stop a.service")));
}

TEST(Agent, ANoteThatWasNotWrittenIsWrittenAlsoWhileAJobRuns) {
  Machine machine = Running();
  machine.notes_are_written = false;
  machine.stop_takes_forever = true;
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kGone, 2));
  machine.Run();
  ASSERT_THAT(machine.log, Contains("stop a.service"));
  EXPECT_TRUE(machine.installed["a.service"].note.started);
  machine.notes_are_written = true;
  ASSERT_NE(machine.agent.NextWakeup(), absl::InfiniteFuture());
  machine.now = machine.agent.NextWakeup();
  machine.Run();
  EXPECT_FALSE(machine.installed["a.service"].note.started);
}

TEST(Agent, ANoteThatWasNotWrittenIsWrittenALittleLater) {
  Machine machine = Running();
  machine.notes_are_written = false;
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLoaded, 2));
  machine.Run();
  EXPECT_EQ(machine.installed["a.service"].note.generation, 1);
  EXPECT_EQ(machine.reports["a.service"].generation, 2);
  machine.notes_are_written = true;
  machine.Run();
  EXPECT_EQ(machine.installed["a.service"].note.generation, 1);
  ASSERT_NE(machine.agent.NextWakeup(), absl::InfiniteFuture());
  machine.now = machine.agent.NextWakeup();
  machine.Run();
  EXPECT_EQ(machine.installed["a.service"].note.generation, 2);
  EXPECT_EQ(machine.agent.NextWakeup(), absl::InfiniteFuture());
}

TEST(Agent, LeavingStopsEverythingAndReportsItGone) {
  Machine machine = Running();
  EXPECT_FALSE(machine.agent.HasLeft());
  machine.agent.BeginLeaving();
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("stop a.service", "remove a.service"));
  EXPECT_TRUE(machine.agent.HasLeft());
  EXPECT_TRUE(machine.reports["a.service"].gone);
  EXPECT_EQ(machine.reports["a.service"].generation, 1);
}

TEST(Agent, AUnitThatIsStillStartingCanBeStoppedAndRemoved) {
  for (const AssignmentState wanted : {AssignmentState::kLoaded, AssignmentState::kGone}) {
    Machine machine;
    machine.start_takes_forever = true;
    machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
    machine.Run();
    machine.log.clear();
    machine.agent.OnAssignment("a.service", Assigned(wanted, 2));
    machine.Run();
    machine.agent.OnStarted("a.service", std::string("canceled"));
    machine.Run();
    EXPECT_THAT(machine.log, Contains("stop a.service"));
    EXPECT_THAT(machine.log, Not(Contains("start a.service")));
    EXPECT_TRUE(machine.reports["a.service"].settled);
    EXPECT_EQ(machine.reports["a.service"].gone, wanted == AssignmentState::kGone);
  }
}

TEST(Agent, AUnitWhoseStartFleetdDidNotSurviveCanBeStopped) {
  Machine machine;
  machine.start_takes_forever = true;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  machine.Change("a.service", "active", "running");
  machine.log.clear();
  machine.Begin();
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLoaded)}});
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("stop a.service"));
}

TEST(Agent, WhatWasAskedForIsReportedAtOnceHoweverOften) {
  Machine machine;
  machine.agent.OnAssignments({});
  for (int generation = 1; generation <= 20; generation += 2) {
    machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kLaunched, generation));
    machine.Run();
    EXPECT_EQ(machine.reports["a.service"].active_state, "active");
    machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kGone, generation + 1));
    machine.Run();
    EXPECT_TRUE(machine.reports["a.service"].gone);
    EXPECT_EQ(machine.reports["a.service"].generation, generation + 1);
    EXPECT_EQ(machine.agent.NextReport(), absl::InfiniteFuture());
  }
}

TEST(Agent, AUnitThatWillNotStopIsNotReportedGone) {
  Machine machine = Running();
  machine.active_after_stop = "active";
  machine.agent.OnAssignment("a.service", Assigned(AssignmentState::kGone, 2));
  machine.Run();
  EXPECT_FALSE(machine.reports["a.service"].gone);
  EXPECT_TRUE(machine.installed.contains("a.service"));
  machine.active_after_stop = "inactive";
  machine.now = machine.agent.NextWakeup();
  machine.Run();
  EXPECT_TRUE(machine.reports["a.service"].gone);
}

TEST(Agent, AFlappingUnitIsReportedInBurstsAndTheLastValueWins) {
  Machine machine = Running();
  int writes = 0;
  for (int i = 0; i < 50; ++i) {
    machine.Change("a.service", i % 2 == 0 ? "activating" : "active", "x");
    writes += static_cast<int>(machine.agent.TakeReports(machine.now).size());
  }
  EXPECT_LE(writes, 5);
  EXPECT_GT(machine.agent.NextReport(), machine.now);
  machine.now = machine.agent.NextReport();
  const auto last = machine.agent.TakeReports(machine.now);
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(last[0].report->active_state, "active");
}

TEST(Agent, WhatTheRegistryHasLostIsReportedAgain) {
  Machine machine = Running();
  machine.agent.SetReported({});
  machine.reports.clear();
  machine.Run();
  EXPECT_TRUE(machine.reports.contains("a.service"));
}

TEST(Agent, AStaleReportOfAUnitThatIsNotHereIsDeleted) {
  Machine machine;
  machine.agent.OnAssignments({});
  machine.agent.SetReported({{"old.service", StateReport{.uid = "x"}}});
  machine.reports["old.service"] = {};
  machine.Run();
  EXPECT_THAT(machine.reports, IsEmpty());
}

}  // namespace
}  // namespace fleet::reconcile
