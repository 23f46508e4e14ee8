#pragma once

// Somebody who scales a template and rolls texts and restarts out to its instances, by the same
// transactions as the API's.

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

 private:
  std::shared_ptr<const UnitFile> NewText();
  void Create();
  void Scale(const Stored<UnitRecord>& unit);
  void Destroy(const std::string& name, const Stored<UnitRecord>& unit);
  void DestroyInstance();
  void Begin(const Stored<UnitRecord>& unit, bool restarts);
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
};

}  // namespace fleet::sim
