#include "fleetctl/restore_plan.h"

#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <utility>

#include "client/text.h"
#include "model/records.h"
#include "model/requirements.h"
#include "model/unit_file.h"
#include "model/unit_name.h"

namespace fleet::fleetctl {
namespace {

using Kind = UnitStep::Kind;

struct Needs {
  std::vector<std::string> machine_of;
  bool global = false;
  std::string warning;
};

// What cannot be read is left to the API, which refuses it with the cause.
Needs NeedsOf(const BackupUnit& unit) {
  Needs needs;
  const auto name = UnitName::Parse(unit.name);
  const auto file = UnitFile::Parse(unit.content);
  if (!name.ok() || !file.ok()) return needs;
  if (auto requirements = ParseRequirements(*file, *name); requirements.ok()) {
    needs.machine_of = std::move(requirements->machine_of);
    needs.global = requirements->global;
  }
  if (const absl::Status status = CheckForSubmit(*file, *name, false);
      !status.ok() && CheckForSubmit(*file, *name, true).ok())
    needs.warning = std::string(MessageOf(status));
  return needs;
}

// Kahn's algorithm, the first of those that are free each time. Units in a circle come last: the
// API refuses the one that closes it.
std::vector<size_t> ParentsFirst(const std::vector<BackupUnit>& units,
                                 const std::vector<Needs>& needs) {
  std::map<std::string_view, size_t> index;
  for (size_t i = 0; i < units.size(); ++i) index[units[i].name] = i;
  std::vector<size_t> open(units.size());
  std::vector<std::vector<size_t>> followers(units.size());
  for (size_t i = 0; i < units.size(); ++i) {
    for (const std::string& parent : needs[i].machine_of) {
      const auto it = index.find(parent);
      if (it == index.end()) continue;
      ++open[i];
      followers[it->second].push_back(i);
    }
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> free;
  for (size_t i = 0; i < units.size(); ++i) {
    if (open[i] == 0) free.push(i);
  }
  std::vector<size_t> order;
  while (!free.empty()) {
    const size_t next = free.top();
    free.pop();
    order.push_back(next);
    for (const size_t follower : followers[next]) {
      if (--open[follower] == 0) free.push(follower);
    }
  }
  for (size_t i = 0; i < units.size(); ++i) {
    if (open[i] > 0) order.push_back(i);
  }
  return order;
}

Kind KindOf(const BackupUnit& wanted, const BackupUnit* registered, bool replace) {
  if (registered == nullptr) return Kind::kRestore;
  const bool same_text = wanted.content == registered->content;
  if (same_text && wanted.desired_state == registered->desired_state) return Kind::kThere;
  if (replace) return Kind::kRestore;
  if (!same_text) return Kind::kTextDiffers;
  return ParseDesiredState(registered->desired_state) > ParseDesiredState(wanted.desired_state)
             ? Kind::kStateHigher
             : Kind::kRestore;
}

UnitStep StepOf(const BackupUnit& wanted, const Needs& needs, const BackupUnit* registered,
                bool replace) {
  UnitStep step{.kind = KindOf(wanted, registered, replace),
                .name = wanted.name,
                .desired_state = wanted.desired_state,
                .global = needs.global,
                .warning = needs.warning};
  if (registered != nullptr) {
    step.registered_state = registered->desired_state;
    step.text_differs = registered->content != wanted.content;
  }
  if (step.kind == Kind::kRestore) {
    // With its text in any case: who destroys it meanwhile gets it back.
    step.change = {.name = wanted.name,
                   .desired_state = wanted.desired_state,
                   .content = wanted.content,
                   .replace = replace,
                   .force = true,
                   // Otherwise instances would be made or destroyed until it is set.
                   .replicas = registered == nullptr ? wanted.replicas : std::nullopt,
                   .made_by_replicas = wanted.made_by_replicas};
  }
  return step;
}

MachineStep StepOf(const BackupMachine& wanted, const BackupMachine& registered, bool replace) {
  MachineStep step{.id = wanted.id};
  const auto add = [&](const std::string& key, const std::optional<std::string>& value) {
    const auto set = registered.metadata.find(key);
    const bool is_set = set != registered.metadata.end();
    const bool is_removed = registered.removed_metadata.contains(key);
    if (value ? is_set && set->second == *value : is_removed) return;
    if ((is_set || is_removed) && !replace) {
      step.kept.push_back({.key = key,
                           .registered = is_set ? set->second : "removed",
                           .wanted = value.value_or("removed")});
    } else {
      step.changes.push_back({.machine_id = wanted.id, .key = key, .value = value});
    }
  };
  for (const auto& [key, value] : wanted.metadata) add(key, value);
  for (const std::string& key : wanted.removed_metadata) add(key, std::nullopt);
  step.cordons = wanted.cordoned && !registered.cordoned && !registered.drained;
  step.drains = wanted.drained && !registered.drained;
  return step;
}

}  // namespace

RestorePlan MakeRestorePlan(const BackupDocument& backup, const BackupDocument& registry,
                            bool replace) {
  RestorePlan plan;
  std::map<std::string_view, const BackupMachine*> machines;
  for (const BackupMachine& machine : registry.machines) machines[machine.id] = &machine;
  for (const BackupMachine& machine : backup.machines) {
    const auto it = machines.find(machine.id);
    plan.machines.push_back(
        StepOf(machine, it == machines.end() ? BackupMachine{} : *it->second, replace));
  }
  std::map<std::string_view, const BackupUnit*> units;
  for (const BackupUnit& unit : registry.units) units[unit.name] = &unit;
  std::vector<Needs> needs;
  needs.reserve(backup.units.size());
  for (const BackupUnit& unit : backup.units) needs.push_back(NeedsOf(unit));
  for (const size_t i : ParentsFirst(backup.units, needs)) {
    const BackupUnit& unit = backup.units[i];
    const auto it = units.find(unit.name);
    const BackupUnit* registered = it == units.end() ? nullptr : it->second;
    plan.units.push_back(StepOf(unit, needs[i], registered, replace));
    // One that is made is made with it.
    if (registered == nullptr || registered->replicas == unit.replicas) continue;
    plan.replicas.push_back({.name = unit.name,
                             .wanted = unit.replicas,
                             .registered = replace ? std::nullopt : registered->replicas});
  }
  std::set<std::string_view> histories;
  for (const BackupHistory& history : registry.rollouts) histories.insert(history.name);
  for (const BackupHistory& history : backup.rollouts) {
    if (!history.texts.empty() && !histories.contains(history.name)) {
      plan.rollouts.push_back(history);
    }
  }
  return plan;
}

}  // namespace fleet::fleetctl
