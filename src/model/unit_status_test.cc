#include "model/unit_status.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/hindrance.h"

namespace fleet {

void PrintTo(Progress progress, std::ostream* out) { *out << ToString(progress); }
void PrintTo(DesiredState state, std::ostream* out) { *out << ToString(state); }

namespace {

using ::testing::HasSubstr;

// A cluster with one unit, "a.service" unless named otherwise, and the machines m1 and m2.
class UnitStatusTest : public ::testing::Test {
 protected:
  UnitStatusTest() {
    for (const char* machine : {"m1", "m2"}) view_.machines.Set(std::string(machine), {});
  }

  void Want(DesiredState desired, std::string refusal = "") {
    view_.units.Set(
        unit_,
        {.value = {
             .uid = "u", .desired = desired, .content_hash = "h", .refusal = std::move(refusal)}});
  }
  void Assign(AssignmentState state, const std::string& machine = "m1", std::string uid = "u",
              int64_t generation = 1) {
    view_.assignments.Set(UnitOnMachine{unit_, machine}, {.value = {.uid = std::move(uid),
                                                                    .generation = generation,
                                                                    .content_hash = "h",
                                                                    .state = state}});
  }
  // What systemd says, as the report of generation 1 that has been acted on.
  static StateReport Says(std::string active, std::string sub, std::string result = "") {
    return {.uid = "u",
            .generation = 1,
            .load_state = "loaded",
            .active_state = std::move(active),
            .sub_state = std::move(sub),
            .settled = true,
            .result = std::move(result)};
  }
  void Report(StateReport report, const std::string& machine = "m1") {
    view_.states.Set(UnitOnMachine{unit_, machine}, {.value = std::move(report)});
  }
  UnitStatus Status() const { return StatusOf(view_, *UnitName::Parse(unit_)); }

  std::string unit_ = "a.service";
  ClusterView view_;
};

TEST_F(UnitStatusTest, InactiveIsReachedWhenNothingIsLeft) {
  Want(DesiredState::kInactive);
  EXPECT_EQ(Status().progress, Progress::kReached);
  EXPECT_EQ(Status().current, DesiredState::kInactive);
}

TEST_F(UnitStatusTest, InactiveIsPendingWhileAnAssignmentOrItsTombstoneIsLeft) {
  Want(DesiredState::kInactive);
  Assign(AssignmentState::kLaunched);
  Report(Says("active", "running"));
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().current, DesiredState::kLaunched);
  Assign(AssignmentState::kGone);
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().current, DesiredState::kInactive);
  EXPECT_EQ(Status().machine, "");
}

TEST_F(UnitStatusTest, InactiveDoesNotWaitForAnEarlierUnitOfThatName) {
  Want(DesiredState::kInactive);
  Assign(AssignmentState::kGone, "m1", "older");
  EXPECT_EQ(Status().progress, Progress::kReached);
}

TEST_F(UnitStatusTest, WaitsWithTheRefusalWhenNoMachineIsEligible) {
  Want(DesiredState::kLaunched, "no machine is eligible: there are none");
  EXPECT_EQ(Status().progress, Progress::kWaiting);
  EXPECT_EQ(Status().reason, "no machine is eligible: there are none");
}

TEST_F(UnitStatusTest, IsPendingUntilTheEngineHasLookedAtIt) {
  Want(DesiredState::kLaunched);
  EXPECT_EQ(Status().progress, Progress::kPending);
  Assign(AssignmentState::kGone);
  EXPECT_EQ(Status().progress, Progress::kPending);
}

TEST_F(UnitStatusTest, WaitsForAnotherMachineWhenItsOwnIsGoneAndTheEngineHasFoundNone) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched, "m3");
  Report(Says("active", "running"), "m3");
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().current, DesiredState::kInactive);
  EXPECT_EQ(Status().machine, "");
  EXPECT_THAT(Status().reason, HasSubstr("machine m3 is gone"));
  Want(DesiredState::kLaunched, "no machine is eligible");
  EXPECT_EQ(Status().progress, Progress::kWaiting);
  EXPECT_EQ(Status().reason, "no machine is eligible");
}

TEST_F(UnitStatusTest, SaysThatItWaitsForTheUnitThatItReplaces) {
  Want(DesiredState::kLaunched);
  UnitRecord record = view_.units.Find(unit_)->value;
  record.nominated_machine = "m1";
  view_.units.Set(unit_, {.value = record});
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_THAT(Status().reason, HasSubstr("has left machine m1"));
}

TEST_F(UnitStatusTest, IsPendingUntilTheAgentHasActed) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched);
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().machine, "m1");
  EXPECT_EQ(Status().report, nullptr);
  StateReport report = Says("activating", "start");
  report.settled = false;
  Report(report);
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().current, DesiredState::kLaunched);
  ASSERT_NE(Status().report, nullptr);
  EXPECT_EQ(Status().report->sub_state, "start");
}

TEST_F(UnitStatusTest, SaysWhatHindersItsMachine) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched, "m1", "u", 2);
  StateReport report = Says("active", "running");
  report.content_hash = "former";
  report.result = "cannot write: disk full";
  report.settled = false;
  Report(report);
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().reason,
            "cannot write: disk full; it runs on with its former text, and this is tried again");
  EXPECT_EQ(HindranceOn(view_, unit_, "m1"), Status().reason);
  EXPECT_EQ(Status().report, nullptr);
  report.active_state = "inactive";
  Report(report);
  EXPECT_EQ(Status().reason, "cannot write: disk full; this is tried again");
  // How the run ended that was asked for before is another thing.
  report = Says("failed", "failed", "exit-code");
  Report(report);
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().reason, "");
  EXPECT_EQ(HindranceOn(view_, unit_, "m1"), "");
}

TEST_F(UnitStatusTest, IsReachedWhenActiveAndSettled) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched);
  Report(Says("active", "running"));
  EXPECT_EQ(Status().progress, Progress::kReached);
  EXPECT_EQ(Status().current, DesiredState::kLaunched);
  EXPECT_EQ(Status().machine, "m1");
}

TEST_F(UnitStatusTest, AReportOfAnotherUnitOrGenerationDoesNotCount) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched, "m1", "u", 2);
  Report(Says("active", "running"));
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().current, DesiredState::kInactive);
  EXPECT_EQ(Status().report, nullptr);
  StateReport other = Says("active", "running");
  other.uid = "older";
  other.generation = 2;
  Report(other);
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().current, DesiredState::kInactive);
}

TEST_F(UnitStatusTest, WhatWasLoadedStaysLoadedWhileItsStartIsUnderWay) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched, "m1", "u", 2);
  Report(Says("inactive", "dead"));
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().current, DesiredState::kLoaded);
  StateReport gone = Says("inactive", "dead");
  gone.gone = true;
  Report(gone);
  EXPECT_EQ(Status().current, DesiredState::kInactive);
}

TEST_F(UnitStatusTest, AssignmentsThatDoNotAnswerTheRecordArePending) {
  Assign(AssignmentState::kLaunched);
  Report(Says("active", "running"));
  UnitRecord record = {.uid = "u", .desired = DesiredState::kLaunched, .content_hash = "h"};

  record.restarts = 1;
  view_.units.Set(unit_, {.value = record});
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().current, DesiredState::kLaunched);

  record.restarts = 0;
  record.content_hash = "new";
  view_.units.Set(unit_, {.value = record});
  EXPECT_EQ(Status().progress, Progress::kPending);

  record.content_hash = "h";
  record.desired = DesiredState::kLoaded;
  view_.units.Set(unit_, {.value = record});
  EXPECT_EQ(Status().progress, Progress::kPending);
}

TEST_F(UnitStatusTest, AnOldFailureDoesNotAnswerANewStart) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLoaded);
  Report(Says("failed", "failed", "exit-code"));
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().reason, "");
}

TEST_F(UnitStatusTest, FailureHasTheResultAndTheLog) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched);
  StateReport report = Says("failed", "failed", "exit-code");
  report.log_tail = "no such file";
  Report(report);
  EXPECT_EQ(Status().progress, Progress::kFailed);
  EXPECT_EQ(Status().reason, "exit-code");
  EXPECT_EQ(Status().log_tail, "no such file");
  EXPECT_EQ(Status().current, DesiredState::kLoaded);
}

TEST_F(UnitStatusTest, AutoRestartHasFailed) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched);
  Report(Says("activating", "auto-restart"));
  EXPECT_EQ(Status().progress, Progress::kFailed);
  EXPECT_EQ(Status().reason, "auto-restart");
  EXPECT_EQ(Status().current, DesiredState::kLaunched);
}

TEST_F(UnitStatusTest, AServiceThatRanToItsEndHasStarted) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched);
  Report(Says("inactive", "dead"));
  EXPECT_EQ(Status().progress, Progress::kReached);
  EXPECT_EQ(Status().current, DesiredState::kLaunched);
}

TEST_F(UnitStatusTest, AServiceNotYetStartedHasNotRanToItsEnd) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched);
  StateReport report = Says("inactive", "dead");
  report.settled = false;
  Report(report);
  EXPECT_EQ(Status().progress, Progress::kPending);
  EXPECT_EQ(Status().current, DesiredState::kLoaded);
}

TEST_F(UnitStatusTest, ASocketThatDoesNotListenHasFailed) {
  unit_ = "a.socket";
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched);
  Report(Says("active", "listening"));
  EXPECT_EQ(Status().progress, Progress::kReached);
  Report(Says("inactive", "dead"));
  EXPECT_EQ(Status().progress, Progress::kFailed);
  EXPECT_EQ(Status().reason, "inactive (dead)");
}

TEST_F(UnitStatusTest, LoadedIsReachedWhenLoadedAndNotStopping) {
  Want(DesiredState::kLoaded);
  Assign(AssignmentState::kLoaded);
  Report(Says("deactivating", "stop-sigterm"));
  EXPECT_EQ(Status().progress, Progress::kPending);
  Report(Says("inactive", "dead"));
  EXPECT_EQ(Status().progress, Progress::kReached);
  EXPECT_EQ(Status().current, DesiredState::kLoaded);
  Report(Says("failed", "failed"));
  EXPECT_EQ(Status().progress, Progress::kReached);
  Report(Says("active", "running"));  // for a socket, by systemd itself
  EXPECT_EQ(Status().progress, Progress::kReached);
}

TEST_F(UnitStatusTest, AUnitThatSystemdCannotLoadHasFailed) {
  for (const char* load_state : {"not-found", "bad-setting", "error", "masked"}) {
    for (DesiredState desired : {DesiredState::kLoaded, DesiredState::kLaunched}) {
      Want(desired);
      Assign(desired == DesiredState::kLoaded ? AssignmentState::kLoaded
                                              : AssignmentState::kLaunched);
      StateReport report = Says("inactive", "dead");
      report.load_state = load_state;
      Report(report);
      EXPECT_EQ(Status().progress, Progress::kFailed) << load_state;
      EXPECT_EQ(Status().reason, std::string("load state ") + load_state);
      EXPECT_EQ(Status().current, DesiredState::kInactive);
    }
  }
}

TEST_F(UnitStatusTest, ChoosesTheLiveAssignmentBesideATombstone) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kGone, "m1");
  Assign(AssignmentState::kLaunched, "m2");
  Report(Says("active", "running"), "m2");
  EXPECT_EQ(Status().machine, "m2");
  EXPECT_EQ(Status().progress, Progress::kReached);
}

TEST_F(UnitStatusTest, AGlobalUnitHasAStatusOnEachMachine) {
  Want(DesiredState::kLaunched);
  Assign(AssignmentState::kLaunched, "m1");
  Assign(AssignmentState::kLaunched, "m2");
  Report(Says("active", "running"), "m1");
  Report(Says("failed", "failed", "timeout"), "m2");
  const UnitName name = *UnitName::Parse(unit_);
  EXPECT_EQ(StatusOn(view_, name, "m1").progress, Progress::kReached);
  EXPECT_EQ(StatusOn(view_, name, "m2").progress, Progress::kFailed);
  EXPECT_EQ(StatusOn(view_, name, "m3").progress, Progress::kPending);
  Want(DesiredState::kInactive);
  EXPECT_EQ(StatusOn(view_, name, "m1").progress, Progress::kPending);
  EXPECT_EQ(StatusOn(view_, name, "m3").progress, Progress::kReached);
}

TEST_F(UnitStatusTest, ADestroyedUnitIsPendingWhereItsTombstoneIs) {
  Assign(AssignmentState::kGone, "m1");
  const UnitName name = *UnitName::Parse(unit_);
  EXPECT_EQ(StatusOn(view_, name, "m1").progress, Progress::kPending);
  EXPECT_EQ(StatusOn(view_, name, "m2").progress, Progress::kReached);
}

}  // namespace
}  // namespace fleet
