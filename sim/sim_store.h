#pragma once

// A client of the simulated etcd: the store that fleetd's code gets. Requests and answers take the
// machine's link; answers get lost, commits come late, requests are sent twice.

#include <functional>
#include <memory>
#include <string>

#include "sim/etcd.h"
#include "sim/link.h"
#include "sim/process.h"
#include "sim/random.h"
#include "store/store.h"

namespace fleet::sim {

// Stands between the code and the store: what a mutant changes. See mutants.h.
class Tamper {
 public:
  virtual ~Tamper() = default;
  virtual void OnCommit(const Client& /*client*/, store::Txn& /*txn*/) {}
  virtual void OnRange(const Client& /*client*/, const store::RangeRequest& /*request*/,
                       store::RangeResult& /*result*/) {}
  virtual void OnBatch(const Client& /*client*/, store::WatchBatch& /*batch*/) {}
  // True: the commit is acknowledged without having been done.
  virtual bool PretendsToCommit(const Client& /*client*/) { return false; }
};

// What goes wrong between a client and etcd, beside what its link does.
struct StoreFaults {
  // Each commit, with this chance: the answer is lost; it is sent twice; it is held back for some
  // seconds after the client has given up.
  double lose_answer = 0;
  double send_twice = 0;
  double commit_late = 0;
  // Watch events arrive up to that much later.
  absl::Duration watch_delay;
  // The process is killed at a commit: before it is sent, or after it was.
  double kill_at_commit = 0;
};

struct StoreWorld {
  EventQueue* queue = nullptr;
  Random* random = nullptr;
  Etcd* etcd = nullptr;
  Tamper* tamper = nullptr;  // may be null
  StoreFaults* faults = nullptr;
  std::function<void(const std::string&)> trace;
  absl::Duration request_timeout = absl::Seconds(1);
};

class SimStore final : public store::Store {
 public:
  SimStore(const StoreWorld* world, Client client, Link* link, Process* process);

  void Range(store::RangeRequest request, store::Callback<store::RangeResult> done) override;
  void Commit(store::Txn txn, store::Callback<store::TxnResult> done) override;
  void LeaseGrant(absl::Duration ttl, store::Callback<store::LeaseGrantResult> done) override;
  void LeaseKeepAlive(store::LeaseId lease, store::Callback<absl::Duration> done) override;
  void LeaseRevoke(store::LeaseId lease, store::DoneCallback done) override;
  std::unique_ptr<store::Watch> StartWatch(store::KeyRange range, int64_t from_revision,
                                           store::Callback<store::WatchBatch> on_batch) override;

 private:
  template <typename T>
  struct Call;
  class SimWatch;

  template <typename T>
  void Request(std::function<absl::StatusOr<T>()> serve, store::Callback<T> done, bool lose_answer,
               bool twice, absl::Duration late);

  const StoreWorld* const world_;
  const Client client_;
  Link* const link_;
  Process* const process_;
};

}  // namespace fleet::sim
