#include "registry/testing/fake_store.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

namespace fleet::registry::testing {
namespace {

bool InRange(const store::KeyRange& range, const std::string& key) {
  if (range.end.empty()) return key == range.key;
  return key >= range.key && key < range.end;
}

absl::Status NoLeases() { return absl::UnimplementedError("the fake store has no leases"); }

class NoWatch final : public store::Watch {};

}  // namespace

std::optional<FakeStore::Failure> FakeStore::TakeFailure() {
  if (failures_.empty()) return std::nullopt;
  Failure failure = std::move(failures_.front());
  failures_.pop_front();
  return failure;
}

void FakeStore::FailNext(absl::Status status, bool takes_effect) {
  failures_.push_back({std::move(status), takes_effect});
}

void FakeStore::Range(store::RangeRequest request, store::Callback<store::RangeResult> done) {
  absl::StatusOr<store::RangeResult> answer = store::RangeResult{};
  if (const auto failure = TakeFailure()) {
    answer = failure->status;
  } else {
    answer->revision = revision_;
    for (const auto& [key, kv] : kvs_) {
      if (InRange(request.range, key)) answer->kvs.push_back(kv);
    }
  }
  executor_->Post(
      [done = std::move(done), answer = std::move(answer)]() mutable { done(std::move(answer)); });
}

absl::StatusOr<store::TxnResult> FakeStore::Execute(const store::Txn& txn) {
  largest_txn_ = std::max({largest_txn_, txn.compares.size(), txn.ops.size()});
  if (txn.compares.size() > store::kMaxTxnSize || txn.ops.size() > store::kMaxTxnSize) {
    return absl::InvalidArgumentError("too many operations in one transaction");
  }
  std::set<std::string> put;
  for (const auto& op : txn.ops) {
    const auto* p = std::get_if<store::Put>(&op);
    if (p && !put.insert(p->key).second) {
      return absl::InvalidArgumentError("duplicate key given in txn request");
    }
  }
  for (const auto& compare : txn.compares) {
    const auto it = kvs_.find(compare.key);
    int64_t found = 0;
    if (it != kvs_.end()) {
      found = compare.target == store::Compare::Target::kModRevision ? it->second.mod_revision
                                                                     : it->second.create_revision;
    }
    if (found != compare.revision) return store::TxnResult{false, revision_};
  }
  if (txn.ops.empty()) return store::TxnResult{true, revision_};
  ++revision_;
  for (const auto& op : txn.ops) {
    if (const auto* p = std::get_if<store::Put>(&op)) {
      store::KeyValue& kv = kvs_[p->key];
      kv.key = p->key;
      kv.value = p->value;
      if (kv.version++ == 0) kv.create_revision = revision_;
      kv.mod_revision = revision_;
    } else {
      const auto& range = std::get<store::Delete>(op).range;
      std::erase_if(kvs_, [&](const auto& entry) { return InRange(range, entry.first); });
    }
  }
  return store::TxnResult{true, revision_};
}

void FakeStore::Commit(store::Txn txn, store::Callback<store::TxnResult> done) {
  ++commits_;
  if (!hooks_.empty()) {
    auto hook = std::move(hooks_.front());
    hooks_.pop_front();
    hook();
  }
  absl::StatusOr<store::TxnResult> answer = store::TxnResult{};
  const auto failure = TakeFailure();
  if (!failure || failure->takes_effect) answer = Execute(txn);
  if (failure) answer = failure->status;
  executor_->Post(
      [done = std::move(done), answer = std::move(answer)]() mutable { done(std::move(answer)); });
}

void FakeStore::LeaseGrant(absl::Duration, store::Callback<store::LeaseGrantResult> done) {
  executor_->Post([done = std::move(done)]() mutable { done(NoLeases()); });
}
void FakeStore::LeaseKeepAlive(store::LeaseId, store::Callback<absl::Duration> done) {
  executor_->Post([done = std::move(done)]() mutable { done(NoLeases()); });
}
void FakeStore::LeaseRevoke(store::LeaseId, store::DoneCallback done) {
  executor_->Post([done = std::move(done)]() mutable { done(NoLeases()); });
}
std::unique_ptr<store::Watch> FakeStore::StartWatch(store::KeyRange, int64_t,
                                                    store::Callback<store::WatchBatch>) {
  return std::make_unique<NoWatch>();
}

void FakeStore::Set(const std::string& key, const std::string& value) {
  (void)Execute({.ops = {store::Put{.key = key, .value = value}}});
}
void FakeStore::Erase(const std::string& key) {
  (void)Execute({.ops = {store::Delete{.range = {.key = key, .end = ""}}}});
}

}  // namespace fleet::registry::testing
