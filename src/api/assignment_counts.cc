#include "api/assignment_counts.h"

#include <set>

#include "reconcile/occupancy.h"

namespace fleet::api {

void AssignmentCounts::Add(const ClusterView& view, const UnitOnMachine& key, int64_t sign) {
  const auto* assignment = view.assignments.Find(key);
  if (assignment == nullptr) return;
  if (reconcile::ReportedGone(view, key.unit, key.machine, assignment->value)) return;
  int64_t& count = counts_[key.machine];
  count += sign;
  if (count == 0) counts_.erase(key.machine);
}

void AssignmentCounts::Update(const ClusterView* before, const ViewChange& change) {
  if (before == nullptr || change.reset) {
    counts_.clear();
    for (const auto& [key, assignment] : change.view->assignments) Add(*change.view, key, 1);
    return;
  }
  std::set<UnitOnMachine> seen;  // one key may be named twice in a step
  for (const Change& c : change.changes) {
    if (c.record != Change::Record::kAssignment && c.record != Change::Record::kState) continue;
    UnitOnMachine key{c.name, c.machine};
    if (!seen.insert(key).second) continue;
    Add(*before, key, -1);
    Add(*change.view, key, 1);
  }
}

int64_t AssignmentCounts::Of(const std::string& machine) const {
  const auto it = counts_.find(machine);
  return it == counts_.end() ? 0 : it->second;
}

}  // namespace fleet::api
