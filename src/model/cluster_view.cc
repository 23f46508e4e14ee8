#include "model/cluster_view.h"

#include <algorithm>

namespace fleet {

namespace {

template <typename T>
bool IsOfAnotherHistory(const Stored<T>* before, const Stored<T>& after, int64_t revision) {
  if (after.mod_revision > revision) return false;
  return before == nullptr || before->mod_revision != after.mod_revision;
}

template <typename Map>
bool MayFollow(const Map& before, const Map& after, int64_t revision) {
  return std::none_of(after.begin(), after.end(), [&](const auto& entry) {
    return IsOfAnotherHistory(before.Find(entry.first), entry.second, revision);
  });
}

template <typename T>
bool MayFollow(const std::optional<Stored<T>>& before, const std::optional<Stored<T>>& after,
               int64_t revision) {
  return !after || !IsOfAnotherHistory(before ? &*before : nullptr, *after, revision);
}

}  // namespace

bool MayFollow(const ClusterView& before, const ClusterView& after) {
  const int64_t revision = before.revision;
  // Only a registry that has been restored or replaced has another id.
  if (before.cluster_id &&
      (!after.cluster_id || after.cluster_id->value.id != before.cluster_id->value.id)) {
    return false;
  }
  return after.revision >= revision && MayFollow(before.units, after.units, revision) &&
         MayFollow(before.contents, after.contents, revision) &&
         MayFollow(before.settings, after.settings, revision) &&
         MayFollow(before.assignments, after.assignments, revision) &&
         MayFollow(before.machines, after.machines, revision) &&
         MayFollow(before.states, after.states, revision) &&
         MayFollow(before.rollouts, after.rollouts, revision) &&
         MayFollow(before.leader, after.leader, revision) &&
         MayFollow(before.hold, after.hold, revision) &&
         MayFollow(before.cluster_id, after.cluster_id, revision) &&
         MayFollow(before.features, after.features, revision);
}

void ClusterView::Freeze() {
  units.Freeze();
  contents.Freeze();
  settings.Freeze();
  assignments.Freeze();
  machines.Freeze();
  states.Freeze();
  rollouts.Freeze();
  unreadable.Freeze();
}

std::map<std::string, std::string> EffectiveMetadata(const MachineRecord& machine,
                                                     const MachineSettings* settings) {
  std::map<std::string, std::string> metadata = machine.metadata;
  if (settings == nullptr) return metadata;
  for (const std::string& key : settings->removed_metadata) metadata.erase(key);
  for (const auto& [key, value] : settings->set_metadata) metadata.insert_or_assign(key, value);
  return metadata;
}

}  // namespace fleet
