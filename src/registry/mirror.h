#pragma once

// The cluster's state, kept up to date: what a Follower of all records gives, as immutable views.
//
// Belongs to one executor; publishes to its subscriber there, who posts the views on to whoever
// else needs them.

#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/executor.h"
#include "model/cluster_view.h"
#include "registry/follower.h"
#include "registry/keys.h"
#include "registry/view_builder.h"
#include "store/store.h"

namespace fleet::registry {

class Mirror final : private Follower::Listener {
 public:
  // Called for each step, in order. The first one, and any after a gap, has `reset` set.
  using Subscriber = absl::AnyInvocable<void(const ViewChange&)>;

  // `store` (bound to `executor`) and `executor` outlive the mirror.
  Mirror(store::Store* store, Executor* executor, const Keys& keys, Subscriber subscriber);

  // `listener` is called with health() whenever that changes. Before Start().
  void SetHealthListener(absl::AnyInvocable<void(const absl::Status&)> listener) {
    health_listener_ = std::move(listener);
  }

  void Start() { follower_.Start(); }

  // nullptr until the first read is complete.
  const ClusterViewPtr& view() const { return view_; }

  // OK while the watch is up; otherwise why the store cannot be read, as is known now.
  const absl::Status& health() const { return follower_.health(); }

 private:
  void OnReadBegin() override;
  void OnOtherHistory() override { other_history_ = true; }
  void OnPut(const store::KeyValue& kv) override;
  void OnDelete(const store::KeyValue& kv) override;
  void OnReached(int64_t revision, bool read) override;
  void OnHealth(const absl::Status& health) override;

  Subscriber subscriber_;
  absl::AnyInvocable<void(const absl::Status&)> health_listener_;
  ViewBuilder builder_;
  std::vector<Change> changes_;
  bool other_history_ = false;  // of what is being read
  ClusterViewPtr view_;
  Follower follower_;
};

}  // namespace fleet::registry
