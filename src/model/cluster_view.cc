#include "model/cluster_view.h"

namespace fleet {

void ClusterView::Freeze() {
  units.Freeze();
  contents.Freeze();
  settings.Freeze();
  assignments.Freeze();
  machines.Freeze();
  states.Freeze();
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
