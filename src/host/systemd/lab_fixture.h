#pragma once

// For tests against a real systemd as PID 1, inside a machine of the lab: a machine loop in its own
// thread, the systemd connection and the unit directory on it, and what systemd signalled.
// The test's thread asks and waits; units are removed again at the end of each test.

#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "gtest/gtest.h"
#include "host/host.h"
#include "host/systemd/systemd_bus.h"
#include "host/unit_directory.h"

namespace fleet::host {

constexpr char kLabUnits[] = "/run/fleet-host-test/units";

class SystemdTest : public testing::Test, private Systemd::Listener {
 protected:
  explicit SystemdTest(SystemdOptions options = {})
      : directory_(kLabUnits, RuntimeLinkDirectory(options.user)), options_(options) {}
  void SetUp() override;
  void TearDown() override;

  // Asks in the loop's thread and waits for the answer. Fails the test after a minute.
  template <typename T>
  T Ask(const std::function<void(std::function<void(T)>)>& ask) {
    auto answer = std::make_shared<std::promise<T>>();
    std::future<T> future = answer->get_future();
    loop_->Post([ask, answer] { ask([answer](T value) { answer->set_value(std::move(value)); }); });
    if (future.wait_for(std::chrono::minutes(1)) != std::future_status::ready) {
      ADD_FAILURE() << "no answer within a minute";
      std::abort();  // the answer may still come, to a frame that is gone
    }
    return future.get();
  }

  absl::StatusOr<std::string> Start(const std::string& unit);
  absl::StatusOr<std::string> Stop(const std::string& unit);
  absl::Status ResetFailed(const std::string& unit);
  absl::Status Reload();
  absl::Status Enable(std::vector<std::string> units);
  absl::Status RemoveInstallLinks(const std::vector<std::string>& units) {
    return directory_.RemoveInstallLinks(units);
  }
  absl::StatusOr<std::vector<UnitStatus>> ListUnits();
  absl::StatusOr<UnitStatus> GetUnit(const std::string& unit);
  absl::StatusOr<bool> NeedsReload(const std::string& unit);
  absl::StatusOr<std::string> GetResult(const std::string& unit);

  // Starts or stops all of them at once; results in the order of the units. `before` is called in
  // the loop's thread before each is asked for.
  using Results = std::vector<absl::StatusOr<std::string>>;
  Results StartAll(const std::vector<std::string>& units,
                   const std::function<void(const std::string&)>& before = {});
  Results StopAll(const std::vector<std::string>& units);
  // Asks for both before either is done.
  std::pair<absl::StatusOr<std::string>, absl::StatusOr<std::string>> StartThenStop(
      const std::string& unit);

  // Writes and links a unit; it is stopped and removed at the end of the test.
  void Install(const std::string& unit, const std::string& text);
  void Uninstall(const std::string& unit);

  // Wait for what systemd signals. Fail the test after a minute. WaitForSignal() is content when
  // the last that was signalled about the unit is "active/sub".
  void WaitForSignal(const std::string& unit, const std::string& state);
  void WaitForRemoval(const std::string& unit);
  void WaitForResyncs(int count);
  void WaitForConnection();  // after one was lost: until systemd answers
  int Resyncs();

  // The output of a shell command in this machine, without the last line break.
  static std::string Shell(const std::string& command);

  FileUnitDirectory directory_;

 private:
  void OnUnitChanged(const UnitStatus& status) override;
  void OnUnitRemoved(const std::string& name) override;
  void OnResync() override;

  template <typename Reached>
  void WaitUntil(const std::string& what, Reached reached);
  Results RunJobs(const std::vector<std::string>& units,
                  void (Systemd::*job)(const std::string&, JobCallback),
                  const std::function<void(const std::string&)>& before);

  SystemdOptions options_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Systemd> systemd_;
  std::thread thread_;
  std::set<std::string> installed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_: what was signalled since the test began, states as "active/sub".
  std::map<std::string, std::string> states_;
  std::set<std::string> removed_;
  int resyncs_ = 0;
};

}  // namespace fleet::host
