// Against a real systemd as PID 1; run inside a machine of the lab by
// tests/functional/test_host.py.

#include "host/systemd/systemd_bus.h"

#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "host/journal.h"
#include "host/systemd/lab_fixture.h"

namespace fleet::host {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

constexpr char kSleeps[] = "[Service]\nExecStart=/bin/sleep infinity\n";

MATCHER_P(JobEnds, result, "") {
  if (!arg.ok()) *result_listener << arg.status();
  return arg.ok() && *arg == result;
}
MATCHER(IsTrue, "") { return arg.ok() && *arg; }
MATCHER(IsFalse, "") { return arg.ok() && !*arg; }

std::string Sleeps(const std::string& marker) {
  return "# " + marker + "\n[Unit]\nDescription=" + marker + "\n" + kSleeps;
}

std::vector<std::string> Numbered(const std::string& prefix, int count) {
  std::vector<std::string> names;
  for (int i = 1; i <= count; ++i) names.push_back(prefix + "@" + std::to_string(i) + ".service");
  return names;
}

// Each test over both ways to reach systemd.
class SystemdBus : public SystemdTest, public testing::WithParamInterface<bool> {
 protected:
  SystemdBus() : SystemdTest({.message_bus = GetParam()}) {}
};
INSTANTIATE_TEST_SUITE_P(Over, SystemdBus, testing::Bool(), [](const auto& over) {
  return over.param ? "MessageBus" : "PrivateSocket";
});

TEST_P(SystemdBus, StartsAndStopsAUnitThatWasJustInstalled) {
  Install("t.service", kSleeps);
  EXPECT_THAT(Start("t.service"), JobEnds("done"));
  EXPECT_EQ(Shell("systemctl is-active t.service"), "active");
  EXPECT_THAT(Stop("t.service"), JobEnds("done"));
  EXPECT_EQ(Shell("systemctl is-active t.service"), "inactive");
}

TEST_P(SystemdBus, SignalsEachStateOfAUnit) {
  Install("t.service", kSleeps);
  EXPECT_THAT(Start("t.service"), JobEnds("done"));
  WaitForSignal("t.service", "active/running");
  EXPECT_THAT(Stop("t.service"), JobEnds("done"));
  WaitForSignal("t.service", "inactive/dead");
  WaitForRemoval("t.service");
}

TEST_P(SystemdBus, TellsAStartThatFailed) {
  Install("t.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
  EXPECT_THAT(Start("t.service"), JobEnds("failed"));
  EXPECT_THAT(GetResult("t.service"), JobEnds("exit-code"));
  WaitForSignal("t.service", "failed/failed");
  EXPECT_EQ(ResetFailed("t.service"), absl::OkStatus());
  EXPECT_EQ(Shell("systemctl is-failed t.service"), "inactive");
}

TEST_P(SystemdBus, TellsAStartThatTimedOut) {
  Install("t.service", "[Service]\nType=notify\nTimeoutStartSec=200ms\nExecStart=/bin/sleep 99\n");
  EXPECT_THAT(Start("t.service"), JobEnds("failed"));
  EXPECT_THAT(GetResult("t.service"), JobEnds("timeout"));
}

TEST_P(SystemdBus, TellsAStartWhoseDependencyFailed) {
  Install("t-dep.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
  Install("t.service",
          "[Unit]\nRequires=t-dep.service\nAfter=t-dep.service\n" + std::string(kSleeps));
  EXPECT_THAT(Start("t.service"), JobEnds("dependency"));
}

TEST_P(SystemdBus, TellsAStartThatAStopReplaced) {
  Install("t.service", "[Service]\nType=notify\nExecStart=/bin/sleep 99\n");
  const auto [start, stop] = StartThenStop("t.service");
  EXPECT_THAT(start, JobEnds("canceled"));
  EXPECT_THAT(stop, JobEnds("done"));
}

TEST_P(SystemdBus, EndsStartsOfAUnitThatRunsAlready) {
  Install("t.service", kSleeps);
  EXPECT_THAT(StartAll({"t.service", "t.service", "t.service"}), Each(JobEnds("done")));
  EXPECT_THAT(StartAll({"t.service", "t.service"}), Each(JobEnds("done")));
}

TEST_P(SystemdBus, CannotStartAUnitThatIsNowhere) {
  const auto result = Start("t-nowhere.service");
  EXPECT_TRUE(absl::IsNotFound(result.status())) << result.status();
  EXPECT_THAT(result.status().message(), HasSubstr("t-nowhere.service"));
}

TEST_P(SystemdBus, TakesAUnitThatIsNowhereForStoppedAndReset) {
  EXPECT_THAT(Stop("t-nowhere.service"), JobEnds("done"));
  EXPECT_EQ(ResetFailed("t-nowhere.service"), absl::OkStatus());
}

TEST_P(SystemdBus, CannotStartAMaskedUnit) {
  Shell("ln -s /dev/null /run/systemd/system/t-masked.service");
  const auto result = Start("t-masked.service");
  EXPECT_TRUE(absl::IsFailedPrecondition(result.status())) << result.status();
  EXPECT_THAT(result.status().message(), HasSubstr("Unit t-masked.service is masked"));
  const auto unit = GetUnit("t-masked.service");
  ASSERT_TRUE(unit.ok()) << unit.status();
  EXPECT_EQ(unit->load_state, "masked");
  Shell("rm /run/systemd/system/t-masked.service");
}

TEST_P(SystemdBus, CannotStartABrokenUnit) {
  Install("t.service", "[Service]\nExecStart=relative/path\n");
  const auto result = Start("t.service");
  EXPECT_TRUE(absl::IsFailedPrecondition(result.status())) << result.status();
  EXPECT_THAT(result.status().message(), HasSubstr("bad unit file setting"));
  const auto unit = GetUnit("t.service");
  ASSERT_TRUE(unit.ok()) << unit.status();
  EXPECT_EQ(unit->load_state, "bad-setting");
}

TEST_P(SystemdBus, RefusesANameThatIsNoUnits) {
  EXPECT_TRUE(absl::IsInvalidArgument(Start("no unit").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(GetUnit("no unit").status()));
  EXPECT_FALSE(Start("\xff.service").ok());
}

TEST_P(SystemdBus, GetsAndListsUnits) {
  Install("t.service", kSleeps);
  EXPECT_EQ(*GetUnit("t.service"), (UnitStatus{"t.service", "loaded", "inactive", "dead"}));
  EXPECT_EQ(GetUnit("t-nowhere.service")->load_state, "not-found");
  EXPECT_THAT(Start("t.service"), JobEnds("done"));
  const auto units = ListUnits();
  ASSERT_TRUE(units.ok()) << units.status();
  EXPECT_THAT(*units, Contains(UnitStatus{"t.service", "loaded", "active", "running"}));
  EXPECT_THAT(*units, Contains(Field(&UnitStatus::name, "init.scope")));
}

TEST_P(SystemdBus, StartsAndStopsManyUnitsAtOnce) {
  const std::vector<std::string> units = Numbered("t", 200);
  for (const std::string& unit : units) Install(unit, kSleeps);
  EXPECT_THAT(StartAll(units), Each(JobEnds("done")));
  for (const std::string& unit : units) WaitForSignal(unit, "active/running");
  EXPECT_EQ(Shell("systemctl list-units --plain --no-legend 't@*' | wc -l"), "200");
  EXPECT_THAT(StopAll(units), Each(JobEnds("done")));
  EXPECT_EQ(Shell("systemctl list-units --plain --no-legend 't@*' | wc -l"), "0");
}

TEST_P(SystemdBus, FindsUnitsThatAreInstalledWhileOthersStart) {
  const std::vector<std::string> units = Numbered("t", 200);
  const auto results =
      StartAll(units, [&](const std::string& unit) { Install(unit, Sleeps(unit)); });
  EXPECT_THAT(results, Each(JobEnds("done")));
}

// systemd looks for files anew only if the directory's time has changed since it last did.
TEST_P(SystemdBus, FindsAUnitInstalledWithinOneTickOfAnother) {
  for (const std::string& unit : Numbered("t", 300)) {
    Install(unit, kSleeps);
    EXPECT_EQ(GetUnit(unit)->load_state, "loaded") << unit;
  }
}

TEST_P(SystemdBus, RunsTheNewTextAfterStopAndStartWithoutAReload) {
  const std::vector<std::string> units = Numbered("t", 50);
  for (const std::string marker : {"first", "second", "third"}) {
    for (const std::string& unit : units) Install(unit, Sleeps(marker));
    EXPECT_THAT(StopAll(units), Each(JobEnds("done")));
    EXPECT_THAT(StartAll(units), Each(JobEnds("done")));
    EXPECT_EQ(Shell("systemctl show -P Description 't@*' | grep . | sort | uniq -c | tr -s ' '"),
              " 50 " + marker);
    for (const std::string& unit : units) EXPECT_THAT(NeedsReload(unit), IsFalse());
  }
}

TEST_P(SystemdBus, KnowsThatARunningUnitsTextChanged) {
  Install("t.service", Sleeps("first"));
  EXPECT_THAT(NeedsReload("t.service"), IsFalse());
  EXPECT_THAT(Start("t.service"), JobEnds("done"));
  Install("t.service", Sleeps("first"));
  EXPECT_THAT(NeedsReload("t.service"), IsFalse());
  Install("t.service", Sleeps("second"));
  EXPECT_THAT(NeedsReload("t.service"), IsTrue());
  EXPECT_EQ(Reload(), absl::OkStatus());
  EXPECT_THAT(NeedsReload("t.service"), IsFalse());
  EXPECT_EQ(Shell("systemctl show -P Description t.service"), "second");
}

TEST_P(SystemdBus, AsksForAResyncAfterAReload) {
  const int before = Resyncs();
  EXPECT_EQ(Reload(), absl::OkStatus());
  WaitForResyncs(before + 1);
}

TEST_P(SystemdBus, ShowsALinkedUnitAsLinkedAtRunTime) {
  Install("t.service", kSleeps);
  EXPECT_EQ(Shell("systemctl is-enabled t.service"), "linked-runtime");
  Install("t@1.service", kSleeps);
  EXPECT_EQ(Shell("systemctl is-enabled t@1.service"), "linked-runtime");
}

TEST_P(SystemdBus, EnablesAndDisablesTheInstallSection) {
  Install("t.service",
          std::string(kSleeps) + "[Install]\nWantedBy=multi-user.target\nAlias=t-alias.service\n");
  EXPECT_EQ(Enable({"t.service"}), absl::OkStatus());
  EXPECT_EQ(Shell("readlink /run/systemd/system/multi-user.target.wants/t.service"),
            std::string(kLabUnits) + "/t.service");
  EXPECT_EQ(Reload(), absl::OkStatus());
  EXPECT_THAT(Shell("systemctl show -P Wants multi-user.target"), HasSubstr("t.service"));
  EXPECT_EQ(GetUnit("t-alias.service")->name, "t-alias.service");

  EXPECT_EQ(RemoveInstallLinks({"t.service"}), absl::OkStatus());
  EXPECT_EQ(Shell("ls /run/systemd/system/multi-user.target.wants/t.service | grep -v cannot"), "");
  EXPECT_EQ(Shell("ls /run/systemd/system | grep t-alias"), "");
  EXPECT_EQ(Reload(), absl::OkStatus());
}

TEST_P(SystemdBus, EnablesManyUnitsAtOnceAndSaysWhichIsMissing) {
  for (const char* unit : {"t1.service", "t2.service"}) {
    Install(unit, std::string(kSleeps) + "[Install]\nWantedBy=multi-user.target\n");
  }
  EXPECT_EQ(Enable({"t1.service", "t2.service"}), absl::OkStatus());
  EXPECT_EQ(Shell("ls /run/systemd/system/multi-user.target.wants | tr '\\n' ' '"),
            "t1.service t2.service ");
  EXPECT_EQ(RemoveInstallLinks({"t1.service", "t2.service"}), absl::OkStatus());
  const absl::Status status = Enable({"t-nowhere.service"});
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("t-nowhere.service"));
}

TEST_P(SystemdBus, StartsSocketsTimersAndOneshots) {
  Install("t.socket", "[Socket]\nListenStream=127.0.0.1:7999\n");
  Install("t.service", "[Service]\nExecStart=/bin/sleep infinity\n");
  Install("t.timer", "[Timer]\nOnActiveSec=1h\nUnit=t-once.service\n");
  Install("t-once.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
  Install("t.target", "[Unit]\nDescription=T\n");
  EXPECT_THAT(StartAll({"t.socket", "t.timer", "t-once.service", "t.target"}),
              Each(JobEnds("done")));
  WaitForSignal("t.socket", "active/listening");
  WaitForSignal("t.timer", "active/waiting");
  WaitForSignal("t-once.service", "inactive/dead");
  WaitForSignal("t.target", "active/active");
  for (const char* unit : {"t.socket", "t.timer", "t-once.service"}) {
    EXPECT_THAT(GetResult(unit), JobEnds("success")) << unit;
  }
  EXPECT_THAT(GetResult("t.target"), JobEnds(""));
  // A connection starts the service, which nobody here asked for.
  Shell("bash -c 'exec 3<>/dev/tcp/127.0.0.1/7999'");
  WaitForSignal("t.service", "active/running");
}

TEST_P(SystemdBus, SignalsUnitsThatOthersStart) {
  EXPECT_EQ(Shell("systemd-run -q --unit=t-other sleep infinity"), "");
  WaitForSignal("t-other.service", "active/running");
  Shell("systemctl stop t-other");
  WaitForRemoval("t-other.service");
}

TEST_P(SystemdBus, FindsTheLogOfAUnitThatFailed) {
  Install(
      "t.service",
      "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo first run; echo \"a\\tb\"; exit 3'\n");
  EXPECT_THAT(Start("t.service"), JobEnds("failed"));
  Shell("journalctl --sync");
  auto journal = OpenJournal({});
  const std::string log = journal->Tail("t.service", 10);
  EXPECT_THAT(log, AllOf(HasSubstr("first run\na b\n"), HasSubstr("status=3")));
  EXPECT_THAT(journal->Tail("t.service", 1), Not(HasSubstr("\n")));
  EXPECT_EQ(journal->Tail("t-nowhere.service", 10), "");

  EXPECT_EQ(ResetFailed("t.service"), absl::OkStatus());
  Install("t.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo second; exit 3'\n");
  EXPECT_THAT(Start("t.service"), JobEnds("failed"));
  Shell("journalctl --sync");
  EXPECT_THAT(journal->Tail("t.service", 10),
              AllOf(HasSubstr("second"), Not(HasSubstr("first run"))));
}

TEST_P(SystemdBus, CutsALongLogAtTheFront) {
  Install("t.service",
          "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'seq 10000 11999; echo end'\n");
  EXPECT_THAT(Start("t.service"), JobEnds("done"));
  Shell("journalctl --sync");
  const std::string log = OpenJournal({})->Tail("t.service", 100000);
  EXPECT_LE(log.size(), 4096U);
  EXPECT_GT(log.size(), 4000U);
  EXPECT_THAT(log, HasSubstr("11999\nend"));
}

TEST_P(SystemdBus, ConnectsAgainAfterDaemonReexec) {
  Install("t.service", kSleeps);
  EXPECT_THAT(Start("t.service"), JobEnds("done"));
  const int before = Resyncs();
  EXPECT_EQ(Shell("systemctl daemon-reexec"), "");
  WaitForResyncs(before + 1);
  EXPECT_THAT(Stop("t.service"), JobEnds("done"));
  WaitForSignal("t.service", "inactive/dead");
}

TEST_P(SystemdBus, EndsEveryJobAlthoughSystemdReexecutesAndReloads) {
  const std::vector<std::string> units = Numbered("t", 100);
  for (const std::string& unit : units) {
    Install(unit, "[Service]\nType=oneshot\nExecStart=/bin/sleep 0.2\n");
  }
  const auto results = StartAll(units, [&](const std::string& unit) {
    if (unit == "t@30.service") Shell("systemctl daemon-reload");
    if (unit == "t@60.service") Shell("systemctl daemon-reexec");
  });
  WaitForConnection();
  // All have an answer: done, or that sight of the job was lost.
  for (const auto& result : results) {
    EXPECT_TRUE(absl::IsUnavailable(result.status()) || (result.ok() && *result == "done"))
        << result.status();
  }
  EXPECT_THAT(StartAll(units), Each(JobEnds("done")));
}

TEST_P(SystemdBus, HearsAStateThatChangedAtOnceWhenAUnitAppeared) {
  // Started, and over, before anything was signalled about it.
  const std::vector<std::string> units = Numbered("t", 100);
  for (const std::string& unit : units) {
    Install(unit, "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n");
  }
  StartAll(units);
  for (const std::string& unit : units) WaitForSignal(unit, "active/exited");
}

class UserManager : public SystemdTest {
 protected:
  UserManager() : SystemdTest({.user = true}) {}
  void SetUp() override {
    ASSERT_EQ(Shell("systemctl start user@0.service"), "");
    SystemdTest::SetUp();
  }
  static std::string UserCtl(const std::string& command) {
    return Shell("XDG_RUNTIME_DIR=/run/user/0 systemctl --user " + command);
  }
};

TEST_F(UserManager, RunsUnitsOfTheUser) {
  Install("t.service", std::string(kSleeps) + "[Install]\nWantedBy=default.target\n");
  EXPECT_EQ(UserCtl("is-enabled t.service"), "linked-runtime");
  EXPECT_THAT(Start("t.service"), JobEnds("done"));
  WaitForSignal("t.service", "active/running");
  EXPECT_EQ(UserCtl("is-active t.service"), "active");
  EXPECT_EQ(Shell("systemctl is-active t.service"), "inactive");
  EXPECT_EQ(Enable({"t.service"}), absl::OkStatus());
  EXPECT_EQ(RemoveInstallLinks({"t.service"}), absl::OkStatus());
  EXPECT_EQ(Reload(), absl::OkStatus());
}

TEST_F(UserManager, ShowsTheLogOfAUsersUnit) {
  // journald asks the kernel whose line it is, and cannot once the process is gone.
  Install("t.service",
          "[Service]\nType=oneshot\n"
          "ExecStart=/bin/sh -c 'echo hello; journalctl --sync; exit 3'\n");
  EXPECT_THAT(Start("t.service"), JobEnds("failed"));
  Shell("journalctl --sync");
  EXPECT_THAT(OpenJournal({.user = true})->Tail("t.service", 10),
              AllOf(HasSubstr("hello"), HasSubstr("status=3")));
}

}  // namespace
}  // namespace fleet::host
