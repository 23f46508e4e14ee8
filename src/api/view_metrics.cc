#include "api/view_metrics.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "api/entities.h"

namespace fleet::api {
namespace {

using metrics::Type;

constexpr std::array kDesiredStates = {DesiredState::kInactive, DesiredState::kLoaded,
                                       DesiredState::kLaunched};
constexpr std::array kRolloutStates = {RolloutState::kRunning, RolloutState::kPaused,
                                       RolloutState::kDone, RolloutState::kFailed};

void Write(metrics::TextWriter& text, std::string_view name, std::string_view help, double value) {
  text.Head(name, help, Type::kGauge);
  text.Sample(name, {}, value);
}

// Of all machines that were drained by hand, present or not.
void WriteDrains(metrics::TextWriter& text, const ClusterView& view,
                 const AssignmentCounts& units) {
  std::map<std::string_view, int64_t> drains = {{"running", 0}, {"done", 0}, {"expired", 0}};
  for (const auto& [id, stored] : view.settings) {
    if (!stored.value.drained) continue;
    const bool has_units = units.Of(id) > 0;
    ++drains[!has_units ? "done" : stored.value.IsEmptied() ? "running" : "expired"];
  }
  text.Head("fleet_drains",
            "Machines that are drained, by state: running (units are left), done (none is), "
            "expired (some were left at the deadline, and stay).",
            Type::kGauge);
  for (const auto& [state, count] : drains) {
    text.Sample("fleet_drains", {{"state", state}}, static_cast<double>(count));
  }
}

void WriteRollouts(metrics::TextWriter& text, const ClusterView& view) {
  std::map<std::string_view, int64_t> rollouts;
  for (const RolloutState state : kRolloutStates) rollouts[ToString(state)] = 0;
  std::set<std::string_view> counted;  // one of several names once
  for (const auto& [name, stored] : view.rollouts) {
    if (counted.insert(stored.value.uid).second) ++rollouts[ToString(stored.value.state)];
  }
  text.Head("fleet_rollouts",
            "The last rolling update or restart of each unit or template that has had one, by "
            "state: running, paused, done, failed (rolled back).",
            Type::kGauge);
  for (const auto& [state, count] : rollouts) {
    text.Sample("fleet_rollouts", {{"state", state}}, static_cast<double>(count));
  }
}

}  // namespace

void ViewMetrics::CountUnit(const UnitRecord& unit, int64_t sign) {
  units_[static_cast<size_t>(unit.desired)] += sign;
  if (unit.desired != DesiredState::kInactive && !unit.refusal.empty()) waiting_ += sign;
}

void ViewMetrics::CountCopy(const Assignment* assignment, const StateReport* report, int64_t sign) {
  if (report != nullptr && !IsListed(*report)) report = nullptr;
  if (assignment == nullptr && report == nullptr) return;
  const auto index = [](const auto& names, std::string_view name, size_t otherwise) {
    const auto* found = std::find(names.begin(), names.end(), name);
    return found == names.end() ? otherwise : static_cast<size_t>(found - names.begin());
  };
  constexpr size_t kNone = kAssigned.size() - 1;
  constexpr size_t kUnreported = kActive.size() - 1;
  const size_t assigned = assignment ? index(kAssigned, ToString(assignment->state), kNone) : kNone;
  const size_t active =
      report ? index(kActive, report->active_state, kUnreported - 1) : kUnreported;
  copies_[assigned][active] += sign;
  if (report != nullptr && !report->drift.empty()) drifted_ += sign;
}

void ViewMetrics::CountCopyAt(const ClusterView& view, const UnitOnMachine& key, int64_t sign) {
  const Stored<Assignment>* assignment = view.assignments.Find(key);
  const Stored<StateReport>* state = view.states.Find(key);
  CountCopy(assignment ? &assignment->value : nullptr, state ? &state->value : nullptr, sign);
}

void ViewMetrics::CountAll(const ClusterView& view) {
  *this = ViewMetrics();
  for (const auto& [name, unit] : view.units) CountUnit(unit.value, 1);
  // Both are in the order of their keys.
  auto state = view.states.begin();
  const auto end = view.states.end();
  for (const auto& [key, assignment] : view.assignments) {
    for (; state != end && state->first < key; ++state) CountCopy(nullptr, &state->second.value, 1);
    const bool is_reported = state != end && state->first == key;
    CountCopy(&assignment.value, is_reported ? &state->second.value : nullptr, 1);
    if (is_reported) ++state;
  }
  for (; state != end; ++state) CountCopy(nullptr, &state->second.value, 1);
}

void ViewMetrics::Update(const ClusterView* before, const ViewChange& change) {
  const ClusterView& view = *change.view;
  if (before == nullptr || change.reset) return CountAll(view);
  // Each once, though a step may name it twice.
  std::set<std::string> units;
  std::set<UnitOnMachine> copies;
  for (const Change& c : change.changes) {
    if (c.record == Change::Record::kUnit) units.insert(c.name);
    if (c.record == Change::Record::kAssignment || c.record == Change::Record::kState) {
      copies.insert({c.name, c.machine});
    }
  }
  for (const std::string& name : units) {
    if (const auto* unit = before->units.Find(name)) CountUnit(unit->value, -1);
    if (const auto* unit = view.units.Find(name)) CountUnit(unit->value, 1);
  }
  for (const UnitOnMachine& key : copies) {
    CountCopyAt(*before, key, -1);
    CountCopyAt(view, key, 1);
  }
}

void ViewMetrics::WriteTo(metrics::TextWriter& text, const ClusterView& view,
                          const AssignmentCounts& units) const {
  text.Head("fleet_units", "Units in the cluster, by the state that is wanted of them.",
            Type::kGauge);
  for (const DesiredState desired : kDesiredStates) {
    const auto count = static_cast<double>(units_[static_cast<size_t>(desired)]);
    text.Sample("fleet_units", {{"desired_state", ToString(desired)}}, count);
  }
  Write(text, "fleet_units_waiting",
        "Units that are wanted and not placed, because no machine is eligible.",
        static_cast<double>(waiting_));

  text.Head("fleet_unit_copies",
            "Units on machines (of a global unit as many as it has machines), by what the machine "
            "is told to do with them (launched, loaded, gone; none: it was told nothing) and by "
            "systemd's active state there.",
            Type::kGauge);
  for (size_t assigned = 0; assigned < kAssigned.size(); ++assigned) {
    for (size_t active = 0; active < kActive.size(); ++active) {
      text.Sample("fleet_unit_copies",
                  {{"assigned", kAssigned[assigned]}, {"active_state", kActive[active]}},
                  static_cast<double>(copies_[assigned][active]));
    }
  }
  Write(text, "fleet_units_drifted",
        "Units on machines that somebody else has stopped, masked or edited.",
        static_cast<double>(drifted_));

  std::map<std::string_view, int64_t> machines = {{"ready", 0}, {"leaving", 0}};
  for (const auto& [id, machine] : view.machines) {
    ++machines[StateOf(machine.value, view.settings.Find(id), units.Of(id))];
  }
  text.Head("fleet_machines", "Machines that are members of the cluster, by state.", Type::kGauge);
  for (const auto& [state, count] : machines) {
    text.Sample("fleet_machines", {{"state", state}}, static_cast<double>(count));
  }

  WriteDrains(text, view, units);
  WriteRollouts(text, view);

  Write(text, "fleet_leader_present", "1 if the cluster has a leader, else 0.",
        view.leader ? 1 : 0);
  Write(text, "fleet_mass_loss_hold",
        "1 while so many machines are missing that no unit is moved off them, else 0.",
        view.hold && !view.hold->value.released ? 1 : 0);
  Write(text, "fleet_records_unreadable",
        "Records that this machine cannot read; nothing is decided about their units.",
        static_cast<double>(view.unreadable.size()));
  Write(text, "fleet_mirror_revision", "The registry's revision that this machine has got to.",
        static_cast<double>(view.revision));
}

}  // namespace fleet::api
