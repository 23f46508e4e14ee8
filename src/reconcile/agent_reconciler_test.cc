#include "reconcile/agent_reconciler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace fleet::reconcile {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::shared_ptr<const UnitFile> File(const std::string& text) {
  return std::make_shared<const UnitFile>(*UnitFile::Parse(text));
}

const auto kSleep = File("[Service]\nExecStart=/bin/sleep 1d\n");
const auto kOther = File("[Service]\nExecStart=/bin/sleep 2d\n");
const auto kEnabled =
    File("[Service]\nExecStart=/bin/sleep 1d\n[Install]\nWantedBy=multi-user.target\n");

Assignment Assigned(AssignmentState state, int64_t generation = 1,
                    const std::shared_ptr<const UnitFile>& file = kSleep) {
  return {.uid = "uid", .generation = generation, .content_hash = file->hash(), .state = state};
}

// Carries actions out on a machine in memory, one after the other, and keeps a record of them.
class Machine {
 public:
  Machine() { Begin(); }

  // A fleetd starts on what is here.
  void Begin() {
    agent = AgentReconciler();
    std::vector<host::InstalledUnit> all;
    for (const auto& [name, unit] : installed) all.push_back(unit);
    agent.Adopt(all);
    std::vector<host::UnitStatus> list;
    for (const auto& [name, status] : statuses) list.push_back(status);
    agent.OnUnitList(list);
  }

  void Run() {
    for (int i = 0; i < 100; ++i) {
      const auto actions = agent.Step(now);
      if (actions.empty()) break;
      for (const AgentAction& action : actions) {
        std::visit([this](const auto& a) { Do(a); }, action);
      }
    }
    for (StateWrite& write : agent.TakeReports(now)) {
      if (write.report) {
        reports[write.unit] = *write.report;
      } else {
        reports.erase(write.unit);
      }
    }
  }

  // systemd says that the unit is in another state.
  void Change(const std::string& unit, const std::string& active, const std::string& sub) {
    statuses[unit] = {unit, "loaded", active, sub};
    agent.OnUnitChanged(statuses[unit]);
  }

  AgentReconciler agent;
  absl::Time now = absl::UnixEpoch();
  std::map<std::string, std::shared_ptr<const UnitFile>> contents = {
      {kSleep->hash(), kSleep}, {kOther->hash(), kOther}, {kEnabled->hash(), kEnabled}};
  std::map<std::string, host::InstalledUnit> installed;
  std::map<std::string, host::UnitStatus> statuses;
  std::map<std::string, StateReport> reports;
  std::vector<std::string> log;  // "start a.service"
  std::string start_result = "done";
  bool start_takes_forever = false;
  bool stop_takes_forever = false;
  absl::Status install_status;
  bool needs_reload = false;
  std::string refuses_to_enable;
  std::string diagnosis = "exit-code";
  std::string active_after_stop = "inactive";

 private:
  void Do(const FetchContent& a) {
    log.push_back("fetch");
    const auto it = contents.find(a.hash);
    if (it == contents.end()) {
      agent.OnContent(a.hash, absl::NotFoundError("its text is not in the registry"));
    } else {
      agent.OnContent(a.hash, it->second);
    }
  }
  void Do(const InstallUnit& a) {
    log.push_back("install " + a.unit.name);
    if (install_status.ok()) installed[a.unit.name] = a.unit;
    agent.OnInstalled(a.unit.name, install_status);
  }
  void Do(const WriteNote& a) { installed[a.unit].note = a.note; }
  void Do(const RemoveUnit& a) {
    log.push_back("remove " + a.unit);
    installed.erase(a.unit);
    agent.OnRemoved(a.unit, absl::OkStatus());
  }
  void Do(const StartUnit& a) {
    log.push_back("start " + a.unit);
    if (start_takes_forever) {
      Change(a.unit, "activating", "start");
      return;
    }
    if (start_result == "done") {
      Change(a.unit, "active", "running");
    } else {
      Change(a.unit, "failed", "failed");
    }
    agent.OnStarted(a.unit, start_result);
  }
  void Do(const StopUnit& a) {
    log.push_back("stop " + a.unit);
    if (stop_takes_forever) {
      Change(a.unit, "deactivating", "stop");
      return;
    }
    Change(a.unit, active_after_stop, "dead");
    agent.OnStopped(a.unit, std::string("done"));
  }
  void Do(const ResetFailed& a) {
    log.push_back("reset " + a.unit);
    statuses[a.unit].active_state = "inactive";
    agent.OnReset(a.unit);
  }
  void Do(const CheckReload& a) { agent.OnReloadChecked(a.unit, needs_reload); }
  void Do(const LoadUnit& a) {
    log.push_back("load " + a.unit);
    agent.OnLoaded(a.unit, host::UnitStatus{a.unit, "loaded", "inactive", "dead"});
  }
  void Do(const Diagnose& a) { agent.OnDiagnosed(a.unit, diagnosis, "it broke"); }
  void Do(const EnableUnits& a) {
    for (const std::string& unit : a.units) log.push_back("enable " + unit);
    const bool refused = std::count(a.units.begin(), a.units.end(), refuses_to_enable) > 0;
    agent.OnEnabled(a.units, refused ? absl::InvalidArgumentError("systemd refuses to enable " +
                                                                  refuses_to_enable)
                                     : absl::OkStatus());
  }
  void Do(const DisableUnits& a) {
    for (const std::string& unit : a.units) log.push_back("disable " + unit);
    agent.OnDisabled(a.units, absl::OkStatus());
  }
  void Do(const ReloadSystemd&) {
    log.push_back("reload");
    agent.OnReloaded();
  }
};

// A machine that runs a.service, which was assigned to it.
Machine Running() {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  machine.log.clear();
  return machine;
}

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
  EXPECT_FALSE(machine.reports["a.service"].gone);
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
