#include "reconcile/simulation.h"

#include <memory>
#include <set>
#include <utility>

namespace fleet::reconcile {

SimulatedRegistry::SimulatedRegistry(const ClusterView& view)
    : view_(view), revision_(view.revision) {
  for (const auto& [id, record] : view_.machines) machines_.push_back(id);
}

template <typename T>
Stored<T> SimulatedRegistry::Store(T value, const Stored<T>* before) const {
  return {std::move(value), before == nullptr ? revision_ : before->create_revision, revision_};
}

void SimulatedRegistry::Note(Change::Record record, const std::string& name,
                             const std::string& machine) {
  changes_.push_back({record, name, machine});
}

void SimulatedRegistry::PutUnit(const std::string& name, UnitRecord record) {
  ++revision_;
  view_.units.Set(name, Store(std::move(record), view_.units.Find(name)));
  Note(Change::Record::kUnit, name);
}

void SimulatedRegistry::EraseUnit(const std::string& name) {
  ++revision_;
  view_.units.Erase(name);
  Note(Change::Record::kUnit, name);
}

void SimulatedRegistry::PutContent(std::shared_ptr<const UnitFile> file) {
  ++revision_;
  const std::string hash = file->hash();
  view_.contents.Set(hash, Store(Content{std::move(file)}, view_.contents.Find(hash)));
}

void SimulatedRegistry::PutMachine(const std::string& id, MachineRecord record) {
  ++revision_;
  view_.machines.Set(id, Store(std::move(record), view_.machines.Find(id)));
  Note(Change::Record::kMachine, id);
  machines_.push_back(id);
}

void SimulatedRegistry::PutSettings(const std::string& id, MachineSettings settings) {
  ++revision_;
  view_.settings.Set(id, Store(std::move(settings), view_.settings.Find(id)));
  Note(Change::Record::kSettings, id);
}

void SimulatedRegistry::LoseMachine(const std::string& id) {
  ++revision_;
  view_.machines.Erase(id);
  Note(Change::Record::kMachine, id);
  std::vector<UnitOnMachine> lost;
  for (const auto& [place, state] : view_.states) {
    if (place.machine == id) lost.push_back(place);
  }
  for (const UnitOnMachine& place : lost) {
    view_.states.Erase(place);
    Note(Change::Record::kState, place.unit, id);
  }
}

void SimulatedRegistry::PutState(const std::string& machine, const std::string& unit,
                                 StateReport report) {
  ++revision_;
  const UnitOnMachine place{unit, machine};
  view_.states.Set(place, Store(std::move(report), view_.states.Find(place)));
  Note(Change::Record::kState, unit, machine);
}

void SimulatedRegistry::RunAgent(const std::string& machine) {
  std::vector<UnitOnMachine> places;
  for (const auto& [place, stored] : view_.assignments) {
    if (place.machine == machine) places.push_back(place);
  }
  for (const auto& [place, stored] : view_.states) {
    if (place.machine == machine && stored.value.gone) places.push_back(place);
  }
  for (const UnitOnMachine& place : places) Answer(place);
}

void SimulatedRegistry::RunAgents() {
  std::vector<UnitOnMachine> places = std::exchange(told_, {});
  const std::vector<std::string> machines = std::exchange(machines_, {});
  if (!machines.empty()) {
    const std::set<std::string> all(machines.begin(), machines.end());
    for (const auto& [place, stored] : view_.assignments) {
      if (all.contains(place.machine)) places.push_back(place);
    }
    for (const auto& [place, stored] : view_.states) {
      if (stored.value.gone && all.contains(place.machine)) places.push_back(place);
    }
  }
  for (const UnitOnMachine& place : places) Answer(place);
}

// The agent's report about what is assigned there now; one that answers it already stays.
void SimulatedRegistry::Answer(const UnitOnMachine& place) {
  const auto* machine = view_.machines.Find(place.machine);
  if (machine == nullptr) return;
  const auto* assigned = view_.assignments.Find(place);
  const auto* known = view_.states.Find(place);
  if (assigned == nullptr) {
    if (known == nullptr || !known->value.gone) return;
    ++revision_;
    view_.states.Erase(place);
    Note(Change::Record::kState, place.unit, place.machine);
    return;
  }
  const Assignment& assignment = assigned->value;
  const bool gone = assignment.state == AssignmentState::kGone || machine->value.leaving;
  if (known != nullptr && known->value.uid == assignment.uid &&
      known->value.generation == assignment.generation && known->value.settled &&
      known->value.gone == gone) {
    return;
  }
  const bool launched = !gone && assignment.state == AssignmentState::kLaunched;
  PutState(place.machine, place.unit,
           {.uid = assignment.uid,
            .generation = assignment.generation,
            .content_hash = assignment.content_hash,
            .load_state = "loaded",
            .active_state = launched ? "active" : "inactive",
            .sub_state = launched ? "running" : "dead",
            .gone = gone,
            .settled = true});
}

bool SimulatedRegistry::Holds(const Guard& guard) const {
  const auto mod = [](const auto* stored) { return stored == nullptr ? 0 : stored->mod_revision; };
  const auto create = [](const auto* stored) {
    return stored == nullptr ? 0 : stored->create_revision;
  };
  switch (guard.kind) {
    case Guard::Kind::kUnit:
      return mod(view_.units.Find(guard.unit)) == guard.revision;
    case Guard::Kind::kSettings:
      return mod(view_.settings.Find(guard.machine)) == guard.revision;
    case Guard::Kind::kMachine:
      return create(view_.machines.Find(guard.machine)) == guard.revision;
    case Guard::Kind::kMachineRecord:
      return mod(view_.machines.Find(guard.machine)) == guard.revision;
    case Guard::Kind::kAssignment:
      return mod(view_.assignments.Find(UnitOnMachine{guard.unit, guard.machine})) ==
             guard.revision;
    case Guard::Kind::kState:
      return mod(view_.states.Find(UnitOnMachine{guard.unit, guard.machine})) == guard.revision;
    case Guard::Kind::kRollout:
      return mod(view_.rollouts.Find(guard.unit)) == guard.revision;
    case Guard::Kind::kCluster: {
      if (guard.unit == "hold") return mod(view_.hold ? &*view_.hold : nullptr) == guard.revision;
      return mod(view_.features ? &*view_.features : nullptr) == guard.revision;
    }
    case Guard::Kind::kContent:
      return create(view_.contents.Find(guard.unit)) == guard.revision;
  }
  return false;
}

int64_t SimulatedRegistry::Commit(const Decision& decision) {
  for (const Guard& guard : decision.guards) {
    if (!Holds(guard)) return 0;
  }
  ++revision_;
  for (const Write& write : decision.writes) {
    if (const auto* put = std::get_if<PutAssignment>(&write)) {
      const UnitOnMachine place{put->unit, put->machine};
      view_.assignments.Set(place, Store(put->assignment, view_.assignments.Find(place)));
      Note(Change::Record::kAssignment, put->unit, put->machine);
      told_.push_back(place);
    } else if (const auto* removed = std::get_if<DeleteAssignment>(&write)) {
      const UnitOnMachine place{removed->unit, removed->machine};
      view_.assignments.Erase(place);
      Note(Change::Record::kAssignment, removed->unit, removed->machine);
      told_.push_back(place);
    } else if (const auto* unit = std::get_if<reconcile::PutUnit>(&write)) {
      view_.units.Set(unit->unit, Store(unit->record, view_.units.Find(unit->unit)));
      Note(Change::Record::kUnit, unit->unit);
    } else if (const auto* gone = std::get_if<reconcile::DeleteUnit>(&write)) {
      view_.units.Erase(gone->unit);
      Note(Change::Record::kUnit, gone->unit);
    } else if (const auto* rollout = std::get_if<reconcile::PutRollout>(&write)) {
      StoreRollout(rollout->unit, rollout->record);
    } else if (const auto* changed = std::get_if<reconcile::PutSettings>(&write)) {
      if (changed->settings == MachineSettings{}) {
        view_.settings.Erase(changed->machine);
      } else {
        const auto* before = view_.settings.Find(changed->machine);
        view_.settings.Set(changed->machine, Store(changed->settings, before));
      }
      Note(Change::Record::kSettings, changed->machine);
    } else if (const auto* hold = std::get_if<reconcile::PutHold>(&write)) {
      StoreHold(hold->record);
    } else {
      const auto& features = std::get<PutFeatures>(write);
      view_.features = Store(features.record, view_.features ? &*view_.features : nullptr);
      Note(Change::Record::kCluster, "features");
    }
  }
  return revision_;
}

void SimulatedRegistry::PutHold(const HoldRecord& record) {
  ++revision_;
  StoreHold(record);
}

void SimulatedRegistry::PutRollout(const std::string& name, const RolloutRecord& record) {
  ++revision_;
  StoreRollout(name, record);
}

void SimulatedRegistry::StoreRollout(const std::string& name,
                                     const std::optional<RolloutRecord>& record) {
  if (record) {
    view_.rollouts.Set(name, Store(*record, view_.rollouts.Find(name)));
  } else {
    view_.rollouts.Erase(name);
  }
  Note(Change::Record::kRollout, name);
}

void SimulatedRegistry::StoreHold(const std::optional<HoldRecord>& record) {
  if (record) {
    view_.hold = Store(*record, view_.hold ? &*view_.hold : nullptr);
  } else {
    view_.hold.reset();
  }
  Note(Change::Record::kCluster, "hold");
}

ViewChange SimulatedRegistry::TakeChange() { return {view(), std::exchange(changes_, {}), false}; }

ViewChange SimulatedRegistry::ReadAnew() {
  changes_.clear();
  return {view(), {}, true};
}

ClusterViewPtr SimulatedRegistry::view() {
  view_.revision = revision_;
  view_.Freeze();
  return std::make_shared<const ClusterView>(view_);
}

Simulation::Simulation(SimulatedRegistry* its_registry, const EngineSettings& settings)
    : registry(*its_registry), engine(settings) {
  engine.Apply(registry.ReadAnew());
}

size_t Simulation::Pass() {
  engine.Apply(registry.TakeChange());
  const auto decisions = engine.Decide(now);
  for (const Decision& decision : decisions) {
    const int64_t revision = registry.Commit(decision);
    if (revision == 0) {
      engine.OnRejected(decision.id, registry.revision());
      continue;
    }
    events.insert(events.end(), decision.events.begin(), decision.events.end());
    engine.OnCommitted(decision.id, revision);
  }
  return decisions.size();
}

bool Simulation::Settle(size_t max_turns) {
  for (size_t turn = 0; turn < max_turns; ++turn) {
    const int64_t before = registry.revision();
    Pass();
    registry.RunAgents();
    engine.Apply(registry.TakeChange());
    if (registry.revision() == before) return true;
  }
  return false;
}

}  // namespace fleet::reconcile
