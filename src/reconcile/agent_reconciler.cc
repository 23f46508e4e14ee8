#include "reconcile/agent_reconciler.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace fleet::reconcile {

namespace {

constexpr absl::Duration kRetryDelay = absl::Seconds(2);

bool IsStopped(const host::UnitStatus& status) {
  return status.active_state.empty() || status.active_state == "inactive" ||
         status.active_state == "failed";
}

bool HasFailed(const host::UnitStatus& status) {
  return status.active_state == "failed" || status.sub_state == "auto-restart";
}

bool Wants(const std::optional<Assignment>& assignment, AssignmentState state) {
  return assignment && assignment->state == state;
}

}  // namespace

void AgentReconciler::Adopt(const std::vector<host::InstalledUnit>& installed) {
  for (const host::InstalledUnit& one : installed) {
    Unit& unit = units_[one.name];
    unit.note = one.note;
    unit.written_note = one.note;
    unit.loaded = true;
    unit.status.name = one.name;
    const auto file = UnitFile::Parse(one.text);
    unit.has_install_section = file.ok() && file->HasSection("Install");
    Touch(one.name);
  }
}

void AgentReconciler::OnUnitList(const std::vector<host::UnitStatus>& units) {
  std::set<std::string> listed;
  for (const host::UnitStatus& status : units) {
    if (!units_.contains(status.name)) continue;
    listed.insert(status.name);
    OnUnitChanged(status);
  }
  for (auto& [name, unit] : units_) {
    if (!listed.contains(name)) OnUnitRemoved(name);
  }
  if (!std::exchange(units_listed_, true)) {
    for (const auto& [name, unit] : units_) Touch(name);
  }
}

void AgentReconciler::Apply(Unit& unit, const host::UnitStatus& status) {
  const bool had_failed = HasFailed(unit.status);
  const bool ended = unit.status.active_state == "activating" && status.active_state == "inactive";
  unit.status = status;
  if (HasFailed(status) && !had_failed) unit.diagnose = true;
  if (ended && unit.start_failed) unit.tried_again = unit.diagnose = true;
  if (status.active_state == "active") {
    unit.result.clear();
    unit.log_tail.clear();
    // systemd has tried again, and that went well.
    if (std::exchange(unit.start_failed, false)) unit.error.clear();
  }
}

void AgentReconciler::OnUnitChanged(const host::UnitStatus& status) {
  const auto it = units_.find(status.name);
  if (it == units_.end()) return;
  host::UnitStatus merged = status;
  if (merged.load_state.empty()) merged.load_state = it->second.status.load_state;
  if (merged == it->second.status) return;
  Apply(it->second, merged);
  Touch(status.name);
}

void AgentReconciler::OnUnitRemoved(const std::string& name) {
  const auto it = units_.find(name);
  if (it == units_.end()) return;
  // systemd has unloaded a stopped unit; the file that we linked is still there for it to read.
  host::UnitStatus& status = it->second.status;
  if (IsStopped(status) && status.active_state != "failed" && !status.active_state.empty()) return;
  status.active_state = "inactive";
  status.sub_state = "dead";
  Touch(name);
}

void AgentReconciler::OnAssignments(const std::map<std::string, Assignment>& all) {
  for (auto& [name, unit] : units_) {
    if (!all.contains(name)) OnAssignment(name, std::nullopt);
  }
  for (const auto& [name, assignment] : all) OnAssignment(name, assignment);
  to_stop_first_.clear();
  for (const auto& [name, unit] : units_) {
    if (Wants(unit.assignment, AssignmentState::kGone) && unit.note &&
        unit.note->uid == unit.assignment->uid) {
      to_stop_first_.insert(name);
    }
    Touch(name);
  }
  assignments_read_ = true;
}

void AgentReconciler::OnAssignment(const std::string& name,
                                   const std::optional<Assignment>& assignment) {
  if (!assignment && !units_.contains(name)) return;
  Unit& unit = units_[name];
  unit.status.name = name;
  if (unit.assignment == assignment) return;
  const bool new_task = !unit.assignment || !assignment ||
                        unit.assignment->generation != assignment->generation ||
                        unit.assignment->state != assignment->state;
  if (unit.assignment &&
      (!assignment || assignment->content_hash != unit.assignment->content_hash)) {
    NoLongerNeeds(name, unit.assignment->content_hash);
    if (unit.busy == Busy::kFetching) unit.busy = Busy::kNo;
  }
  unit.assignment = assignment;
  if (!Wants(assignment, AssignmentState::kGone)) StoppedFirst(name);
  if (new_task) {
    unit.error.clear();
    unit.retry_at = absl::InfinitePast();
    retries_.erase(name);
  }
  Touch(name);
}

void AgentReconciler::BeginLeaving() {
  leaving_ = true;
  to_stop_first_.clear();
  for (auto& [name, unit] : units_) {
    unit.retry_at = absl::InfinitePast();
    Touch(name);
  }
}

bool AgentReconciler::HasLeft() const {
  return leaving_ && std::all_of(units_.begin(), units_.end(), [](const auto& entry) {
           return !entry.second.note && entry.second.busy == Busy::kNo;
         });
}

void AgentReconciler::Touch(const std::string& name) {
  dirty_.insert(name);
  report_dirty_.insert(name);
}

AgentReconciler::Unit* AgentReconciler::Find(const std::string& name, Busy expected) {
  const auto it = units_.find(name);
  if (it == units_.end() || it->second.busy != expected) return nullptr;
  it->second.busy = Busy::kNo;
  Touch(name);
  return &it->second;
}

void AgentReconciler::NoLongerNeeds(const std::string& name, const std::string& hash) {
  const auto content = contents_.find(hash);
  if (content == contents_.end()) return;
  content->second.units.erase(name);
  if (content->second.units.empty()) contents_.erase(content);
}

// Once the last tombstone found at a complete read has stopped, the others may start.
void AgentReconciler::StoppedFirst(const std::string& name) {
  if (to_stop_first_.erase(name) == 0 || !to_stop_first_.empty()) return;
  for (const auto& [other, ignored] : units_) dirty_.insert(other);
}

// The unit's task cannot go on; it is tried again a little later. What is merely out of reach for
// the moment (systemd, the registry) is not the unit's failure.
void AgentReconciler::Fail(const std::string& name, Unit& unit, const absl::Status& status) {
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
    unit.error = std::string(status.message());
    unit.start_failed = false;
  }
  unit.retry_at = absl::InfiniteFuture();  // Step() knows the time
  Touch(name);
}

void AgentReconciler::OnContent(const std::string& hash,
                                absl::StatusOr<std::shared_ptr<const UnitFile>> file) {
  const auto content = contents_.find(hash);
  if (content == contents_.end()) return;
  for (const std::string& name : content->second.units) {
    Unit* unit = Find(name, Busy::kFetching);
    if (unit != nullptr && !file.ok()) Fail(name, *unit, file.status());
  }
  if (file.ok()) {
    content->second.file = *std::move(file);
  } else {
    contents_.erase(content);
  }
}

void AgentReconciler::OnInstalled(const std::string& name, const absl::Status& status) {
  Unit* unit = Find(name, Busy::kInstalling);
  if (unit == nullptr) return;
  if (!status.ok()) {
    unit->note = unit->former_note;  // an older text is still there
    unit->written_note = unit->note;
    Fail(name, *unit, status);
  }
}

void AgentReconciler::OnRemoved(const std::string& name, const absl::Status& status) {
  Unit* unit = Find(name, Busy::kRemoving);
  if (unit == nullptr) return;
  if (!status.ok()) {
    Fail(name, *unit, status);
    return;
  }
  unit->note.reset();
  unit->loaded = false;
  unit->stop_done = false;
  unit->result.clear();
  unit->log_tail.clear();
  StoppedFirst(name);
}

void AgentReconciler::OnStarted(const std::string& name,
                                const absl::StatusOr<std::string>& job_result) {
  Unit* unit = Find(name, Busy::kStarting);
  if (unit == nullptr || !unit->note) return;
  if (absl::IsUnavailable(job_result.status())) {
    Fail(name, *unit, job_result.status());
    return;
  }
  unit->note->started = true;
  unit->note->starting = false;
  unit->loaded = true;
  unit->error.clear();
  unit->tried_again = false;
  unit->start_failed = !job_result.ok() || (*job_result != "done" && *job_result != "skipped");
  if (!job_result.ok()) {
    unit->error = std::string(job_result.status().message());
    unit->diagnose = true;
  } else if (*job_result != "done" && *job_result != "skipped") {
    unit->error = "its start job ended with " + *job_result;
    unit->diagnose = true;
  }
  if (unit->status.load_state.empty() && job_result.ok()) unit->status.load_state = "loaded";
}

void AgentReconciler::OnStopped(const std::string& name,
                                const absl::StatusOr<std::string>& job_result) {
  Unit* unit = Find(name, Busy::kStopping);
  if (unit == nullptr) return;
  if (!job_result.ok()) {
    Fail(name, *unit, job_result.status());
    return;
  }
  unit->stop_done = IsStopped(unit->status);
  if (!unit->stop_done) {
    Fail(name, *unit, absl::AbortedError("it was stopped, and is " + unit->status.active_state));
  }
}

void AgentReconciler::OnReset(const std::string& name) {
  Unit* unit = Find(name, Busy::kResetting);
  if (unit == nullptr) return;
  unit->status.active_state = "inactive";
  unit->status.sub_state = "dead";
  unit->diagnose = false;
}

void AgentReconciler::OnReloadChecked(const std::string& name, bool needed) {
  Unit* unit = Find(name, Busy::kCheckingReload);
  if (unit == nullptr) return;
  if (!needed) {
    unit->fresh_text = false;
    return;
  }
  unit->busy = Busy::kReloading;
  reloading_.insert(name);
}

void AgentReconciler::OnLoaded(const std::string& name,
                               const absl::StatusOr<host::UnitStatus>& status) {
  Unit* unit = Find(name, Busy::kLoading);
  if (unit == nullptr) return;
  if (!status.ok()) {
    Fail(name, *unit, status.status());
    return;
  }
  Apply(*unit, *status);
  unit->loaded = true;
  unit->error.clear();
}

void AgentReconciler::OnDiagnosed(const std::string& name, const std::string& result,
                                  const std::string& log_tail) {
  const auto it = units_.find(name);
  if (it == units_.end()) return;
  Unit& unit = it->second;
  unit.diagnosing = false;
  const bool tried_again = std::exchange(unit.tried_again, false);
  if (tried_again && unit.status.active_state == "inactive" && result == "success") {
    // A oneshot that systemd has tried again, with success.
    unit.start_failed = false;
    unit.error.clear();
    unit.result.clear();
    unit.log_tail.clear();
  } else if (unit.status.active_state != "active") {
    unit.result = result;
    unit.log_tail = log_tail;
  }
  report_dirty_.insert(name);
}

void AgentReconciler::OnEnabled(const std::vector<std::string>& units, const absl::Status& status) {
  for (const std::string& name : units) {
    Unit* unit = Find(name, Busy::kEnabling);
    if (unit == nullptr) continue;
    if (!status.ok() && units.size() > 1) {
      // Whose fault it was is seen one by one.
      unit->busy = Busy::kNo;
      enabling_alone_.insert(name);
      Touch(name);
      continue;
    }
    if (!status.ok()) {
      Fail(name, *unit, status);
      continue;
    }
    if (unit->note) unit->note->enabled = true;
    unit->busy = Busy::kReloading;
    reloading_.insert(name);
  }
}

void AgentReconciler::OnDisabled(const std::vector<std::string>& units,
                                 const absl::Status& status) {
  for (const std::string& name : units) {
    Unit* unit = Find(name, Busy::kDisabling);
    if (unit == nullptr) continue;
    if (!status.ok()) log::Warning("{} could not be disabled: {}", name, status.ToString());
    if (unit->note) {
      unit->note->enabled = false;
      unit->note->enabling = false;
    }
    unit->busy = Busy::kReloading;
    reloading_.insert(name);
  }
}

void AgentReconciler::OnReloaded() {
  reload_running_ = false;
  for (auto& [name, unit] : units_) {
    if (unit.busy != Busy::kReloading || reloading_.contains(name)) continue;
    unit.busy = Busy::kNo;
    unit.fresh_text = false;
    Touch(name);
  }
}

std::vector<AgentAction> AgentReconciler::Step(absl::Time now) {
  std::vector<AgentAction> actions;
  if (!units_listed_ || !(assignments_read_ || leaving_)) return actions;
  for (auto it = retries_.begin(); it != retries_.end();) {
    if (it->second > now) {
      ++it;
      continue;
    }
    Touch(it->first);
    it = retries_.erase(it);
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
  if (unit.busy != Busy::kNo) return;
  if (unit.retry_at == absl::InfiniteFuture()) unit.retry_at = now + kRetryDelay;
  if (now < unit.retry_at) {
    retries_[name] = unit.retry_at;
    return;
  }
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
  const bool same_text = unit.note && unit.note->content_hash == unit.assignment->content_hash;
  if (!same_text) {
    StepInstall(name, unit, actions);
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
    // Should it be wanted again before it has stopped, it has to be started anew.
    if (unit.note && (unit.note->started || unit.note->starting)) {
      unit.note->started = false;
      unit.note->starting = true;
      const bool may_be_wanted_again = !leaving_ && !Wants(unit.assignment, AssignmentState::kGone);
      if (may_be_wanted_again && unit.written_note != unit.note) {
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

void AgentReconciler::StepInstall(const std::string& name, Unit& unit,
                                  std::vector<AgentAction>& actions) {
  const std::string& hash = unit.assignment->content_hash;
  const bool known = contents_.contains(hash);
  PendingContent& content = contents_[hash];
  content.units.insert(name);
  if (content.file == nullptr) {
    unit.busy = Busy::kFetching;
    if (!known) actions.emplace_back(FetchContent{hash});
    return;
  }
  // A unit with an older text has to stop first, and must not be started with the old one again.
  if (unit.note && !StepStop(name, unit, actions)) return;
  if (unit.note && (unit.note->enabled || unit.note->enabling)) {
    unit.busy = Busy::kDisabling;
    disabling_.insert(name);
    return;
  }
  unit.fresh_text = !unit.status.load_state.empty() && unit.status.load_state != "not-found";
  unit.has_install_section = content.file->HasSection("Install");
  unit.loaded = false;
  unit.stop_done = false;
  unit.result.clear();
  unit.log_tail.clear();
  unit.former_note = unit.note;
  unit.note = host::UnitNote{.uid = unit.assignment->uid,
                             .generation = unit.assignment->generation,
                             .content_hash = unit.assignment->content_hash,
                             .restarts = unit.assignment->restarts,
                             .starts = unit.assignment->starts};
  unit.written_note = unit.note;
  unit.busy = Busy::kInstalling;
  actions.emplace_back(InstallUnit{{name, *unit.note, content.file->text()}});
  NoLongerNeeds(name, std::string(hash));
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

bool AgentReconciler::HasWork() const {
  return !dirty_.empty() && units_listed_ && (assignments_read_ || leaving_);
}

absl::Time AgentReconciler::NextWakeup() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [name, at] : retries_) next = std::min(next, at);
  return next;
}

size_t AgentReconciler::installed_units() const {
  return static_cast<size_t>(std::count_if(units_.begin(), units_.end(), [](const auto& entry) {
    return entry.second.note.has_value();
  }));
}

}  // namespace fleet::reconcile
