#pragma once

// The cluster's state, kept up to date: a paged range read at one revision, then a watch from it. A
// gap (compaction) is healed by reading again; a lost connection by watching on from where it
// ended.
//
// Belongs to one executor; the store must be bound to the same one. Publishes immutable views to
// its subscriber in that executor; the subscriber posts them on to whoever else needs them.

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/executor.h"
#include "model/cluster_view.h"
#include "registry/keys.h"
#include "registry/view_builder.h"
#include "store/store.h"

namespace fleet::registry {

class Mirror {
 public:
  // Called for each step, in order. The first one, and any after a gap, has `reset` set.
  using Subscriber = absl::AnyInvocable<void(const ViewChange&)>;

  // `store` and `executor` outlive the mirror.
  Mirror(store::Store* store, Executor* executor, Keys keys, Subscriber subscriber);
  ~Mirror();
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  void Start();

  // nullptr until the first read is complete.
  const ClusterViewPtr& view() const { return view_; }

  // OK while the watch is up; otherwise why the store cannot be read, as it is known now.
  const absl::Status& health() const { return health_; }

  // Counts the times the store's revision went backwards (it was restored or replaced).
  int incarnation() const { return incarnation_; }

 private:
  void ReadPage(std::string from_key, int64_t revision);
  void Probe();
  void Watch();
  void OnBatch(absl::StatusOr<store::WatchBatch> batch);
  void Publish(std::vector<Change> changes, bool reset);
  void Retry(const absl::Status& why, bool read_again);

  store::Store* const store_;
  Executor* const executor_;
  const Keys keys_;
  Subscriber subscriber_;
  ViewBuilder builder_;
  ClusterViewPtr view_;
  absl::Status health_;
  int incarnation_ = 0;
  int64_t revision_ = 0;  // everything up to here is in builder_
  int failures_ = 0;      // in a row
  std::unique_ptr<store::Watch> watch_;
  Executor::TimerId retry_ = 0;
  std::shared_ptr<bool> alive_;  // expires with the mirror; callbacks hold it weakly
};

}  // namespace fleet::registry
