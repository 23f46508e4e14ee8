#include "model/machine_word.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace fleet {

void MachineWord::Consider(std::string_view id, std::string_view hostname) {
  is_id_ = is_id_ || id == word_;
  const bool has_name = !hostname.empty() && hostname == word_;
  if (id.starts_with(word_) || has_name) found_.emplace(id);
}

absl::StatusOr<std::string> MachineWord::Find() const {
  if (is_id_) return word_;
  if (found_.size() == 1) return *found_.begin();
  if (found_.empty()) {
    return absl::NotFoundError(absl::StrCat("nothing is known of a machine ", word_));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      word_, " may be any of the machines ", absl::StrJoin(found_, ", "), ": say more of its id"));
}

bool IsMachineId(std::string_view word) {
  return word.size() == 32 && word.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

absl::StatusOr<std::string> FindKnownMachine(const ClusterView& view, const std::string& word) {
  if (view.machines.Find(word) != nullptr || view.settings.Find(word) != nullptr) return word;
  MachineWord machine(word);
  for (const auto& [place, stored] : view.assignments) machine.Consider(place.machine);
  for (const auto& [id, settings] : view.settings) machine.Consider(id);
  for (const auto& [id, record] : view.machines) machine.Consider(id, record.value.hostname);
  return machine.Find();
}

absl::StatusOr<std::string> FindPresentMachine(const ClusterView& view, const std::string& word) {
  MachineWord machine(word);
  for (const auto& [id, record] : view.machines) machine.Consider(id, record.value.hostname);
  return machine.Find();
}

}  // namespace fleet
