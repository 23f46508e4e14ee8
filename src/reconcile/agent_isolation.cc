// Units with OnIsolation=stop, which run only while the guard would stop them in time. See
// agent_reconciler.h for the whole.

#include <utility>

#include "reconcile/agent_predicates.h"
#include "reconcile/agent_reconciler.h"

namespace fleet::reconcile {

void AgentReconciler::SetGuarded(const std::string& name, bool guarded) {
  if (guarded) {
    guarded_.insert(name);
  } else {
    guarded_.erase(name);
  }
}

void AgentReconciler::OnGuard(std::set<std::string> armed, const std::string& why_not) {
  const std::string before = std::exchange(guard_problem_, why_not);
  if (armed_ == armed && before == why_not) return;
  armed_ = std::move(armed);
  for (const std::string& name : guarded_) {
    Unit& unit = units_[name];
    if (!before.empty() && unit.error == before) unit.error.clear();
    Touch(name);
  }
}

std::vector<WriteNote> AgentReconciler::OnGuardStopped(const std::set<std::string>& units) {
  std::vector<WriteNote> notes;
  for (const std::string& name : units) {
    const auto it = units_.find(name);
    if (it == units_.end() || !it->second.note) continue;
    Unit& unit = it->second;
    // Should systemd be about to end a start that the guard has cut short, that one is waited for.
    unit.note->started = false;
    unit.written_note = unit.note;
    notes.push_back({name, *unit.note});
    unit.stopped_by_hand = false;
    unit.error.clear();
    unit.result.clear();
    unit.log_tail.clear();
    Touch(name);
  }
  return notes;
}

// True while the unit must not even be loaded: what keeps it from being started by others on an
// isolated machine takes effect when systemd reads it.
bool AgentReconciler::WaitsForGuard(const std::string& name, Unit& unit) const {
  if (!guarded_.contains(name) || armed_.contains(name)) return false;
  unit.error = guard_problem_;
  return true;
}

}  // namespace fleet::reconcile
