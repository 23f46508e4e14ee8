#pragma once

// Somebody who scales a template and rolls texts and restarts out to its instances and to a unit
// beside it, by the same transactions as the API's.

#include <string>

#include "registry/mirror.h"
#include "sim/link.h"
#include "sim/process.h"
#include "sim/sim_store.h"

namespace fleet::sim {

class Roller {
 public:
  Roller(const StoreWorld* world, const registry::Keys& keys);

  // Does something, by chance.
  void Act();
  // So often something was refused that not all machines know.
  uint64_t refused() const { return refused_; }

 private:
  std::shared_ptr<const UnitFile> NewText();
  void Create(const std::string& name, DesiredState desired);
  void Scale(const Stored<UnitRecord>& unit);
  void Destroy(const std::string& name, const Stored<UnitRecord>& unit);
  void DestroyInstance();
  void Begin(bool restarts);
  void SetState(RolloutState from, RolloutState to);
  store::Compare Unchanged(const std::string& key, int64_t mod_revision) const;
  void Commit(const std::string& what, store::Txn txn);

  const StoreWorld* const world_;
  const registry::Keys keys_;
  Link link_;
  Clock clock_;
  Process process_;
  SimStore store_;
  registry::Mirror mirror_;
  uint64_t version_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace fleet::sim
