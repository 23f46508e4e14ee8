#include "agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "registry/codec.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"

namespace fleet::agent {
namespace {

const registry::Keys kKeys("/fleet/");

// A systemd whose jobs succeed at once, unless starts are held.
class FakeSystemd final : public host::Systemd {
 public:
  explicit FakeSystemd(Executor* executor) : executor_(executor) {}

  void SetListener(Listener* listener) override { listener_ = listener; }
  void Start(const std::string& unit, host::JobCallback done) override {
    jobs_.push_back("start " + unit);
    if (holds_starts) {
      held_.push_back(std::move(done));
      return;
    }
    End(unit, "active", "running", std::move(done));
  }
  void Stop(const std::string& unit, host::JobCallback done) override {
    jobs_.push_back("stop " + unit);
    End(unit, "inactive", "dead", std::move(done));
  }
  void ResetFailed(const std::string&, host::DoneCallback done) override { done(absl::OkStatus()); }
  void Reload(host::DoneCallback done) override { done(absl::OkStatus()); }
  void Enable(std::vector<std::string>, host::DoneCallback done) override {
    done(absl::OkStatus());
  }
  void ListUnits(host::Callback<std::vector<host::UnitStatus>> done) override {
    executor_->Post([done = std::move(done)]() mutable { done(std::vector<host::UnitStatus>()); });
  }
  void GetUnit(const std::string& unit, host::Callback<host::UnitStatus> done) override {
    done(host::UnitStatus{unit, "loaded", "inactive", "dead"});
  }
  void NeedsReload(const std::string&, host::Callback<bool> done) override { done(false); }
  void GetResult(const std::string&, host::Callback<std::string> done) override {
    done(std::string("success"));
  }

  bool holds_starts = false;
  // The conditions of those that are held did not hold.
  void SkipHeld() {
    for (host::JobCallback& done : std::exchange(held_, {})) done(std::string("done"));
  }

  // "start a.service"
  const std::vector<std::string>& jobs() const { return jobs_; }
  void Change(const std::string& unit, const std::string& active, const std::string& sub) {
    listener_->OnUnitChanged({unit, "loaded", active, sub});
  }

 private:
  void End(const std::string& unit, const std::string& active, const std::string& sub,
           host::JobCallback done) {
    executor_->Post([this, unit, active, sub, done = std::move(done)]() mutable {
      Change(unit, active, sub);
      done(std::string("done"));
    });
  }

  Executor* executor_;
  Listener* listener_ = nullptr;
  std::vector<std::string> jobs_;
  std::vector<host::JobCallback> held_;
};

class FakeUnits final : public host::UnitDirectory {
 public:
  absl::StatusOr<std::vector<host::InstalledUnit>> List() override {
    return std::vector<host::InstalledUnit>();
  }
  absl::Status Install(const host::InstalledUnit&) override { return absl::OkStatus(); }
  absl::Status CheckInstall(const host::InstalledUnit&) override { return absl::OkStatus(); }
  absl::Status WriteNote(const std::string&, const host::UnitNote&) override {
    return absl::OkStatus();
  }
  absl::Status Remove(const std::string&) override { return absl::OkStatus(); }
  absl::Status RemoveInstallLinks(const std::vector<std::string>&) override {
    return absl::OkStatus();
  }
};

class FakeJournal final : public host::Journal {
 public:
  std::string Tail(const std::string&, int) override { return ""; }
};

class FakeGuard final : public host::Guard {
 public:
  void Arm(host::GuardOrder /*order*/, host::Callback<std::set<std::string>> done) override {
    done(std::set<std::string>());
  }
};

class AgentTest : public ::testing::Test {
 protected:
  AgentTest() {
    agent_ = std::make_unique<Agent>(AgentDeps{.executor = &executor_,
                                               .store = &store_,
                                               .systemd = &systemd_,
                                               .units = &units_,
                                               .journal = &journal_,
                                               .contents = &contents_,
                                               .guard = &guard_},
                                     kKeys, "m1", MachineRecord{.token = "t"});
    EXPECT_TRUE(agent_->Start().ok());
    store_.LeaseGrant(absl::Seconds(10),
                      [&](auto granted) { agent_->OnLease(granted->id, granted->ttl); });
    executor_.Advance(absl::Seconds(1));
  }

  void Assign(const std::string& unit, AssignmentState state, int64_t generation,
              const std::string& fleet = "") {
    const auto file =
        std::make_shared<const UnitFile>(*UnitFile::Parse("[Service]\nExecStart=x\n" + fleet));
    store_.Set(kKeys.Content(file->hash()), registry::Encode(Content{file}));
    store_.Set(kKeys.Assignment("m1", unit),
               registry::Encode(Assignment{.uid = "u-" + unit,
                                           .generation = generation,
                                           .content_hash = file->hash(),
                                           .state = state}));
  }
  std::string ReportedState(const std::string& unit) {
    const auto it = store_.contents().find(kKeys.State("m1", unit));
    return it == store_.contents().end() ? ""
                                         : registry::DecodeState(it->second.value)->active_state;
  }

  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  FakeSystemd systemd_{&executor_};
  FakeUnits units_;
  FakeJournal journal_;
  FakeGuard guard_;
  DiskContentCache contents_{::testing::TempDir() + "agent-test-contents"};
  std::unique_ptr<Agent> agent_;
};

TEST_F(AgentTest, StartsWhatIsAssignedAndReportsIt) {
  Assign("a.service", AssignmentState::kLaunched, 1);
  executor_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(ReportedState("a.service"), "active");
}

TEST_F(AgentTest, AUnitThatFlapsHoldsUpNoReportOfAnother) {
  Assign("a.service", AssignmentState::kLaunched, 1);
  Assign("b.service", AssignmentState::kLaunched, 1);
  executor_.Advance(absl::Milliseconds(100));
  // Until its reports wait: what is shown is not what it is.
  for (int i = 0; i < 20; ++i) {
    systemd_.Change("a.service", i % 2 == 0 ? "reloading" : "active", "running");
    executor_.Advance(absl::Milliseconds(50));
    if (ReportedState("a.service") != (i % 2 == 0 ? "reloading" : "active")) break;
  }
  const std::string shown = ReportedState("a.service");
  executor_.Advance(absl::Milliseconds(200));
  ASSERT_EQ(ReportedState("a.service"), shown);
  Assign("b.service", AssignmentState::kLoaded, 2);
  executor_.Advance(absl::Milliseconds(200));
  EXPECT_EQ(ReportedState("b.service"), "inactive");
}

TEST_F(AgentTest, AnAssignmentThatCannotBeReadStopsNothingAlsoInACompleteRead) {
  Assign("a.service", AssignmentState::kLaunched, 1);
  executor_.Advance(absl::Milliseconds(100));
  store_.Set(kKeys.Assignment("m1", "a.service"), "garbage");
  executor_.Advance(absl::Seconds(5));
  EXPECT_EQ(ReportedState("a.service"), "active");
  store_.BreakWatches(absl::OutOfRangeError("compacted"));
  executor_.Advance(absl::Seconds(5));
  EXPECT_EQ(ReportedState("a.service"), "active");
  EXPECT_THAT(systemd_.jobs(), ::testing::ElementsAre("start a.service"));
}

TEST_F(AgentTest, AStartThatTheGuardKeptFromHappeningIsAskedForAgain) {
  systemd_.holds_starts = true;
  Assign("a.service", AssignmentState::kLaunched, 1, "[X-Fleet]\nOnIsolation=stop\n");
  executor_.Advance(absl::Seconds(1));
  ASSERT_THAT(systemd_.jobs(), ::testing::ElementsAre("start a.service"));
  for (int i = 0; i < 70; ++i) store_.FailNext(absl::UnavailableError("cut off"));
  executor_.Advance(absl::Seconds(11));  // longer than the TTL
  systemd_.SkipHeld();
  systemd_.holds_starts = false;
  executor_.Advance(absl::Seconds(10));
  EXPECT_THAT(systemd_.jobs(), ::testing::ElementsAre("start a.service", "start a.service"));
  EXPECT_EQ(ReportedState("a.service"), "active");
}

TEST_F(AgentTest, EachJoinReadsItsRecordItsStatesItsUnitsAndTheClustersIdOnce) {
  const int before = store_.ranges();
  agent_->OnLeaseLost();
  store_.LeaseGrant(absl::Seconds(10),
                    [&](auto granted) { agent_->OnLease(granted->id, granted->ttl); });
  executor_.Advance(absl::Seconds(1));
  EXPECT_EQ(store_.ranges() - before, 4);
}

TEST_F(AgentTest, AReportThatComesASecondTimeUndoesNoLaterOne) {
  Assign("a.service", AssignmentState::kLoaded, 1);
  executor_.Advance(absl::Milliseconds(100));
  ASSERT_EQ(ReportedState("a.service"), "inactive");
  const store::Txn first = store_.last_txn();
  Assign("a.service", AssignmentState::kLaunched, 2);
  executor_.Advance(absl::Milliseconds(100));
  ASSERT_EQ(ReportedState("a.service"), "active");
  store_.Commit(first, [](const absl::StatusOr<store::TxnResult>&) {});
  executor_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(ReportedState("a.service"), "active");
  // And its next one is not taken for such a one.
  const int before = store_.commits();
  Assign("a.service", AssignmentState::kLoaded, 3);
  executor_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(ReportedState("a.service"), "inactive");
  EXPECT_LE(store_.commits() - before, 2);
}

TEST_F(AgentTest, AnEmptiedRegistryStopsNothingAndIsToldWhatRuns) {
  Assign("a.service", AssignmentState::kLaunched, 1);
  executor_.Advance(absl::Milliseconds(100));
  store_.Erase(kKeys.Assignment("m1", "a.service"));
  store_.Erase(kKeys.State("m1", "a.service"));
  store_.Erase(kKeys.Machine("m1"));
  executor_.Advance(absl::Seconds(5));
  EXPECT_EQ(ReportedState("a.service"), "active");
  EXPECT_TRUE(store_.contents().contains(kKeys.Machine("m1")));
  EXPECT_THAT(systemd_.jobs(), ::testing::ElementsAre("start a.service"));
}

TEST_F(AgentTest, AfterTheEndOfItsLeaseItStopsWhatWasMovedBeforeItStartsAnything) {
  Assign("b.service", AssignmentState::kLaunched, 1);
  executor_.Advance(absl::Milliseconds(100));
  store_.EndLease(1);
  agent_->OnLeaseLost();
  // a.service comes first in the watch.
  Assign("a.service", AssignmentState::kLaunched, 2);
  executor_.Advance(absl::Seconds(1));
  Assign("b.service", AssignmentState::kGone, 3);
  executor_.Advance(absl::Seconds(1));
  EXPECT_THAT(systemd_.jobs(), ::testing::ElementsAre("start b.service"));
  store_.LeaseGrant(absl::Seconds(10),
                    [&](auto granted) { agent_->OnLease(granted->id, granted->ttl); });
  executor_.Advance(absl::Seconds(1));
  EXPECT_THAT(systemd_.jobs(),
              ::testing::ElementsAre("start b.service", "stop b.service", "start a.service"));
}

}  // namespace
}  // namespace fleet::agent
