// What somebody else does to the units of this machine. See agent_reconciler.h for the whole.
//
// A stop by hand is told from an end by a job: systemd stops a unit only for a job, while one that
// ends or fails by itself has none. A job that began while the unit was up and nothing was under
// way for it here, that is not ours, and that leaves it stopped, was such a stop. (A restart leaves
// it up; a start that began while it was down is somebody's start.)

#include <utility>

#include "base/log.h"
#include "reconcile/agent_predicates.h"
#include "reconcile/agent_reconciler.h"

namespace fleet::reconcile {

void AgentReconciler::OnJobBegan(const std::string& name) {
  const auto it = units_.find(name);
  if (it == units_.end()) return;
  Unit& unit = it->second;
  const bool up = !IsStopped(unit.status) && unit.status.active_state != "deactivating";
  unit.other_job = unit.busy == Busy::kNo && unit.note && unit.note->started && up;
}

void AgentReconciler::OnOtherJobEnded(const std::string& name, const std::string& result) {
  const auto it = units_.find(name);
  if (it == units_.end() || !std::exchange(it->second.other_job, false)) return;
  Unit& unit = it->second;
  if (result != "done" || !IsStopped(unit.status) || unit.busy != Busy::kNo || leaving_) return;
  if (guarded_.contains(name) && !armed_.contains(name)) return;  // that was the guard
  if (!Wants(unit.assignment, AssignmentState::kLaunched) || unit.unreadable) return;
  log::Warning("{} was stopped, not by fleet{}", name,
               restores_drift_ ? "; it is started again (drift=restore)" : "");
  unit.stopped_by_hand = true;
  if (restores_drift_) {
    unit.note->started = false;
    // Two that stop each other must not keep systemd busy.
    unit.retry_at = absl::InfiniteFuture();
  }
  Touch(name);
}

void AgentReconciler::OnTextRead(const std::string& name, const std::string& hash) {
  const auto it = units_.find(name);
  if (it == units_.end() || !it->second.note || it->second.busy != Busy::kNo) return;
  Unit& unit = it->second;
  const bool edited = hash != unit.note->content_hash;
  if (unit.edited == edited) return;
  unit.edited = edited;
  if (edited) {
    log::Warning("the file of {} was edited{}", name,
                 restores_drift_ ? "; it is written anew (drift=restore)" : "");
  }
  Touch(name);
}

std::vector<std::string> AgentReconciler::InstalledUnits() const {
  std::vector<std::string> names;
  for (const auto& [name, unit] : units_) {
    if (unit.note) names.push_back(name);
  }
  return names;
}

std::string AgentReconciler::DriftOf(const Unit& unit) const {
  if (!unit.note) return "";
  if (unit.status.load_state == "masked") return "masked";
  if (unit.stopped_by_hand && IsStopped(unit.status)) return "stopped by hand";
  return unit.edited ? "its file was edited" : "";
}

// Writes the text that was edited as it should be. What runs goes on running.
void AgentReconciler::StepRewrite(const std::string& name, Unit& unit,
                                  std::vector<AgentAction>& actions) {
  const auto file = NeedContent(name, unit, actions);
  if (file == nullptr) return;
  unit.edited = false;
  unit.stale_text = false;
  unit.fresh_text = true;
  unit.former_note = unit.note;
  unit.busy = Busy::kInstalling;
  actions.emplace_back(InstallUnit{{name, *unit.note, file->text()}});
  NoLongerNeeds(name, file->hash());
}

}  // namespace fleet::reconcile
