#pragma once

// The names of the records under `etcd_key_prefix`.

#include <optional>
#include <string>
#include <string_view>

#include "model/cluster_view.h"
#include "store/store.h"

namespace fleet::registry {

class Keys {
 public:
  // `prefix` begins and ends with a slash: "/fleet/".
  explicit Keys(std::string prefix);

  const std::string& prefix() const { return prefix_; }
  store::KeyRange All() const;

  std::string Unit(std::string_view name) const;
  std::string Content(std::string_view hash) const;
  std::string Settings(std::string_view machine) const;
  std::string Machine(std::string_view machine) const;
  std::string Assignment(std::string_view machine, std::string_view unit) const;
  std::string State(std::string_view machine, std::string_view unit) const;
  std::string Rollout(std::string_view name) const;
  std::string Leader() const;
  std::string Cluster(std::string_view name) const;  // "hold", "id", "features"
  std::string Event(std::string_view epoch, int64_t sequence) const;

  // Everything the engine has assigned to one machine; all an agent ever reads.
  store::KeyRange AssignmentsOf(std::string_view machine) const;
  store::KeyRange StatesOf(std::string_view machine) const;

  // Which record a key names; nullopt for keys that no view shows (events, foreign keys).
  std::optional<Change> Parse(std::string_view key) const;

 private:
  std::string prefix_;
};

}  // namespace fleet::registry
