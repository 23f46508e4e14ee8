#include "registry/keys.h"

#include <utility>

#include "fmt/core.h"

namespace fleet::registry {

namespace {

// Takes the text before the first slash off `rest`; nullopt if there is none.
std::optional<std::string_view> TakeSegment(std::string_view* rest) {
  const size_t slash = rest->find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view segment = rest->substr(0, slash);
  rest->remove_prefix(slash + 1);
  return segment;
}

}  // namespace

Keys::Keys(std::string prefix) : prefix_(std::move(prefix)) {}

store::KeyRange Keys::All() const { return store::PrefixRange(prefix_); }

std::string Keys::Unit(std::string_view name) const {
  return fmt::format("{}units/{}", prefix_, name);
}
std::string Keys::Content(std::string_view hash) const {
  return fmt::format("{}contents/{}", prefix_, hash);
}
std::string Keys::Settings(std::string_view machine) const {
  return fmt::format("{}settings/{}", prefix_, machine);
}
std::string Keys::Machine(std::string_view machine) const {
  return fmt::format("{}machines/{}", prefix_, machine);
}
std::string Keys::Assignment(std::string_view machine, std::string_view unit) const {
  return fmt::format("{}assignments/{}/{}", prefix_, machine, unit);
}
std::string Keys::State(std::string_view machine, std::string_view unit) const {
  return fmt::format("{}states/{}/{}", prefix_, machine, unit);
}
std::string Keys::Rollout(std::string_view name) const {
  return fmt::format("{}rollouts/{}", prefix_, name);
}
std::string Keys::Leader() const { return fmt::format("{}leader", prefix_); }
std::string Keys::Cluster(std::string_view name) const {
  return fmt::format("{}cluster/{}", prefix_, name);
}
std::string Keys::Event(std::string_view epoch, int64_t sequence) const {
  return fmt::format("{}events/{}/{:016}", prefix_, epoch, sequence);
}

store::KeyRange Keys::AssignmentsOf(std::string_view machine) const {
  return store::PrefixRange(Assignment(machine, ""));
}
store::KeyRange Keys::StatesOf(std::string_view machine) const {
  return store::PrefixRange(State(machine, ""));
}

std::optional<Change> Keys::Parse(std::string_view key) const {
  if (!key.starts_with(prefix_)) return std::nullopt;
  std::string_view rest = key.substr(prefix_.size());
  if (rest == "leader") return Change{Change::Record::kLeader, "", ""};
  const auto kind = TakeSegment(&rest);
  if (!kind || rest.empty()) return std::nullopt;
  if (*kind == "units") return Change{Change::Record::kUnit, std::string(rest), ""};
  if (*kind == "contents") return Change{Change::Record::kContent, std::string(rest), ""};
  if (*kind == "settings") return Change{Change::Record::kSettings, std::string(rest), ""};
  if (*kind == "machines") return Change{Change::Record::kMachine, std::string(rest), ""};
  if (*kind == "rollouts") return Change{Change::Record::kRollout, std::string(rest), ""};
  if (*kind == "cluster") {
    if (rest != "hold" && rest != "id" && rest != "features") return std::nullopt;
    return Change{Change::Record::kCluster, std::string(rest), ""};
  }
  if (*kind != "assignments" && *kind != "states") return std::nullopt;
  const auto machine = TakeSegment(&rest);
  if (!machine || rest.empty()) return std::nullopt;
  return Change{*kind == "states" ? Change::Record::kState : Change::Record::kAssignment,
                std::string(rest), std::string(*machine)};
}

}  // namespace fleet::registry
