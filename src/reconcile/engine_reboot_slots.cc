// Slots to reboot, which machines that update themselves ask for by FleetLock: to whom they are
// granted, and what becomes of requests. What a slot does to its machine is in engine_drain.cc. See
// engine_reconciler.h for the whole.

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "fmt/core.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_limits.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

void EngineReconciler::SyncAsker(const std::string& machine) {
  const auto* settings = view_->settings.Find(machine);
  if (settings == nullptr || settings->value.lock_group.empty()) {
    askers_.erase(machine);
  } else {
    askers_.try_emplace(machine);
  }
}

// Slots to reboot, so many in each group: those who have asked first come first. A machine that is
// away keeps its slot, for it is rebooting, and gets none; nor does one to which units are on their
// way, which would have nowhere to go. One that does not ask again would be emptied for nothing,
// and its slot be lost to the others.
void EngineReconciler::GrantSlots(std::vector<Decision>& decisions) {
  std::map<std::string, size_t> taken;  // by group
  std::set<std::tuple<absl::Time, int64_t, std::string>> asking;
  for (auto& [machine, asker] : askers_) {
    const Stored<MachineSettings>& stored = *view_->settings.Find(machine);
    if (stored.value.lock_granted || in_flight_.contains(SettingsKey(machine))) {
      ++taken[stored.value.lock_group];
    } else if (HasStoppedAsking(stored, asker)) {
      WithdrawRequest(machine, stored, decisions);
    } else if (view_->machines.Find(machine) != nullptr && !targets_.contains(machine)) {
      asking.emplace(stored.value.lock_since, stored.mod_revision, machine);
    }
  }
  for (const auto& [since, revision, machine] : asking) {
    MachineSettings settings = view_->settings.Find(machine)->value;
    size_t& slots = taken[settings.lock_group];
    if (slots >= settings_.reboot_slots) continue;
    ++slots;
    Decision decision = Begin();
    AddUnit(decision, SettingsKey(machine));
    GuardTarget(decision, machine);
    decision.events.push_back(
        {"granted", "", machine,
         fmt::format("a slot to reboot, in the group {} (FleetLock)", settings.lock_group)});
    settings.lock_granted = true;
    decision.writes.emplace_back(PutSettings{machine, std::move(settings)});
    Emit(std::move(decision), decisions);
    Close(machine, true);
  }
}

// Each request changes the settings, and counts from when this engine sees that: the clocks of two
// machines need not agree. An older version does not say that it repeats one.
bool EngineReconciler::HasStoppedAsking(const Stored<MachineSettings>& stored, Asker& asker) {
  if (asker.revision != stored.mod_revision) {
    asker = {.revision = stored.mod_revision, .seen = now_};
  }
  if (stored.value.lock_repeated == absl::InfinitePast()) return false;
  const absl::Time until = asker.seen + kSlotRequestLife;
  if (until <= now_) return true;
  next_wakeup_ = std::min(next_wakeup_, until);
  return false;
}

void EngineReconciler::WithdrawRequest(const std::string& machine,
                                       const Stored<MachineSettings>& stored,
                                       std::vector<Decision>& decisions) {
  Decision decision = Begin();
  AddUnit(decision, SettingsKey(machine));
  AddGuard(decision, {Guard::Kind::kSettings, "", machine, stored.mod_revision});
  decision.events.push_back(
      {"withdrawn", "", machine,
       fmt::format("its updater has not asked again for a slot to reboot, in the group {}, for {} "
                   "(FleetLock)",
                   stored.value.lock_group, absl::FormatDuration(kSlotRequestLife))});
  MachineSettings settings = stored.value;
  settings.GiveBackSlot();
  decision.writes.emplace_back(PutSettings{machine, std::move(settings)});
  Emit(std::move(decision), decisions);
}

// The fate of a grant is known, and what the settings say now counts.
void EngineReconciler::EndGrant(const std::string& settings_key) {
  if (!settings_key.starts_with(kSettingsPrefix)) return;
  const std::string machine = settings_key.substr(kSettingsPrefix.size());
  Close(machine, unsteady_.contains(machine));
  MarkAllDirty(waiting_);
}

// Nothing comes to a machine that is closed for another reason than its settings; one whose slot is
// being granted is, whatever is said of it otherwise.
void EngineReconciler::Close(const std::string& machine, bool closed) {
  const bool is_being_granted =
      askers_.contains(machine) && in_flight_.contains(SettingsKey(machine));
  occupancy_.SetClosed(*view_, machine, closed || is_being_granted);
}

}  // namespace fleet::reconcile
