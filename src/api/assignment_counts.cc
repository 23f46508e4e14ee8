#include "api/assignment_counts.h"

#include <set>
#include <utility>

namespace fleet::api {
namespace {

bool Counts(const ClusterView& view, const UnitOnMachine& key) {
  const auto* assignment = view.assignments.Find(key);
  return assignment != nullptr && assignment->value.state != AssignmentState::kGone;
}

}  // namespace

void AssignmentCounts::Update(const ClusterView* before, const ViewChange& change) {
  if (before == nullptr || change.reset) {
    counts_.clear();
    for (const auto& [key, assignment] : change.view->assignments) {
      if (assignment.value.state != AssignmentState::kGone) ++counts_[key.machine];
    }
    return;
  }
  std::set<UnitOnMachine> seen;  // one key may be named twice in a step
  for (const Change& c : change.changes) {
    if (c.record != Change::Record::kAssignment) continue;
    UnitOnMachine key{c.name, c.machine};
    if (!seen.insert(key).second) continue;
    const int64_t delta = (Counts(*change.view, key) ? 1 : 0) - (Counts(*before, key) ? 1 : 0);
    if (delta == 0) continue;
    int64_t& count = counts_[key.machine];
    count += delta;
    if (count == 0) counts_.erase(key.machine);
  }
}

int64_t AssignmentCounts::Of(const std::string& machine) const {
  const auto it = counts_.find(machine);
  return it == counts_.end() ? 0 : it->second;
}

}  // namespace fleet::api
