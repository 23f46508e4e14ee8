#pragma once

// A machine in memory for tests of the agent's decisions: carries its actions out, one after the
// other, and keeps a record of them.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "reconcile/agent_reconciler.h"

namespace fleet::reconcile::testing {

inline std::shared_ptr<const UnitFile> File(const std::string& text) {
  return std::make_shared<const UnitFile>(*UnitFile::Parse(text));
}

inline const auto kSleep = File("[Service]\nExecStart=/bin/sleep 1d\n");
inline const auto kOther = File("[Service]\nExecStart=/bin/sleep 2d\n");
inline const auto kEnabled =
    File("[Service]\nExecStart=/bin/sleep 1d\n[Install]\nWantedBy=multi-user.target\n");

inline Assignment Assigned(AssignmentState state, int64_t generation = 1,
                           const std::shared_ptr<const UnitFile>& file = kSleep) {
  return {.uid = "uid", .generation = generation, .content_hash = file->hash(), .state = state};
}

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
  bool notes_are_written = true;
  bool needs_reload = false;
  std::string refuses_to_enable;
  std::string diagnosis = "exit-code";
  std::string active_after_stop = "inactive";
  std::string active_after_failed_start = "failed";

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
  void Do(const CheckInstall& a) {
    agent.OnInstallChecked(a.unit.name, a.unit.note.content_hash, install_status);
  }
  void Do(const InstallUnit& a) {
    log.push_back("install " + a.unit.name);
    if (install_status.ok()) installed[a.unit.name] = a.unit;
    agent.OnInstalled(a.unit.name, install_status);
  }
  void Do(const WriteNote& a) {
    if (notes_are_written) {
      installed[a.unit].note = a.note;
    } else {
      agent.OnNoteNotWritten(a.unit);
    }
  }
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
      Change(a.unit, active_after_failed_start, "failed");
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
inline Machine Running() {
  Machine machine;
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kLaunched)}});
  machine.Run();
  machine.log.clear();
  return machine;
}

}  // namespace fleet::reconcile::testing
