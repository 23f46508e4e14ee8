// What the agent does next for each unit. See agent_reconciler.h for the whole.

#include <utility>

#include "reconcile/agent_predicates.h"
#include "reconcile/agent_reconciler.h"

namespace fleet::reconcile {

namespace {

constexpr absl::Duration kRetryDelay = absl::Seconds(2);

}  // namespace

std::vector<AgentAction> AgentReconciler::Step(absl::Time now) {
  std::vector<AgentAction> actions;
  if (!MayAct()) return actions;
  for (auto it = retries_.begin(); it != retries_.end();) {
    if (it->second > now) {
      ++it;
      continue;
    }
    Touch(it->first);
    it = retries_.erase(it);
  }
  for (const std::string& name : std::exchange(unwritten_notes_, {})) {
    retries_.emplace(name, now + kRetryDelay);
  }
  for (const std::string& name : std::exchange(dirty_, {})) {
    const auto it = units_.find(name);
    if (it == units_.end()) continue;
    // A step may do nothing but take over a new generation, which has to be told.
    report_dirty_.insert(name);
    StepUnit(name, it->second, now, actions);
  }
  if (!enabling_.empty()) {
    actions.emplace_back(EnableUnits{{enabling_.begin(), enabling_.end()}});
    enabling_.clear();
  }
  if (!disabling_.empty()) {
    actions.emplace_back(DisableUnits{{disabling_.begin(), disabling_.end()}});
    disabling_.clear();
  }
  if (!reloading_.empty() && !reload_running_) {
    reloading_.clear();
    reload_running_ = true;
    actions.emplace_back(ReloadSystemd{});
  }
  return actions;
}

void AgentReconciler::StepUnit(const std::string& name, Unit& unit, absl::Time now,
                               std::vector<AgentAction>& actions) {
  if (unit.diagnose) {
    unit.diagnose = false;
    unit.diagnosing = true;
    actions.emplace_back(Diagnose{name});
  }
  if (unit.busy == Busy::kStarting && IsSuperseded(unit)) {
    // A start may take as long as it likes; the stop cancels it.
    unit.busy = Busy::kNo;
    unit.stop_done = false;
  } else if (unit.busy == Busy::kStarting && unit.note && unit.assignment) {
    unit.note->starts = unit.assignment->starts;  // the start under way is the answer
  }
  if (unit.busy != Busy::kNo) {
    // A job may take long, and this fleetd may not see its end.
    if (unit.note && !unit.written_note) {
      unit.written_note = unit.note;
      actions.emplace_back(WriteNote{name, *unit.note});
    }
    return;
  }
  if (unit.retry_at == absl::InfiniteFuture()) unit.retry_at = now + kRetryDelay;
  if (now < unit.retry_at) {
    retries_[name] = unit.retry_at;
    return;
  }
  if (unit.unreadable && !leaving_) return;  // whatever it asks for: kept (S3)
  const bool tombstone = Wants(unit.assignment, AssignmentState::kGone);
  if (leaving_ || (tombstone && unit.note && unit.note->uid == unit.assignment->uid)) {
    StepRemoval(name, unit, actions);
    return;
  }
  if (tombstone || !unit.assignment) return;  // nothing here, or an orphan: kept (S3)
  if (unit.note && unit.note->uid != unit.assignment->uid) {
    StepRemoval(name, unit, actions);  // a unit of this name that was destroyed before
    return;
  }
  // A text that a crash kept from being replaced is found before its unit is started. One that
  // differs although it was started has been edited by somebody, and does not stop it.
  const bool half_installed = unit.note && unit.stale_text && !unit.note->started &&
                              !unit.note->starting && IsStopped(unit.status);
  const bool same_text = unit.note && unit.note->content_hash == unit.assignment->content_hash;
  if (!same_text || half_installed) {
    StepInstall(name, unit, actions);
    return;
  }
  if (unit.edited && restores_drift_) {
    StepRewrite(name, unit, actions);
    return;
  }
  StepInstalled(name, unit, actions);
}

// Something else is asked of the unit than the start that is under way.
bool AgentReconciler::IsSuperseded(const Unit& unit) const {
  if (leaving_) return true;
  if (!unit.assignment || !unit.note) return false;
  const Assignment& wanted = *unit.assignment;
  return wanted.state != AssignmentState::kLaunched || wanted.uid != unit.note->uid ||
         wanted.content_hash != unit.note->content_hash || wanted.restarts > unit.note->restarts;
}

// True once the unit has stopped (and is no longer marked as failed).
bool AgentReconciler::StepStop(const std::string& name, Unit& unit,
                               std::vector<AgentAction>& actions) {
  if (!IsStopped(unit.status)) unit.stop_done = false;
  if (!IsStopped(unit.status) ||
      (unit.note && (unit.note->started || unit.note->starting) && !unit.stop_done)) {
    unit.busy = Busy::kStopping;
    // Should it be wanted again, it has to be started anew; by a later fleetd, too, if this one
    // does not live to see it removed.
    if (unit.note && (unit.note->started || unit.note->starting)) {
      unit.note->started = false;
      unit.note->starting = true;
      if (unit.written_note != unit.note) {
        unit.written_note = unit.note;
        actions.emplace_back(WriteNote{name, *unit.note});
      }
    }
    actions.emplace_back(StopUnit{name});
    return false;
  }
  if (unit.status.active_state == "failed") {
    unit.busy = Busy::kResetting;
    actions.emplace_back(ResetFailed{name});
    return false;
  }
  return true;
}

void AgentReconciler::StepRemoval(const std::string& name, Unit& unit,
                                  std::vector<AgentAction>& actions) {
  if (!unit.note || !StepStop(name, unit, actions)) return;
  if (unit.note->enabled || unit.note->enabling) {
    unit.busy = Busy::kDisabling;
    disabling_.insert(name);
    return;
  }
  unit.busy = Busy::kRemoving;
  enabling_alone_.erase(name);
  actions.emplace_back(RemoveUnit{name});
}

// The text that the unit is to have; null while it is being fetched.
std::shared_ptr<const UnitFile> AgentReconciler::NeedContent(const std::string& name, Unit& unit,
                                                             std::vector<AgentAction>& actions) {
  const std::string& hash = unit.assignment->content_hash;
  const bool known = contents_.contains(hash);
  PendingContent& content = contents_[hash];
  content.units.insert(name);
  if (content.file == nullptr) {
    unit.busy = Busy::kFetching;
    if (!known) actions.emplace_back(FetchContent{hash});
  }
  return content.file;
}

void AgentReconciler::StepInstall(const std::string& name, Unit& unit,
                                  std::vector<AgentAction>& actions) {
  const auto file = NeedContent(name, unit, actions);
  if (file == nullptr) return;
  const host::UnitNote note{.uid = unit.assignment->uid,
                            .generation = unit.assignment->generation,
                            .content_hash = unit.assignment->content_hash,
                            .restarts = unit.assignment->restarts,
                            .starts = unit.assignment->starts};
  // A full disk stops nothing.
  if (!IsStopped(unit.status) && unit.installable != note.content_hash) {
    unit.busy = Busy::kCheckingInstall;
    actions.emplace_back(CheckInstall{{name, note, file->text()}});
    return;
  }
  // A unit with an older text has to stop first, and must not be started with the old one again.
  if (unit.note && !StepStop(name, unit, actions)) return;
  if (unit.note && (unit.note->enabled || unit.note->enabling)) {
    unit.busy = Busy::kDisabling;
    disabling_.insert(name);
    return;
  }
  // What the guard adds comes after the text.
  unit.fresh_text = StopsOnIsolation(*file) ||
                    (!unit.status.load_state.empty() && unit.status.load_state != "not-found");
  unit.has_install_section = file->HasSection("Install");
  SetGuarded(name, StopsOnIsolation(*file));
  unit.stale_text = false;
  unit.edited = false;
  unit.stopped_by_hand = false;
  unit.loaded = false;
  unit.stop_done = false;
  unit.result.clear();
  unit.log_tail.clear();
  unit.former_note = unit.note;
  unit.note = note;
  unit.written_note = unit.note;
  unit.busy = Busy::kInstalling;
  actions.emplace_back(InstallUnit{{name, *unit.note, file->text()}});
  NoLongerNeeds(name, file->hash());
}

void AgentReconciler::StepInstalled(const std::string& name, Unit& unit,
                                    std::vector<AgentAction>& actions) {
  const bool launch = unit.assignment->state == AssignmentState::kLaunched;
  // A restart stops also what systemd has started by itself, for a socket or a timer.
  // A count that is lower is that of a registry restored from a backup: it asks for nothing (S3).
  const bool restart = unit.assignment->restarts > unit.note->restarts;
  if (restart || (!launch && (unit.note->started || unit.note->starting))) {
    if (!StepStop(name, unit, actions)) return;
    unit.note->started = false;
    unit.note->starting = false;
    unit.stop_done = false;
    unit.result.clear();
    unit.log_tail.clear();
  }
  // A start is for what has ended: what runs is left alone.
  if (launch && unit.assignment->starts > unit.note->starts && unit.note->started &&
      (IsStopped(unit.status) || HasFailed(unit.status) ||
       unit.status.active_state == "deactivating")) {
    if (unit.status.active_state == "failed") {
      unit.busy = Busy::kResetting;
      actions.emplace_back(ResetFailed{name});
      return;
    }
    unit.note->started = false;
    unit.error.clear();
    unit.result.clear();
    unit.log_tail.clear();
  }
  unit.note->generation = unit.assignment->generation;
  unit.note->restarts = unit.assignment->restarts;
  unit.note->starts = unit.assignment->starts;
  if (unit.has_install_section && !unit.note->enabled) {
    unit.busy = Busy::kEnabling;
    // Noted before, so that whatever links come of it are removed with the unit.
    unit.note->enabling = true;
    unit.written_note = *unit.note;
    actions.emplace_back(WriteNote{name, *unit.note});
    if (enabling_alone_.erase(name) > 0) {
      actions.emplace_back(EnableUnits{{name}});
    } else {
      enabling_.insert(name);
    }
  } else if ((unit.fresh_text || (launch ? !unit.note->started : !unit.loaded)) &&
             WaitsForGuard(name, unit)) {
    // OnGuard() goes on.
  } else if (unit.fresh_text) {
    unit.busy = Busy::kCheckingReload;
    actions.emplace_back(CheckReload{name});
  } else if (launch && !unit.note->started) {
    if (!to_stop_first_.empty()) return;
    // Noted before: a fleetd that dies meanwhile must know that it may run.
    unit.note->starting = true;
    unit.written_note = *unit.note;
    actions.emplace_back(WriteNote{name, *unit.note});
    unit.stop_done = false;
    unit.stopped_by_hand = false;
    unit.busy = Busy::kStarting;
    actions.emplace_back(StartUnit{name});
  } else if (!launch && !unit.loaded) {
    unit.busy = Busy::kLoading;
    actions.emplace_back(LoadUnit{name});
  }
  // The note on disk follows; what OnStarted changed is written with the next step.
  if (unit.written_note != *unit.note) {
    unit.written_note = *unit.note;
    actions.emplace_back(WriteNote{name, *unit.note});
  }
}

}  // namespace fleet::reconcile
