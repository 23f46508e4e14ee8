#include "reconcile/text_check.h"

#include <memory>
#include <string>

#include "base/status.h"
#include "fmt/core.h"
#include "model/following.h"

namespace fleet::reconcile {

absl::StatusOr<Requirements> CheckText(const ClusterView& view, const UnitName& name,
                                       const UnitFile& file) {
  auto requirements = ParseRequirements(file, name);
  if (!requirements.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}", name.full(), std::string(requirements.status().message())));
  }
  RETURN_IF_ERROR(CheckFollows(
      name, *requirements, [&](const std::string& other) -> std::shared_ptr<const UnitFile> {
        const auto* record = view.units.Find(other);
        if (record == nullptr) return nullptr;
        const auto* content = view.contents.Find(record->value.content_hash);
        return content == nullptr ? nullptr : content->value.file;
      }));
  return requirements;
}

}  // namespace fleet::reconcile
