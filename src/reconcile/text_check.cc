#include "reconcile/text_check.h"

#include <string>
#include <vector>

#include "base/status.h"
#include "fmt/core.h"
#include "model/following.h"

namespace fleet::reconcile {

namespace {

std::vector<Followed> FollowedBy(const ClusterView& view, const std::string& unit) {
  const auto name = UnitName::Parse(unit);
  const auto* record = view.units.Find(unit);
  if (!name.ok() || record == nullptr) return {};
  const auto* content = view.contents.Find(record->value.content_hash);
  if (content == nullptr) return {};
  const auto requirements = ParseRequirements(*content->value.file, *name);
  return requirements.ok() ? UnitsFollowed(*requirements) : std::vector<Followed>();
}

}  // namespace

absl::StatusOr<Requirements> CheckText(const ClusterView& view, const UnitName& name,
                                       const UnitFile& file) {
  auto requirements = ParseRequirements(file, name);
  if (!requirements.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}", name.full(), std::string(requirements.status().message())));
  }
  // A template is read as its instance of that name.
  const std::string unit = name.is_template()
                               ? fmt::format("{}@instance.{}", name.prefix(), name.suffix())
                               : name.full();
  RETURN_IF_ERROR(
      CheckFollowingEnds(unit, UnitsFollowed(*requirements),
                         [&](const std::string& other) { return FollowedBy(view, other); }));
  return requirements;
}

}  // namespace fleet::reconcile
