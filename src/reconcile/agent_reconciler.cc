#include "reconcile/agent_reconciler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "base/log.h"
#include "reconcile/agent_predicates.h"

namespace fleet::reconcile {

namespace {

// systemd's words of a unit that the one to be started requires or is bound to.
bool IsOfAMissingUnit(const absl::Status& status) {
  return !status.ok() && absl::EndsWith(status.message(), " not found.");
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
    SetGuarded(one.name, file.ok() && StopsOnIsolation(*file));
    unit.stale_text = !file.ok() || file->hash() != one.note.content_hash;
    unit.edited = unit.stale_text && one.note.started;
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
    unit.stopped_by_hand = false;
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

void AgentReconciler::OnAssignments(const std::map<std::string, Assignment>& all,
                                    const std::set<std::string>& unreadable) {
  for (auto& [name, unit] : units_) {
    if (!all.contains(name) && !unreadable.contains(name)) OnAssignment(name, std::nullopt);
  }
  for (const auto& [name, assignment] : all) OnAssignment(name, assignment);
  for (const std::string& name : unreadable) OnUnreadableAssignment(name);
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
  if (std::exchange(unit.unreadable, false)) Touch(name);
  if (unit.assignment == assignment) return;
  const bool new_task = !unit.assignment || !assignment ||
                        unit.assignment->generation != assignment->generation ||
                        unit.assignment->state != assignment->state;
  if (unit.assignment &&
      (!assignment || assignment->content_hash != unit.assignment->content_hash)) {
    NoLongerNeeds(name, unit.assignment->content_hash);
    unit.installable.clear();
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

void AgentReconciler::OnUnreadableAssignment(const std::string& name) {
  const auto it = units_.find(name);
  if (it == units_.end()) return;
  it->second.unreadable = true;
  StoppedFirst(name);  // nobody knows whether it still has to
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

void AgentReconciler::OnInstallChecked(const std::string& name, const std::string& hash,
                                       const absl::Status& status) {
  Unit* unit = Find(name, Busy::kCheckingInstall);
  if (unit == nullptr) return;
  if (!status.ok()) {
    Fail(name, *unit, status);
  } else {
    unit->installable = hash;
  }
}

void AgentReconciler::OnInstalled(const std::string& name, const absl::Status& status) {
  Unit* unit = Find(name, Busy::kInstalling);
  if (unit == nullptr) return;
  unit->installable.clear();
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
  unit->stopped_by_hand = false;
  unit->edited = false;
  SetGuarded(name, false);
  unit->loaded = false;
  unit->stop_done = false;
  unit->result.clear();
  unit->log_tail.clear();
  StoppedFirst(name);
}

bool AgentReconciler::OthersAreOnTheirWay(const std::string& name) const {
  return std::any_of(units_.begin(), units_.end(), [&](const auto& entry) {
    const auto& [other, unit] = entry;
    return other != name && unit.assignment && unit.assignment->state != AssignmentState::kGone &&
           !(unit.note && unit.note->content_hash == unit.assignment->content_hash &&
             (unit.note->started || unit.loaded));
  });
}

void AgentReconciler::OnStarted(const std::string& name,
                                const absl::StatusOr<std::string>& job_result) {
  Unit* unit = Find(name, Busy::kStarting);
  if (unit == nullptr || !unit->note) return;
  if (absl::IsUnavailable(job_result.status())) {
    Fail(name, *unit, job_result.status());
    return;
  }
  // What it needs may have been assigned here as well, and not be installed yet.
  if (IsOfAMissingUnit(job_result.status()) && !unit->missed_others && OthersAreOnTheirWay(name)) {
    unit->missed_others = true;
    unit->retry_at = absl::InfiniteFuture();
    return;
  }
  unit->missed_others = false;
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

void AgentReconciler::OnNoteNotWritten(const std::string& name) {
  const auto it = units_.find(name);
  if (it == units_.end()) return;
  it->second.written_note.reset();
  unwritten_notes_.insert(name);
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

bool AgentReconciler::HasWork() const {
  return (!dirty_.empty() || !unwritten_notes_.empty()) && MayAct();
}

absl::Time AgentReconciler::NextWakeup() const {
  absl::Time next = absl::InfiniteFuture();
  if (!MayAct()) return next;
  for (const auto& [name, at] : retries_) next = std::min(next, at);
  return next;
}

size_t AgentReconciler::installed_units() const {
  return static_cast<size_t>(std::count_if(units_.begin(), units_.end(), [](const auto& entry) {
    return entry.second.note.has_value();
  }));
}

}  // namespace fleet::reconcile
