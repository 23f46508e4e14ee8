#include "model/following.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_join.h"
#include "fmt/format.h"

namespace fleet {
namespace {

struct Step {
  std::string unit;
  std::vector<Followed> follows;
  size_t next = 0;  // the last one that was gone to is the one before
};

absl::Status Circle(const std::string& unit, const std::vector<Step>& path,
                    const std::string& first) {
  auto step = std::find_if(path.begin(), path.end(),
                           [&](const Step& other) { return other.unit == first; });
  std::vector<std::string> circle;
  bool machine_of = false;
  bool collocate_within = false;
  for (; step != path.end(); ++step) {
    circle.push_back(step->unit);
    const bool by_machine_of = step->follows[step->next - 1].by == FollowsBy::kMachineOf;
    (by_machine_of ? machine_of : collocate_within) = true;
  }
  circle.push_back(first);
  const std::string_view lead = !collocate_within ? "MachineOf= leads"
                                : !machine_of     ? "CollocateWithin= leads"
                                                  : "MachineOf= and CollocateWithin= lead";
  return absl::InvalidArgumentError(
      fmt::format("{}: [X-Fleet] {} in a circle: {}", unit, lead, absl::StrJoin(circle, " -> ")));
}

}  // namespace

std::vector<Followed> UnitsFollowed(const Requirements& requirements) {
  std::vector<Followed> followed;
  absl::flat_hash_set<std::string> named;
  const auto add = [&](const std::string& unit, FollowsBy by) {
    if (named.insert(unit).second) followed.push_back({unit, by});
  };
  for (const std::string& unit : requirements.machine_of) add(unit, FollowsBy::kMachineOf);
  for (const Within& within : requirements.collocate_within) {
    add(within.name, FollowsBy::kCollocateWithin);
  }
  return followed;
}

absl::Status CheckFollowingEnds(
    const std::string& unit, const std::vector<Followed>& followed,
    absl::FunctionRef<std::vector<Followed>(const std::string&)> others) {
  std::vector<Step> path;  // depth first, without recursion: a chain may be long
  absl::flat_hash_set<std::string> on_path = {unit};
  absl::flat_hash_set<std::string> seen = {unit};
  path.push_back({unit, followed});
  while (!path.empty()) {
    Step& step = path.back();
    if (step.next == step.follows.size()) {
      on_path.erase(step.unit);
      path.pop_back();
      continue;
    }
    const std::string next = step.follows[step.next++].unit;
    if (on_path.contains(next)) return Circle(unit, path, next);
    if (!seen.insert(next).second) continue;
    on_path.insert(next);
    path.push_back({next, others(next)});
  }
  return absl::OkStatus();
}

absl::Status CheckFollows(
    const UnitName& name, const Requirements& requirements,
    absl::FunctionRef<std::shared_ptr<const UnitFile>(const std::string&)> text_of) {
  const std::vector<Followed> followed = UnitsFollowed(requirements);
  if (followed.empty()) return absl::OkStatus();
  // As which ParseRequirements() has read it.
  const std::string unit = name.is_template()
                               ? fmt::format("{}@instance.{}", name.prefix(), name.suffix())
                               : name.full();
  absl::Status status =
      CheckFollowingEnds(unit, followed, [&](const std::string& other) -> std::vector<Followed> {
        const auto other_name = UnitName::Parse(other);
        const auto file = text_of(other);
        if (!other_name.ok() || !file || !file->HasSection("X-Fleet")) return {};
        const auto its = ParseRequirements(*file, *other_name);
        return its.ok() ? UnitsFollowed(*its) : std::vector<Followed>();
      });
  if (status.ok() || !name.is_template()) return status;
  return absl::InvalidArgumentError(fmt::format("no instance of {} could be placed: {}",
                                                name.full(), std::string(status.message())));
}

}  // namespace fleet
