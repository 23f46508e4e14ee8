#include "reconcile/content_collector.h"

#include <utility>

#include "absl/container/flat_hash_set.h"

namespace fleet::reconcile {

std::vector<ContentCollector::Unused> ContentCollector::Collect(const ClusterView& view,
                                                                absl::Time now) {
  absl::flat_hash_set<std::string> used;
  for (const auto& [name, unit] : view.units) used.insert(unit.value.content_hash);
  for (const auto& [place, assignment] : view.assignments) {
    used.insert(assignment.value.content_hash);
  }
  for (const auto& [name, rollout] : view.rollouts) {
    used.insert(rollout.value.content_hash);
    used.insert(rollout.value.former_hash);
    for (const FormerContent& former : rollout.value.history) used.insert(former.content_hash);
  }
  for (const auto& [place, state] : view.states) used.insert(state.value.content_hash);

  std::vector<Unused> collected;
  const std::map<std::string, Since> before = std::exchange(unused_since_, {});
  // What cannot be read may refer to anything.
  if (!view.unreadable.empty()) return collected;
  for (const auto& [hash, content] : view.contents) {
    if (used.contains(hash)) continue;
    const auto known = before.find(hash);
    const bool same = known != before.end() && known->second.mod_revision == content.mod_revision;
    const Since since = same ? known->second : Since{now, content.mod_revision};
    unused_since_.emplace(hash, since);
    if (now - since.time >= kKeep) collected.push_back({hash, content.mod_revision});
  }
  return collected;
}

}  // namespace fleet::reconcile
