#pragma once

// The cluster's state at one revision, as the mirror publishes it: an immutable value that engine,
// API and agent read, and the changes from one revision to the next.

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/persistent_map.h"
#include "model/records.h"

namespace fleet {

// A record with the revisions it has in the store; transactions compare them.
template <typename T>
struct Stored {
  T value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
};

// The key of records that exist per unit and machine; ordered by unit, then machine.
struct UnitOnMachine {
  std::string unit;
  std::string machine;
  auto operator<=>(const UnitOnMachine&) const = default;
};

struct ClusterView {
  int64_t revision = 0;
  PersistentMap<std::string, Stored<UnitRecord>> units;
  PersistentMap<std::string, Stored<Content>> contents;  // by hash
  PersistentMap<std::string, Stored<MachineSettings>> settings;
  PersistentMap<UnitOnMachine, Stored<Assignment>> assignments;
  PersistentMap<std::string, Stored<MachineRecord>> machines;
  PersistentMap<UnitOnMachine, Stored<StateReport>> states;
  PersistentMap<std::string, Stored<RolloutRecord>> rollouts;  // by template or unit
  std::optional<Stored<LeaderRecord>> leader;
  std::optional<Stored<HoldRecord>> hold;
  std::optional<Stored<ClusterIdRecord>> cluster_id;
  std::optional<Stored<FeaturesRecord>> features;
  // Records whose value cannot be read, by kind and name ("units/a.service"): neither present nor
  // absent. Nothing is decided about a unit that has one (a newer version may have written it).
  PersistentMap<std::string, int64_t> unreadable;

  // Ends this version: copies taken from now on share its content.
  void Freeze();
};
using ClusterViewPtr = std::shared_ptr<const ClusterView>;

// Whether `after` can be a later view of the same registry: what it has from the time of `before`
// was there then. Otherwise the registry was restored from a backup, or replaced.
bool MayFollow(const ClusterView& before, const ClusterView& after);

// The assignments (or states) of one unit, over all machines: a range of the map.
// for (auto it = FirstOf(view.assignments, name); InUnit(it, map, name); ++it)
template <typename T>
auto FirstOf(const PersistentMap<UnitOnMachine, T>& map, const std::string& unit) {
  return map.lower_bound(UnitOnMachine{unit, ""});
}
template <typename T>
bool InUnit(const typename PersistentMap<UnitOnMachine, T>::const_iterator& it,
            const PersistentMap<UnitOnMachine, T>& map, const std::string& unit) {
  return it != map.end() && it->first.unit == unit;
}

// Which record changed (was put or deleted) between two views.
struct Change {
  enum class Record {
    kUnit,
    kContent,
    kSettings,
    kAssignment,
    kMachine,
    kState,
    kRollout,
    kLeader,
    kCluster
  };
  Record record = Record::kUnit;
  std::string name;     // unit, content hash or machine; the unit of assignments and states; of
                        // kCluster "hold", "id" or "features"
  std::string machine;  // of assignments and states
};

// A step of the mirror. `reset`: the view was read anew, anything may have changed.
struct ViewChange {
  ClusterViewPtr view;
  std::vector<Change> changes;
  bool reset = false;
  // The registry was restored or replaced: what was seen before need not have happened in it.
  bool other_history = false;
};

// A machine's metadata as the scheduler sees it: its configuration with the overrides applied.
std::map<std::string, std::string> EffectiveMetadata(const MachineRecord& machine,
                                                     const MachineSettings* settings);

}  // namespace fleet
