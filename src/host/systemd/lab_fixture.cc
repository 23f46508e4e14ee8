#include "host/systemd/lab_fixture.h"

#include <cstdio>
#include <cstdlib>

namespace fleet::host {

using JobResult = absl::StatusOr<std::string>;

void SystemdTest::SetUp() {
  loop_ = std::make_unique<Loop>("machine");
  systemd_ = OpenSystemd(options_, loop_.get());
  systemd_->SetListener(this);
  thread_ = std::thread([this] { loop_->Run(); });
  WaitUntil([this] { return resyncs_ > 0; }, "the connection to systemd");
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
absl::Status SystemdTest::Disable(std::vector<std::string> units) {
  return Ask<absl::Status>([&](auto done) { systemd_->Disable(units, done); });
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

std::vector<JobResult> SystemdTest::StartAll(const std::vector<std::string>& units) {
  std::vector<JobResult> results(units.size(), absl::UnknownError("no answer"));
  if (units.empty()) return results;
  size_t missing = units.size();
  Ask<bool>([&](auto done) {
    for (size_t i = 0; i < units.size(); ++i) {
      systemd_->Start(units[i], [&, i, done](JobResult result) {
        results[i] = std::move(result);
        if (--missing == 0) done(true);
      });
    }
  });
  return results;
}

std::vector<JobResult> SystemdTest::StopAll(const std::vector<std::string>& units) {
  std::vector<JobResult> results(units.size(), absl::UnknownError("no answer"));
  if (units.empty()) return results;
  size_t missing = units.size();
  Ask<bool>([&](auto done) {
    for (size_t i = 0; i < units.size(); ++i) {
      systemd_->Stop(units[i], [&, i, done](JobResult result) {
        results[i] = std::move(result);
        if (--missing == 0) done(true);
      });
    }
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

void SystemdTest::WaitUntil(const std::function<bool()>& reached, const std::string& what) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, std::chrono::minutes(1), reached)) {
    ADD_FAILURE() << "waited a minute for " << what;
  }
}

std::vector<std::string> SystemdTest::Signalled(const std::string& unit) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> states;
  for (const UnitStatus& status : signals_) {
    if (status.name == unit) states.push_back(status.active_state + "/" + status.sub_state);
  }
  return states;
}

bool SystemdTest::WasRemoved(const std::string& unit) {
  const std::lock_guard lock(mutex_);
  return removed_.contains(unit);
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
  signals_.push_back(status);
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
