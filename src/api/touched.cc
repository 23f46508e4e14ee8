#include "api/touched.h"

#include <utility>

namespace fleet::api {
namespace {

using Kind = Touched::Kind;
using Record = Change::Record;

bool IsLeaving(const ClusterView& view, const UnitOnMachine& place) {
  const auto* stored = view.assignments.Find(place);
  return stored != nullptr && stored->value.state == AssignmentState::kGone;
}

void AddChange(TouchedSet& touched, const ClusterView& before, const ClusterView& after,
               const Change& change) {
  switch (change.record) {
    case Record::kUnit:
      touched.entities.insert({Kind::kUnit, change.name, ""});
      break;
    case Record::kAssignment:
      // Assignments outlive their unit until it has stopped.
      if (after.units.Find(change.name)) touched.entities.insert({Kind::kUnit, change.name, ""});
      if (after.machines.Find(change.machine)) {
        touched.entities.insert({Kind::kMachine, "", change.machine});
      }
      break;
    case Record::kState:
      touched.entities.insert({Kind::kState, change.name, change.machine});
      // A report may outlive its unit; then there is no unit to speak of.
      if (after.units.Find(change.name)) touched.entities.insert({Kind::kUnit, change.name, ""});
      // What is still stopping there counts until it is gone.
      if (IsLeaving(after, {change.name, change.machine}) &&
          after.machines.Find(change.machine) != nullptr) {
        touched.entities.insert({Kind::kMachine, "", change.machine});
      }
      break;
    case Record::kSettings:
      if (after.machines.Find(change.name)) {
        touched.entities.insert({Kind::kMachine, "", change.name});
      }
      break;
    case Record::kMachine:
      touched.entities.insert({Kind::kMachine, "", change.name});
      if ((before.machines.Find(change.name) == nullptr) !=
          (after.machines.Find(change.name) == nullptr)) {
        touched.flipped.insert(change.name);
      }
      break;
    case Record::kContent:  // written together with the unit that refers to it
    case Record::kRollout:
    case Record::kLeader:
    case Record::kCluster:
      break;
  }
}

// Calls `differs(key)` for each key whose record is not the same in both maps.
template <typename Map, typename F>
void ForEachDifference(const Map& before, const Map& after, F differs) {
  auto b = before.begin();
  auto a = after.begin();
  while (b != before.end() || a != after.end()) {
    if (a == after.end() || (b != before.end() && b->first < a->first)) {
      differs(b->first);
      ++b;
    } else if (b == before.end() || a->first < b->first) {
      differs(a->first);
      ++a;
    } else {
      if (a->second.mod_revision != b->second.mod_revision ||
          a->second.create_revision != b->second.create_revision) {
        differs(a->first);
      }
      ++a;
      ++b;
    }
  }
}

void AddDifference(TouchedSet& touched, const ClusterView& before, const ClusterView& after) {
  const auto add = [&](Record record, const std::string& name, const std::string& machine = {}) {
    AddChange(touched, before, after, Change{record, name, machine});
  };
  ForEachDifference(before.units, after.units, [&](const auto& k) { add(Record::kUnit, k); });
  ForEachDifference(before.settings, after.settings,
                    [&](const auto& k) { add(Record::kSettings, k); });
  ForEachDifference(before.machines, after.machines,
                    [&](const auto& k) { add(Record::kMachine, k); });
  ForEachDifference(before.assignments, after.assignments,
                    [&](const auto& k) { add(Record::kAssignment, k.unit, k.machine); });
  ForEachDifference(before.states, after.states,
                    [&](const auto& k) { add(Record::kState, k.unit, k.machine); });
}

}  // namespace

void AddTouched(TouchedSet& touched, const ClusterView& before, const ViewChange& change) {
  if (change.reset) {
    AddDifference(touched, before, *change.view);
    return;
  }
  for (const Change& c : change.changes) AddChange(touched, before, *change.view, c);
}

void ExpandFlipped(TouchedSet& touched, const ClusterView& view) {
  if (touched.flipped.empty()) return;
  for (const auto& [key, assignment] : view.assignments) {
    if (touched.flipped.contains(key.machine) && view.units.Find(key.unit)) {
      touched.entities.insert({Kind::kUnit, key.unit, ""});
    }
  }
  touched.flipped.clear();
}

std::set<Touched> Difference(const ClusterView& before, const ClusterView& after) {
  TouchedSet touched;
  AddDifference(touched, before, after);
  ExpandFlipped(touched, after);
  return std::move(touched.entities);
}

}  // namespace fleet::api
