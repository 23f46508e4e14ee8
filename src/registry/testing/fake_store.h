#pragma once

// A store in memory for tests: ranges and transactions with etcd's rules, callbacks posted to the
// executor. It has no leases and no watches. Tests can make it fail, and act just before a commit.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

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

  const std::map<std::string, store::KeyValue>& contents() const { return kvs_; }
  int64_t revision() const { return revision_; }
  int commits() const { return commits_; }
  size_t largest_txn() const { return largest_txn_; }

 private:
  struct Failure {
    absl::Status status;
    bool takes_effect = false;
  };

  absl::StatusOr<store::TxnResult> Execute(const store::Txn& txn);
  std::optional<Failure> TakeFailure();

  Executor* executor_;
  std::map<std::string, store::KeyValue> kvs_;
  int64_t revision_ = 1;
  int commits_ = 0;
  size_t largest_txn_ = 0;
  std::deque<absl::AnyInvocable<void()>> hooks_;
  std::deque<Failure> failures_;
};

}  // namespace fleet::registry::testing
