#include "reconcile/testing/cluster_model.h"

#include <cstdlib>
#include <memory>
#include <utility>

namespace fleet::reconcile::testing {

template <typename T>
Stored<T> ClusterModel::Store(T value, const Stored<T>* before) {
  return {std::move(value), before == nullptr ? revision_ : before->create_revision, revision_};
}

void ClusterModel::Note(Change::Record record, const std::string& name,
                        const std::string& machine) {
  changes_.push_back({record, name, machine});
}

void ClusterModel::PutUnit(const std::string& name, const std::string& text, DesiredState desired) {
  ++revision_;
  const auto file = std::make_shared<const UnitFile>(*UnitFile::Parse(text));
  view_.contents.Set(file->hash(), Store(Content{file}, view_.contents.Find(file->hash())));
  const auto* before = view_.units.Find(name);
  UnitRecord record = before == nullptr ? UnitRecord{} : before->value;
  if (before == nullptr) record.uid = "uid" + std::to_string(++uids_);
  record.content_hash = file->hash();
  record.desired = desired;
  view_.units.Set(name, Store(std::move(record), before));
  Note(Change::Record::kUnit, name);
}

void ClusterModel::SetDesired(const std::string& name, DesiredState desired) {
  ++revision_;
  const auto* before = view_.units.Find(name);
  UnitRecord record = before->value;
  record.desired = desired;
  view_.units.Set(name, Store(std::move(record), before));
  Note(Change::Record::kUnit, name);
}

void ClusterModel::Restart(const std::string& name) {
  ++revision_;
  const auto* before = view_.units.Find(name);
  UnitRecord record = before->value;
  ++record.restarts;
  view_.units.Set(name, Store(std::move(record), before));
  Note(Change::Record::kUnit, name);
}

void ClusterModel::DestroyUnit(const std::string& name) {
  ++revision_;
  view_.units.Erase(name);
  Note(Change::Record::kUnit, name);
}

void ClusterModel::PutUnreadableUnit(const std::string& name) {
  ++revision_;
  view_.units.Erase(name);
  view_.unreadable.Set("units/" + name, revision_);
  Note(Change::Record::kUnit, name);
}

void ClusterModel::PutMachine(const std::string& id, std::map<std::string, std::string> metadata,
                              bool leaving) {
  ++revision_;
  view_.machines.Set(id, Store(MachineRecord{.metadata = std::move(metadata), .leaving = leaving},
                               view_.machines.Find(id)));
  Note(Change::Record::kMachine, id);
}

void ClusterModel::LoseMachine(const std::string& id) {
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

void ClusterModel::Report(const std::string& machine, const std::string& unit, StateReport report) {
  ++revision_;
  const UnitOnMachine place{unit, machine};
  view_.states.Set(place, Store(std::move(report), view_.states.Find(place)));
  Note(Change::Record::kState, unit, machine);
}

void ClusterModel::RunAgent(const std::string& machine) {
  std::map<std::string, Assignment> assigned;
  for (const auto& [place, stored] : view_.assignments) {
    if (place.machine == machine) assigned.emplace(place.unit, stored.value);
  }
  std::vector<std::string> forgotten;
  for (const auto& [place, stored] : view_.states) {
    if (place.machine == machine && stored.value.gone && !assigned.contains(place.unit)) {
      forgotten.push_back(place.unit);
    }
  }
  for (const std::string& unit : forgotten) {
    ++revision_;
    view_.states.Erase(UnitOnMachine{unit, machine});
    Note(Change::Record::kState, unit, machine);
  }
  const auto* record = view_.machines.Find(machine);
  for (const auto& [unit, assignment] : assigned) {
    const bool gone = assignment.state == AssignmentState::kGone || record->value.leaving;
    const bool launched = !gone && assignment.state == AssignmentState::kLaunched;
    StateReport report{.uid = assignment.uid,
                       .generation = assignment.generation,
                       .content_hash = assignment.content_hash,
                       .load_state = "loaded",
                       .active_state = launched ? "active" : "inactive",
                       .sub_state = launched ? "running" : "dead",
                       .gone = gone,
                       .settled = true};
    const auto* known = view_.states.Find(UnitOnMachine{unit, machine});
    if (known == nullptr || known->value != report) Report(machine, unit, std::move(report));
  }
}

ViewChange ClusterModel::TakeChange() {
  view_.revision = revision_;
  view_.Freeze();
  return {std::make_shared<const ClusterView>(view_), std::exchange(changes_, {}), false};
}

ViewChange ClusterModel::ReadAnew() {
  ViewChange change = TakeChange();
  change.changes.clear();
  change.reset = true;
  return change;
}

ClusterViewPtr ClusterModel::view() {
  view_.Freeze();
  return std::make_shared<const ClusterView>(view_);
}

bool ClusterModel::Holds(const Guard& guard) {
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
    case Guard::Kind::kContent:
      return create(view_.contents.Find(guard.unit)) == guard.revision;
  }
  return false;
}

int64_t ClusterModel::Commit(const Decision& decision) {
  for (const Guard& guard : decision.guards) {
    if (!Holds(guard)) return 0;
  }
  ++revision_;
  for (const Write& write : decision.writes) {
    if (const auto* put = std::get_if<reconcile::PutAssignment>(&write)) {
      const UnitOnMachine place{put->unit, put->machine};
      view_.assignments.Set(place, Store(put->assignment, view_.assignments.Find(place)));
      Note(Change::Record::kAssignment, put->unit, put->machine);
    } else if (const auto* removed = std::get_if<DeleteAssignment>(&write)) {
      view_.assignments.Erase(UnitOnMachine{removed->unit, removed->machine});
      Note(Change::Record::kAssignment, removed->unit, removed->machine);
    } else {
      const auto& unit = std::get<reconcile::PutUnit>(write);
      view_.units.Set(unit.unit, Store(unit.record, view_.units.Find(unit.unit)));
      Note(Change::Record::kUnit, unit.unit);
    }
  }
  return revision_;
}

std::vector<std::string> ClusterModel::MachinesOf(const std::string& unit) {
  std::vector<std::string> machines;
  for (auto it = FirstOf(view_.assignments, unit); InUnit(it, view_.assignments, unit); ++it) {
    if (it->second.value.state != AssignmentState::kGone) machines.push_back(it->first.machine);
  }
  return machines;
}

const Assignment* ClusterModel::AssignmentOf(const std::string& unit, const std::string& machine) {
  const auto* stored = view_.assignments.Find(UnitOnMachine{unit, machine});
  return stored == nullptr ? nullptr : &stored->value;
}

const UnitRecord& ClusterModel::Unit(const std::string& unit) {
  return view_.units.Find(unit)->value;
}

Cluster::Cluster() {
  engine.Apply(model.ReadAnew());
  engine.BeginLeading(now);
}

size_t Cluster::Pass() {
  engine.Apply(model.TakeChange());
  const auto decisions = engine.Decide(now);
  for (const Decision& decision : decisions) {
    const int64_t revision = model.Commit(decision);
    if (revision == 0) {
      engine.OnRejected(decision.id, model.revision());
      continue;
    }
    events.push_back(decision.event);
    engine.OnCommitted(decision.id, revision);
  }
  return decisions.size();
}

void Cluster::Settle() {
  for (int i = 0; i < 50; ++i) {
    const int64_t before = model.view()->revision;
    Pass();
    const ClusterViewPtr view = model.view();
    for (const auto& [machine, record] : view->machines) model.RunAgent(machine);
    const ViewChange change = model.TakeChange();
    engine.Apply(change);
    if (change.view->revision == before) return;
  }
  std::abort();  // it does not come to rest (L2)
}

}  // namespace fleet::reconcile::testing
