#include "model/machine_of.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_join.h"
#include "fmt/format.h"

namespace fleet {

absl::Status CheckMachineOfCycle(
    const std::string& unit, const std::vector<std::string>& machine_of,
    absl::FunctionRef<std::vector<std::string>(const std::string&)> others) {
  struct Step {
    std::string unit;
    std::vector<std::string> follows;
    size_t next = 0;
  };
  std::vector<Step> path;  // depth first, without recursion: a chain may be long
  absl::flat_hash_set<std::string> on_path = {unit};
  absl::flat_hash_set<std::string> seen = {unit};
  path.push_back({unit, machine_of});
  while (!path.empty()) {
    Step& step = path.back();
    if (step.next == step.follows.size()) {
      on_path.erase(step.unit);
      path.pop_back();
      continue;
    }
    const std::string followed = step.follows[step.next++];
    if (on_path.contains(followed)) {
      std::vector<std::string> circle;
      auto first = std::find_if(path.begin(), path.end(),
                                [&](const Step& other) { return other.unit == followed; });
      for (; first != path.end(); ++first) circle.push_back(first->unit);
      circle.push_back(followed);
      return absl::InvalidArgumentError(fmt::format(
          "{}: [X-Fleet] MachineOf= leads in a circle: {}", unit, absl::StrJoin(circle, " -> ")));
    }
    if (!seen.insert(followed).second) continue;
    on_path.insert(followed);
    path.push_back({followed, others(followed)});
  }
  return absl::OkStatus();
}

}  // namespace fleet
