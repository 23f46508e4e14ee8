#pragma once

// What users do to the cluster, by the same code as the API's, and what they were told.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "registry/mirror.h"
#include "registry/unit_changes.h"
#include "sim/checker.h"
#include "sim/link.h"
#include "sim/process.h"
#include "sim/sim_store.h"

namespace fleet::sim {

class User {
 public:
  User(const StoreWorld* world, const registry::Keys& keys, size_t units,
       std::vector<std::string> machines);

  // Does something, by chance.
  void Act();
  // Sets a zone of a machine by hand.
  void SetMetadata();
  // Cordons, drains or opens a machine, or has its updater ask for a slot to reboot or give it
  // back.
  void SetDrain();
  // A value that nobody can read, in place of a record.
  void Poison();
  // From now on records carry a field that this version does not know.
  void UseNewerVersion(bool newer) { newer_ = newer; }

  // Checks S4. REQUIRES: nothing is under way.
  void CheckPromises(Checker& checker) const;
  uint64_t changes() const { return changes_; }
  // So often something was refused that not all machines know.
  uint64_t refused() const { return refused_; }

 private:
  struct Unit {
    std::string name;
    std::string options;  // of [X-Fleet]
    size_t version = 0;
    std::optional<Checker::Promise> promise;  // what was told last; none: its fate is unknown
    bool busy = false;
    // A change of unknown fate may still take effect.
    absl::Time unsure_until = absl::InfinitePast();
  };

  std::string TextOf(const Unit& unit);
  void Change(Unit& unit, registry::UnitChange change, const Checker::Promise& promise);
  void Put(const std::string& key, std::string value);

  const StoreWorld* const world_;
  const registry::Keys keys_;
  const std::vector<std::string> machines_;
  Link link_;
  Clock clock_;
  Process process_;
  SimStore store_;
  registry::Mirror mirror_;
  registry::UnitChanger changer_;
  std::vector<Unit> units_;
  bool newer_ = false;
  uint64_t changes_ = 0;
  uint64_t refused_ = 0;
  uint64_t poisoned_ = 0;
};

}  // namespace fleet::sim
