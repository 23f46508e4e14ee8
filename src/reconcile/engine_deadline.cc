// Drains that have a deadline: what is left then stays and is named, or is stopped whatever holds
// it. See engine_reconciler.h for the whole.

#include <algorithm>
#include <utility>

#include "fmt/core.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_limits.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/planner.h"

namespace fleet::reconcile {

namespace {

// So many units are named by the event.
constexpr size_t kNamed = 3;
// Nobody tells that the wall clock was set, which deadlines go by: it is looked at so often.
constexpr absl::Duration kWallClockLook = absl::Seconds(10);

}  // namespace

// It waits for the clock, not for the machine, which may be away.
void EngineReconciler::SyncDeadline(const std::string& machine) {
  const auto* settings = view_->settings.Find(machine);
  const bool has_deadline = settings != nullptr && settings->value.drained &&
                            !settings->value.drain_expired &&
                            settings->value.drain_deadline != absl::InfiniteFuture();
  if (has_deadline) {
    timed_drains_.insert(machine);
  } else {
    timed_drains_.erase(machine);
  }
}

// The deadline has passed, and that is not in the settings yet.
bool EngineReconciler::IsOverdue(const std::string& machine) const {
  return timed_drains_.contains(machine) &&
         view_->settings.Find(machine)->value.drain_deadline <= wall_now_;
}

// What is left because it could not move by the deadline.
bool EngineReconciler::WasLeftBehind(const std::string& machine) const {
  const auto* settings = view_->settings.Find(machine);
  return settings != nullptr && settings->value.drained && settings->value.drain_expired &&
         !settings->value.IsEmptied();
}

bool EngineReconciler::IsForced(const std::string& machine) const {
  const auto* settings = view_->settings.Find(machine);
  return settings != nullptr && settings->value.IsForced();
}

// Assigned to it, and nothing is under way about them; or what the registry does not know, and
// nobody stops.
std::vector<std::string> EngineReconciler::UnitsHeldOn(const std::string& machine) const {
  std::vector<std::string> held;
  for (const std::string& unit : occupancy_.UnitsOn(machine)) {
    const auto* stored = view_->assignments.Find(UnitOnMachine{unit, machine});
    const bool is_live = stored != nullptr && stored->value.state != AssignmentState::kGone;
    if ((is_live && !in_flight_.contains(unit)) || IsStrayOn(unit, machine)) held.push_back(unit);
  }
  return held;
}

// It runs there, and the registry knows neither the unit nor that it was assigned.
bool EngineReconciler::IsStrayOn(const std::string& unit, const std::string& machine) const {
  const UnitOnMachine place = {unit, machine};
  const auto* state = view_->states.Find(place);
  return state != nullptr && !state->value.gone && view_->units.Find(unit) == nullptr &&
         view_->assignments.Find(place) == nullptr;
}

// A drain that has left nothing by its deadline has ended well, and nothing is written. Of many at
// once some wait for the next pass: explaining what holds a unit looks at all machines.
void EngineReconciler::ExpireDrains(std::vector<Decision>& decisions) {
  size_t explained = 0;
  for (const std::string& machine : timed_drains_) {
    const std::string key = SettingsKey(machine);
    if (in_flight_.contains(key)) continue;
    const Stored<MachineSettings>& stored = *view_->settings.Find(machine);
    if (!IsOverdue(machine)) {
      const absl::Duration left = stored.value.drain_deadline - wall_now_;
      next_wakeup_ = std::min(next_wakeup_, now_ + std::min(left, kWallClockLook));
      continue;
    }
    const std::vector<std::string> held = UnitsHeldOn(machine);
    if (held.empty()) continue;
    if (explained >= kMaxExplained) {
      next_wakeup_ = now_;
      return;
    }
    explained += std::min(held.size(), kNamed);
    Decision decision = Begin();
    AddUnit(decision, key);
    AddGuard(decision, {Guard::Kind::kSettings, "", machine, stored.mod_revision});
    decision.events.push_back({"drain-expired", "", machine, WhatIsHeld(machine, held)});
    MachineSettings settings = stored.value;
    settings.drain_expired = true;
    decision.writes.emplace_back(PutSettings{machine, std::move(settings)});
    Emit(std::move(decision), decisions);
  }
}

std::string EngineReconciler::WhatIsHeld(const std::string& machine,
                                         const std::vector<std::string>& held) {
  std::string text = fmt::format("the deadline of its drain has passed with {} {} left{}",
                                 held.size(), held.size() == 1 ? "unit" : "units",
                                 view_->settings.Find(machine)->value.drain_forces
                                     ? ", to be stopped whatever holds them"
                                     : "");
  const size_t named = std::min(held.size(), kNamed);
  for (size_t i = 0; i < named; ++i) {
    const std::string why = Explain(held[i]).reason;
    text += fmt::format("; {}{}{}", held[i], why.empty() ? "" : ": ", why);
  }
  if (named < held.size()) text += fmt::format("; and {} more", held.size() - named);
  return text;
}

}  // namespace fleet::reconcile
