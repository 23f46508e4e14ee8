#include "host/metered_systemd.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/metered.h"

namespace fleet::host {
namespace {

// systemd's words (org.freedesktop.systemd1(5), JobRemoved); a later one must not add labels.
std::string_view ResultOf(const absl::StatusOr<std::string>& result) {
  static constexpr std::array<std::string_view, 8> kResults = {
      "done", "canceled", "timeout", "failed", "dependency", "skipped", "invalid", "unsupported"};
  if (!result.ok()) return "error";
  const auto* found = std::find(kResults.begin(), kResults.end(), *result);
  return found == kResults.end() ? "other" : *found;
}
std::string_view ResultOf(const absl::Status& status) { return status.ok() ? "ok" : "error"; }

class MeteredSystemd final : public Systemd {
 public:
  MeteredSystemd(std::unique_ptr<Systemd> systemd, Executor* executor, SystemdMetrics* metrics)
      : systemd_(std::move(systemd)), executor_(executor), metrics_(metrics) {}

  void SetListener(Listener* listener) override { systemd_->SetListener(listener); }
  void Start(const std::string& unit, JobCallback done) override {
    systemd_->Start(unit, Metered<absl::StatusOr<std::string>>("start", std::move(done)));
  }
  void Stop(const std::string& unit, JobCallback done) override {
    systemd_->Stop(unit, Metered<absl::StatusOr<std::string>>("stop", std::move(done)));
  }
  void ResetFailed(const std::string& unit, DoneCallback done) override {
    systemd_->ResetFailed(unit, Metered<absl::Status>("reset_failed", std::move(done)));
  }
  void Reload(DoneCallback done) override {
    systemd_->Reload(Metered<absl::Status>("reload", std::move(done)));
  }
  void Enable(std::vector<std::string> units, DoneCallback done) override {
    systemd_->Enable(std::move(units), Metered<absl::Status>("enable", std::move(done)));
  }
  void ListUnits(Callback<std::vector<UnitStatus>> done) override {
    systemd_->ListUnits(std::move(done));
  }
  void GetUnit(const std::string& unit, Callback<UnitStatus> done) override {
    systemd_->GetUnit(unit, std::move(done));
  }
  void NeedsReload(const std::string& unit, Callback<bool> done) override {
    systemd_->NeedsReload(unit, std::move(done));
  }
  void GetResult(const std::string& unit, Callback<std::string> done) override {
    systemd_->GetResult(unit, std::move(done));
  }

 private:
  // `done`, counted when it is called.
  template <typename Answer>
  absl::AnyInvocable<void(Answer)> Metered(std::string_view kind,
                                           absl::AnyInvocable<void(Answer)> done) {
    return metrics::Metered(
        metrics::Asked{metrics_->jobs, metrics_->durations}, executor_, kind,
        [](const Answer& answer) { return ResultOf(answer); }, std::move(done));
  }

  std::unique_ptr<Systemd> systemd_;
  Executor* const executor_;
  SystemdMetrics* const metrics_;
};

}  // namespace

SystemdMetrics::SystemdMetrics(metrics::Registry& registry)
    : jobs(registry.Counters({"fleet_agent_jobs_total",
                              "What this machine's systemd was asked to do, by how it ended.",
                              {"kind", "result"}})),
      durations(registry.Histograms({"fleet_agent_job_duration_seconds",
                                     "Time from asking systemd until the job ended.",
                                     {"kind"}})) {}

std::unique_ptr<Systemd> MeterSystemd(std::unique_ptr<Systemd> systemd, Executor* executor,
                                      SystemdMetrics* metrics) {
  return std::make_unique<MeteredSystemd>(std::move(systemd), executor, metrics);
}

}  // namespace fleet::host
