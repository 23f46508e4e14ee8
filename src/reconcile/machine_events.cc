#include "reconcile/machine_events.h"

#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "fmt/core.h"
#include "reconcile/occupancy.h"

namespace fleet::reconcile {

namespace {

const MachineSettings& SettingsOf(const ClusterView& view, const std::string& machine) {
  static const MachineSettings kNone;
  const auto* stored = view.settings.Find(machine);
  return stored == nullptr ? kNone : stored->value;
}

bool IsUnreadable(const ClusterView& view, const std::string& key) {
  return !view.unreadable.empty() && view.unreadable.Find(key) != nullptr;
}

// The machines that may differ between the views, each once.
std::set<std::string> MachinesOf(const ClusterView& before, const ViewChange& change) {
  std::set<std::string> machines;
  for (const Change& one : change.changes) {
    if (one.record == Change::Record::kMachine || one.record == Change::Record::kSettings) {
      machines.insert(one.name);
    }
  }
  if (!change.reset) return machines;
  for (const ClusterView* view : {&before, change.view.get()}) {
    for (const auto& [machine, record] : view->machines) machines.insert(machine);
    for (const auto& [machine, settings] : view->settings) machines.insert(machine);
  }
  return machines;
}

bool IsDrainedAnew(const MachineSettings& was, const MachineSettings& is) {
  return is.drained &&
         (!was.drained || was.drain_deadline != is.drain_deadline ||
          was.drain_forces != is.drain_forces || (was.drain_expired && !is.drain_expired));
}

std::string WhyDrained(const MachineSettings& settings) {
  std::string text = "the operator has said that its units are to leave it";
  if (settings.drain_deadline == absl::InfiniteFuture()) return text;
  text += fmt::format(
      ", by {}", absl::FormatTime(absl::RFC3339_sec, settings.drain_deadline, absl::UTCTimeZone()));
  if (settings.drain_forces) text += ", when what is left is stopped";
  return text;
}

std::string WhyEmpty(const MachineSettings& settings) {
  if (settings.drained) return "nothing is left on it, which the operator has drained";
  return fmt::format(
      "nothing is left on it, which has a slot to reboot, in the group {} (FleetLock)",
      settings.lock_group);
}

}  // namespace

MachineEvents::MachineEvents() : view_(std::make_shared<const ClusterView>()) {}

void MachineEvents::Apply(const ViewChange& change) {
  const ClusterViewPtr before = std::exchange(view_, change.view);
  if (before->revision == 0 || change.other_history || view_->revision < before->revision) {
    return Begin();
  }
  std::set<std::string> drains;  // those that have begun
  for (const std::string& machine : MachinesOf(*before, change)) {
    const bool was_emptying = emptying_.contains(machine);
    Compare(*before, machine);
    if (emptying_.contains(machine) && (!was_emptying || change.reset)) drains.insert(machine);
  }
  if (!drains.empty()) FindLeft(drains);
  for (const Change& one : change.changes) {
    if (one.record == Change::Record::kAssignment || one.record == Change::Record::kState) {
      Look({one.name, one.machine});
    }
  }
  TellDrained();
}

// Those that are empty already may have been told of.
void MachineEvents::Begin() {
  emptying_.clear();
  std::set<std::string> drained;
  for (const auto& [machine, settings] : view_->settings) {
    if (settings.value.IsEmptied()) drained.insert(machine);
  }
  if (drained.empty()) return;
  FindLeft(drained);
  std::erase_if(emptying_, [](const auto& entry) { return entry.second.empty(); });
}

// Once for all of them: it goes through everything.
void MachineEvents::FindLeft(const std::set<std::string>& machines) {
  for (const std::string& machine : machines) emptying_[machine].clear();
  const auto look = [&](const UnitOnMachine& place) {
    if (machines.contains(place.machine)) Look(place);
  };
  for (const auto& [place, assignment] : view_->assignments) look(place);
  for (const auto& [place, state] : view_->states) look(place);
}

void MachineEvents::Look(const UnitOnMachine& place) {
  const auto it = emptying_.find(place.machine);
  if (it == emptying_.end()) return;
  if (IsLeft(*view_, place)) {
    it->second.insert(place.unit);
  } else {
    it->second.erase(place.unit);
  }
}

void MachineEvents::TellDrained() {
  for (auto it = emptying_.begin(); it != emptying_.end();) {
    if (!it->second.empty()) {
      ++it;
      continue;
    }
    Tell("drained", it->first, WhyEmpty(SettingsOf(*view_, it->first)));
    it = emptying_.erase(it);
  }
}

std::vector<EventEntry> MachineEvents::Take() { return std::exchange(events_, {}); }

// A record that cannot be read is neither present nor absent (S3).
void MachineEvents::Compare(const ClusterView& before, const std::string& machine) {
  const auto is_unreadable = [&](const std::string& key) {
    return IsUnreadable(before, key) || IsUnreadable(*view_, key);
  };
  if (!is_unreadable("machines/" + machine)) ComparePresence(before, machine);
  if (is_unreadable("settings/" + machine)) {
    emptying_.erase(machine);
  } else {
    CompareSettings(SettingsOf(before, machine), SettingsOf(*view_, machine), machine);
  }
}

void MachineEvents::ComparePresence(const ClusterView& before, const std::string& machine) {
  const auto* was = before.machines.Find(machine);
  const auto* is = view_->machines.Find(machine);
  // It may have gone and come back between two views.
  const bool is_same =
      was != nullptr && is != nullptr && was->create_revision == is->create_revision;
  if (is_same) {
    const std::string& boot = was->value.boot_id;
    if (!boot.empty() && !is->value.boot_id.empty() && boot != is->value.boot_id) {
      Tell("machine-joined", machine, "it has booted again, before its lease had ended");
    }
    return;
  }
  if (was != nullptr && was->value.leaving) {
    Tell("machine-left", machine, "it has left the cluster");
  } else if (was != nullptr) {
    Tell("machine-lost", machine, "its lease has ended");
  }
  if (is != nullptr) Tell("machine-joined", machine, "it has joined the cluster");
}

void MachineEvents::CompareSettings(const MachineSettings& was, const MachineSettings& is,
                                    const std::string& machine) {
  if (was == is) return;
  if (was.lock_granted && !is.lock_granted) {
    Tell("returned", machine,
         fmt::format("its slot to reboot, in the group {}, has been given back (FleetLock)",
                     was.lock_group));
  }
  if (!was.cordoned && is.cordoned) {
    Tell("cordoned", machine, "the operator has said that nothing new comes to it");
  }
  if (!was.forgotten && (was.cordoned || was.drained) && !is.cordoned && !is.drained) {
    Tell("uncordoned", machine, "the operator has said that it takes units again");
  }
  const bool is_drained_anew = IsDrainedAnew(was, is);
  const bool is_granted = !was.lock_granted && is.lock_granted;
  if (is_drained_anew) Tell("draining", machine, WhyDrained(is));
  if (is_granted) {
    Tell("draining", machine,
         fmt::format("it has a slot to reboot, in the group {} (FleetLock)", is.lock_group));
  }
  if (!is.IsEmptied()) {
    emptying_.erase(machine);
  } else if (is_drained_anew || is_granted) {
    emptying_.try_emplace(machine);  // what is left is looked for by Apply()
  }
}

void MachineEvents::Tell(const char* kind, const std::string& machine, std::string reason) {
  events_.push_back({kind, "", machine, std::move(reason)});
}

}  // namespace fleet::reconcile
