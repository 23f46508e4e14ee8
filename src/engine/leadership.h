#pragma once

// Who leads: the record `leader` under a lease. Whoever creates it leads until the
// record changes or the lease ends; that is only a hint, the proof is the fence in each transaction
// (S5).
//
// Belongs to the engine loop.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "model/cluster_view.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::engine {

class Leadership {
 public:
  // `features`: those that this engine knows.
  // `on_change(true)`: this engine leads, and the view has reached the revision at which it began;
  // `on_change(false)`: no longer.
  Leadership(store::Store* store, Executor* executor, registry::Keys keys, std::string machine_id,
             std::function<std::string()> random_id, std::vector<std::string> features,
             absl::AnyInvocable<void(bool leads)> on_change);

  void OnLease(store::LeaseId lease);
  void OnLeaseLost();
  // `other_history`: the registry was restored or replaced.
  void OnView(const ClusterViewPtr& view, bool other_history = false);

  // The fate of a write is unknown: rewrites the record, which voids whatever is still under way,
  // and calls `done` once the view has reached that; or leadership ends.
  void VoidInFlight(absl::AnyInvocable<void()> done);

  // Gives the lead up, so that another engine takes it at once; never again campaigns.
  void Resign(absl::AnyInvocable<void()> done);

  bool leads() const { return leads_; }
  const std::string& epoch() const { return epoch_; }
  int64_t revision() const { return revision_; }  // the fence

 private:
  void Campaign();
  bool StandsBack();
  void Put(int64_t expected_revision);
  void Evaluate();
  void CheckReached();
  void FinishResigning();
  void DeleteRecord(int64_t revision, absl::AnyInvocable<void()> done);
  int64_t UnreadableRevision() const;
  void StepDown(const char* why);

  store::Store* const store_;
  Executor* const executor_;
  const registry::Keys keys_;
  const std::string machine_id_;
  const std::function<std::string()> random_id_;
  const std::vector<std::string> features_;
  absl::AnyInvocable<void(bool)> on_change_;
  absl::AnyInvocable<void()> on_voided_;
  // What is committed under this one is void once on_voided_ is called.
  int64_t voided_revision_ = 0;
  absl::AnyInvocable<void()> on_resigned_;
  ClusterViewPtr view_;
  store::LeaseId lease_ = 0;
  std::string epoch_;
  int64_t revision_ = 0;  // of our record as last written; 0: it is not ours
  bool leads_ = false;
  bool busy_ = false;
  bool resigned_ = false;
  // Since when nobody leads and this engine, which lacks a feature, lets others go first.
  absl::Time vacant_since_ = absl::InfiniteFuture();
  std::shared_ptr<bool> alive_;
};

}  // namespace fleet::engine
