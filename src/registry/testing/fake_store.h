#pragma once

// A store in memory for tests: ranges, transactions, leases and watches with etcd's rules,
// callbacks posted to the executor. Leases end only when a test ends them. Tests can make it fail,
// act just before a commit, and break the watches.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/executor.h"
#include "store/store.h"

namespace fleet::registry::testing {

class FakeStore final : public store::Store {
 public:
  explicit FakeStore(Executor* executor) : executor_(executor) {}

  void Range(store::RangeRequest request, store::Callback<store::RangeResult> done) override;
  void Commit(store::Txn txn, store::Callback<store::TxnResult> done) override;
  void LeaseGrant(absl::Duration ttl, store::Callback<store::LeaseGrantResult> done) override;
  void LeaseKeepAlive(store::LeaseId lease, store::Callback<absl::Duration> done) override;
  void LeaseRevoke(store::LeaseId lease, store::DoneCallback done) override;
  std::unique_ptr<store::Watch> StartWatch(store::KeyRange range, int64_t from_revision,
                                           store::Callback<store::WatchBatch> on_batch) override;

  // What a commit does next, before its compares: another client's write, say. Once each.
  void BeforeCommit(absl::AnyInvocable<void()> hook) { hooks_.push_back(std::move(hook)); }
  // The next call answers this. `takes_effect`: it does its work nevertheless.
  void FailNext(absl::Status status, bool takes_effect = false);

  // Writes at once, in a revision of its own.
  void Set(const std::string& key, const std::string& value);
  void Erase(const std::string& key);

  // The lease has ended: its keys are deleted, in one revision.
  void EndLease(store::LeaseId lease);
  // All watches end with this error.
  void BreakWatches(const absl::Status& status);
  // The store goes back to what it was at this revision, as from a backup. Watches end.
  void RestoreTo(int64_t revision);
  // The history before this revision is forgotten.
  void Compact(int64_t revision) { compacted_ = revision; }

  const std::map<std::string, store::KeyValue>& contents() const { return kvs_; }
  int64_t revision() const { return revision_; }
  size_t watches() const { return watchers_.size(); }
  int ranges() const { return ranges_; }
  int commits() const { return commits_; }
  size_t largest_txn() const { return largest_txn_; }
  // The last transaction asked for: it may come a second time.
  const store::Txn& last_txn() const { return last_txn_; }

 private:
  struct Failure {
    absl::Status status;
    bool takes_effect = false;
  };

  class FakeWatch;
  struct Watcher {
    store::KeyRange range;
    int64_t next = 0;  // revision
    store::Callback<store::WatchBatch> on_batch;
  };

  absl::StatusOr<store::RangeResult> Read(const store::RangeRequest& request) const;
  absl::StatusOr<store::TxnResult> Execute(const store::Txn& txn);
  void Deliver();
  std::map<std::string, store::KeyValue> ContentsAt(int64_t revision) const;
  std::optional<Failure> TakeFailure();

  Executor* executor_;
  std::map<std::string, store::KeyValue> kvs_;
  int64_t revision_ = 1;
  int64_t compacted_ = 0;
  std::map<int64_t, std::vector<store::Event>> history_;  // by revision
  std::vector<std::shared_ptr<Watcher>> watchers_;
  std::set<store::LeaseId> leases_;
  store::LeaseId last_lease_ = 0;
  int ranges_ = 0;
  int commits_ = 0;
  size_t largest_txn_ = 0;
  store::Txn last_txn_;
  std::deque<absl::AnyInvocable<void()>> hooks_;
  std::deque<Failure> failures_;
};

}  // namespace fleet::registry::testing
