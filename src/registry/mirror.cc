#include "registry/mirror.h"

#include <utility>

namespace fleet::registry {

Mirror::Mirror(store::Store* store, Executor* executor, const Keys& keys, Subscriber subscriber)
    : subscriber_(std::move(subscriber)),
      builder_(keys),
      follower_(store, executor, keys, keys.All(), "the registry", this) {}

void Mirror::OnReadBegin() { builder_.Clear(); }

void Mirror::OnPut(const store::KeyValue& kv) {
  auto change = builder_.Put(kv);
  if (change) changes_.push_back(*std::move(change));
}

void Mirror::OnDelete(const store::KeyValue& kv) {
  auto change = builder_.Delete(kv);
  if (change) changes_.push_back(*std::move(change));
}

void Mirror::OnHealth(const absl::Status& health) {
  if (health_listener_) health_listener_(health);
}

void Mirror::OnReached(int64_t revision, bool read) {
  const ClusterViewPtr before = std::exchange(view_, builder_.Snapshot(revision));
  ViewChange change{view_, {}, read};
  if (read) {
    // After a gap the records tell.
    change.other_history =
        std::exchange(other_history_, false) || (before != nullptr && !MayFollow(*before, *view_));
  }
  if (!read) change.changes = std::move(changes_);
  changes_.clear();
  subscriber_(change);
}

}  // namespace fleet::registry
