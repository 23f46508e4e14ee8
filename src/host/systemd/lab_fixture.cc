#include "host/systemd/lab_fixture.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace fleet::host {

using JobResult = absl::StatusOr<std::string>;

void SystemdTest::SetUp() {
  loop_ = std::make_unique<Loop>("machine");
  systemd_ = OpenSystemd(options_, loop_.get());
  systemd_->SetListener(this);
  thread_ = std::thread([this] { loop_->Run(); });
  WaitForResyncs(1);
}

void SystemdTest::TearDown() {
  const std::vector<std::string> units(installed_.begin(), installed_.end());
  StopAll(units);
  for (const std::string& unit : units) {
    EXPECT_EQ(ResetFailed(unit), absl::OkStatus());
    Uninstall(unit);
  }
  loop_->Stop();
  thread_.join();
  systemd_.reset();
  loop_.reset();
}

JobResult SystemdTest::Start(const std::string& unit) { return StartAll({unit})[0]; }
JobResult SystemdTest::Stop(const std::string& unit) { return StopAll({unit})[0]; }

absl::Status SystemdTest::ResetFailed(const std::string& unit) {
  return Ask<absl::Status>([&](auto done) { systemd_->ResetFailed(unit, done); });
}
absl::Status SystemdTest::Reload() {
  return Ask<absl::Status>([&](auto done) { systemd_->Reload(done); });
}
absl::Status SystemdTest::Enable(std::vector<std::string> units) {
  return Ask<absl::Status>([&](auto done) { systemd_->Enable(units, done); });
}
absl::StatusOr<std::vector<UnitStatus>> SystemdTest::ListUnits() {
  return Ask<absl::StatusOr<std::vector<UnitStatus>>>(
      [&](auto done) { systemd_->ListUnits(done); });
}
absl::StatusOr<UnitStatus> SystemdTest::GetUnit(const std::string& unit) {
  return Ask<absl::StatusOr<UnitStatus>>([&](auto done) { systemd_->GetUnit(unit, done); });
}
absl::StatusOr<bool> SystemdTest::NeedsReload(const std::string& unit) {
  return Ask<absl::StatusOr<bool>>([&](auto done) { systemd_->NeedsReload(unit, done); });
}
absl::StatusOr<std::string> SystemdTest::GetResult(const std::string& unit) {
  return Ask<JobResult>([&](auto done) { systemd_->GetResult(unit, done); });
}

SystemdTest::Results SystemdTest::RunJobs(const std::vector<std::string>& units,
                                          void (Systemd::*job)(const std::string&, JobCallback),
                                          const std::function<void(const std::string&)>& before) {
  Results results(units.size(), absl::UnknownError("no answer"));
  if (units.empty()) return results;
  size_t missing = units.size();
  Ask<bool>([&](auto done) {
    for (size_t i = 0; i < units.size(); ++i) {
      if (before) before(units[i]);
      (systemd_.get()->*job)(units[i], [&, i, done](JobResult result) {
        results[i] = std::move(result);
        if (--missing == 0) done(true);
      });
    }
  });
  return results;
}

SystemdTest::Results SystemdTest::StartAll(const std::vector<std::string>& units,
                                           const std::function<void(const std::string&)>& before) {
  return RunJobs(units, &Systemd::Start, before);
}
SystemdTest::Results SystemdTest::StopAll(const std::vector<std::string>& units) {
  return RunJobs(units, &Systemd::Stop, {});
}

std::pair<JobResult, JobResult> SystemdTest::StartThenStop(const std::string& unit) {
  std::pair<JobResult, JobResult> results;
  int missing = 2;
  Ask<bool>([&](auto done) {
    systemd_->Start(unit, [&, done](JobResult result) {
      results.first = std::move(result);
      if (--missing == 0) done(true);
    });
    systemd_->Stop(unit, [&, done](JobResult result) {
      results.second = std::move(result);
      if (--missing == 0) done(true);
    });
  });
  return results;
}

void SystemdTest::Install(const std::string& unit, const std::string& text) {
  ASSERT_EQ(directory_.Install({unit, {.uid = "uid-of-" + unit}, text}), absl::OkStatus());
  installed_.insert(unit);
}

void SystemdTest::Uninstall(const std::string& unit) {
  EXPECT_EQ(directory_.Remove(unit), absl::OkStatus());
  installed_.erase(unit);
}

template <typename Reached>
void SystemdTest::WaitUntil(const std::string& what, Reached reached) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, std::chrono::minutes(1), reached)) {
    ADD_FAILURE() << "waited a minute for " << what;
  }
}

void SystemdTest::WaitForSignal(const std::string& unit, const std::string& state) {
  WaitUntil(unit + " to be " + state, [&] {
    const auto it = states_.find(unit);
    return it != states_.end() && it->second == state;
  });
}
void SystemdTest::WaitForRemoval(const std::string& unit) {
  WaitUntil(unit + " to be unloaded", [&] { return removed_.contains(unit); });
}
void SystemdTest::WaitForResyncs(int count) {
  WaitUntil("systemd to be there", [&] { return resyncs_ >= count; });
}

void SystemdTest::WaitForConnection() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!GetUnit("init.scope").ok()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited a minute for systemd";
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

int SystemdTest::Resyncs() {
  const std::lock_guard lock(mutex_);
  return resyncs_;
}

std::string SystemdTest::Shell(const std::string& command) {
  std::string output;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) output += static_cast<char>(c);
  pclose(pipe);
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return output;
}

void SystemdTest::OnUnitChanged(const UnitStatus& status) {
  const std::lock_guard lock(mutex_);
  states_[status.name] = status.active_state + "/" + status.sub_state;
  changed_.notify_all();
}
void SystemdTest::OnUnitRemoved(const std::string& name) {
  const std::lock_guard lock(mutex_);
  removed_.insert(name);
  changed_.notify_all();
}
void SystemdTest::OnResync() {
  const std::lock_guard lock(mutex_);
  ++resyncs_;
  changed_.notify_all();
}

}  // namespace fleet::host
