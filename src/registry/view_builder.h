#pragma once

// Builds a ClusterView out of the store's keys, one at a time.

#include <memory>
#include <optional>

#include "model/cluster_view.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::registry {

class ViewBuilder {
 public:
  explicit ViewBuilder(Keys keys);

  // Puts or deletes one record. nullopt if no view shows the key. A value that does not parse is
  // logged and noted in ClusterView::unreadable; the record it had before stays.
  std::optional<Change> Put(const store::KeyValue& kv);
  std::optional<Change> Delete(const store::KeyValue& kv);

  // Drops everything, before a read from scratch.
  void Clear();

  // The view as it is now, which later changes do not touch.
  ClusterViewPtr Snapshot(int64_t revision);

 private:
  absl::Status Store(const Change& change, const store::KeyValue& kv);
  absl::Status StoreCluster(const std::string& name, const store::KeyValue& kv);
  void Erase(const Change& change);

  Keys keys_;
  ClusterView view_;
};

}  // namespace fleet::registry
