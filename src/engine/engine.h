#pragma once

// The engine: while it leads, turns what the reconciler decides into fenced transactions. All
// decisions are EngineReconciler's; this is the shell that carries them out.
//
// Belongs to the engine loop; the store is bound to it. Its lease is held in the lease loop, whose
// keeper posts OnLease() and OnLeaseLost() here.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/ids.h"
#include "engine/engine_metrics.h"
#include "engine/event_log.h"
#include "engine/leadership.h"
#include "engine/transaction.h"
#include "model/cluster_view.h"
#include "reconcile/content_collector.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/engine_settings.h"
#include "reconcile/machine_events.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::engine {

struct EngineOptions {
  std::string machine_id;
  reconcile::EngineSettings settings;
  absl::Duration sweep_interval = absl::Seconds(60);
  size_t events_max = 10000;
  // For the epochs of its leads, and the cluster's id.
  std::function<std::string()> random_id = RandomId;
  EngineMetrics* metrics = nullptr;  // null: nobody counts
};

class Engine {
 public:
  // `store` (bound to `executor`) and `executor` outlive the engine.
  Engine(store::Store* store, Executor* executor, const registry::Keys& keys,
         EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void OnViewChange(const ViewChange& change);
  // Whether the view is being kept up to date. While it is not nothing is decided: the registry may
  // come back as another one.
  void OnRegistryHealth(const absl::Status& health);
  void OnLease(store::LeaseId lease) { leadership_.OnLease(lease); }
  void OnLeaseLost() { leadership_.OnLeaseLost(); }

  // Hands the lead over (a clean stop); decides nothing afterwards.
  void Resign(absl::AnyInvocable<void()> done);

  bool leads() const { return leadership_.leads(); }
  std::string DebugJson() const;

 private:
  using Decisions = std::vector<reconcile::Decision>;

  void OnLeadershipChange(bool leads);
  void ReadEventKeys(std::string from_key, std::vector<std::string> keys);
  void NameCluster();
  void RenameCluster(bool other_history);
  void PutClusterId(std::vector<store::Compare> compares);
  void ScheduleTurn(absl::Duration delay);
  void Turn();
  void Sweep();
  static void ReportFindings(const Decisions& decisions);
  void CollectContents();
  void Commit(Decisions decisions);
  void CommitInHalves(Decisions decisions);
  void OnCommitted(Decisions decisions, const absl::StatusOr<store::TxnResult>& result);
  void Count(const Decisions& decisions, const absl::StatusOr<store::TxnResult>& result);

  // engine_machine_events.cc: what happens to machines
  void NoteMachineEvents(const ViewChange& change);
  void TellMachineEvents();
  void PutMachineEvents(store::Txn txn, std::vector<EventEntry> entries);

  store::Store* const store_;
  Executor* const executor_;
  const registry::Keys keys_;
  const EngineOptions options_;
  reconcile::EngineReconciler reconciler_;
  EventLog events_;
  ClusterViewPtr view_;
  reconcile::ContentCollector contents_;
  Leadership leadership_;
  bool may_decide_ = false;           // leads, and nothing of unknown fate is under way
  bool is_followed_ = false;          // the view is being kept up to date
  std::set<std::string> former_ids_;  // of the cluster, in all histories that were seen
  bool is_to_be_renamed_ = false;     // the registry was restored since
  bool is_naming_ = false;            // an id is on its way
  bool sweeping_ = false;             // the next turn is a sweep's
  Executor::TimerId turn_ = 0;
  absl::Time turn_at_;
  Executor::TimerId sweep_ = 0;
  reconcile::MachineEvents machine_events_;
  std::vector<EventEntry> untold_;             // the oldest first
  absl::Time tell_at_ = absl::InfinitePast();  // not before
  std::shared_ptr<bool> alive_;
};

}  // namespace fleet::engine
