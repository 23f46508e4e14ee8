#include "registry/testing/fake_store.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

namespace fleet::registry::testing {
namespace {

constexpr absl::Duration kTtl = absl::Seconds(10);

bool InRange(const store::KeyRange& range, const std::string& key) {
  if (range.end.empty()) return key == range.key;
  return key >= range.key && key < range.end;
}

absl::Status NoSuchLease() { return absl::NotFoundError("requested lease not found"); }

}  // namespace

class FakeStore::FakeWatch final : public store::Watch {
 public:
  FakeWatch(FakeStore* store, std::shared_ptr<Watcher> watcher)
      : store_(store), watcher_(std::move(watcher)) {}
  ~FakeWatch() override {
    watcher_->on_batch = nullptr;
    std::erase(store_->watchers_, watcher_);
  }

 private:
  FakeStore* store_;
  std::shared_ptr<Watcher> watcher_;
};

std::optional<FakeStore::Failure> FakeStore::TakeFailure() {
  if (failures_.empty()) return std::nullopt;
  Failure failure = std::move(failures_.front());
  failures_.pop_front();
  return failure;
}

void FakeStore::FailNext(absl::Status status, bool takes_effect) {
  failures_.push_back({std::move(status), takes_effect});
}

absl::StatusOr<store::RangeResult> FakeStore::Read(const store::RangeRequest& request) const {
  if (request.revision > revision_) return absl::OutOfRangeError("a revision that is to come");
  if (request.revision > 0 && request.revision < compacted_) {
    return absl::OutOfRangeError("the revision has been compacted");
  }
  store::RangeResult result{.revision = revision_};
  const auto contents = request.revision == 0 ? kvs_ : ContentsAt(request.revision);
  for (const auto& [key, kv] : contents) {
    if (InRange(request.range, key)) result.kvs.push_back(kv);
  }
  return result;
}

std::map<std::string, store::KeyValue> FakeStore::ContentsAt(int64_t revision) const {
  std::map<std::string, store::KeyValue> contents;
  for (const auto& [at, events] : history_) {
    if (at > revision) break;
    for (const store::Event& event : events) {
      if (event.type == store::Event::Type::kPut) {
        contents[event.kv.key] = event.kv;
      } else {
        contents.erase(event.kv.key);
      }
    }
  }
  return contents;
}

void FakeStore::RestoreTo(int64_t revision) {
  kvs_ = ContentsAt(revision);
  history_.erase(history_.upper_bound(revision), history_.end());
  revision_ = revision;
  BreakWatches(absl::UnavailableError("the store was restored"));
}

void FakeStore::Range(store::RangeRequest request, store::Callback<store::RangeResult> done) {
  ++ranges_;
  absl::StatusOr<store::RangeResult> answer = store::RangeResult{};
  if (const auto failure = TakeFailure()) {
    answer = failure->status;
  } else {
    answer = Read(request);
  }
  executor_->Post(
      [done = std::move(done), answer = std::move(answer)]() mutable { done(std::move(answer)); });
}

absl::StatusOr<store::TxnResult> FakeStore::Execute(const store::Txn& txn) {
  largest_txn_ = std::max({largest_txn_, txn.compares.size(), txn.ops.size()});
  last_txn_ = txn;
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
  for (const auto& op : txn.ops) {
    const auto* p = std::get_if<store::Put>(&op);
    if (p && p->lease != 0 && !leases_.contains(p->lease)) return NoSuchLease();
  }
  ++revision_;
  std::vector<store::Event>& events = history_[revision_];
  for (const auto& op : txn.ops) {
    if (const auto* p = std::get_if<store::Put>(&op)) {
      store::KeyValue& kv = kvs_[p->key];
      kv.key = p->key;
      kv.value = p->value;
      if (kv.version++ == 0) kv.create_revision = revision_;
      kv.mod_revision = revision_;
      kv.lease = p->lease;
      events.push_back({store::Event::Type::kPut, kv});
    } else {
      const auto& range = std::get<store::Delete>(op).range;
      std::erase_if(kvs_, [&](const auto& entry) {
        if (!InRange(range, entry.first)) return false;
        events.push_back({store::Event::Type::kDelete,
                          {.key = entry.first, .value = "", .mod_revision = revision_}});
        return true;
      });
    }
  }
  Deliver();
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

void FakeStore::LeaseGrant(absl::Duration ttl, store::Callback<store::LeaseGrantResult> done) {
  absl::StatusOr<store::LeaseGrantResult> answer;
  if (const auto failure = TakeFailure()) {
    answer = failure->status;
  } else {
    leases_.insert(++last_lease_);
    answer = store::LeaseGrantResult{last_lease_, ttl};
  }
  executor_->Post([done = std::move(done), answer]() mutable { done(answer); });
}

void FakeStore::LeaseKeepAlive(store::LeaseId lease, store::Callback<absl::Duration> done) {
  absl::StatusOr<absl::Duration> answer = kTtl;
  if (const auto failure = TakeFailure()) {
    answer = failure->status;
  } else if (!leases_.contains(lease)) {
    answer = NoSuchLease();
  }
  executor_->Post([done = std::move(done), answer]() mutable { done(answer); });
}

void FakeStore::LeaseRevoke(store::LeaseId lease, store::DoneCallback done) {
  EndLease(lease);
  executor_->Post([done = std::move(done)]() mutable { done(absl::OkStatus()); });
}

void FakeStore::EndLease(store::LeaseId lease) {
  if (leases_.erase(lease) == 0) return;
  store::Txn txn;
  for (const auto& [key, kv] : kvs_) {
    if (kv.lease == lease) txn.ops.emplace_back(store::Delete{{key, ""}});
  }
  (void)Execute(txn);
}

std::unique_ptr<store::Watch> FakeStore::StartWatch(store::KeyRange range, int64_t from_revision,
                                                    store::Callback<store::WatchBatch> on_batch) {
  auto watcher =
      std::make_shared<Watcher>(Watcher{std::move(range), from_revision, std::move(on_batch)});
  watchers_.push_back(watcher);
  if (from_revision <= compacted_) {
    executor_->Post([watcher] {
      if (watcher->on_batch) watcher->on_batch(absl::OutOfRangeError("compacted"));
    });
  } else {
    Deliver();
  }
  return std::make_unique<FakeWatch>(this, std::move(watcher));
}

void FakeStore::BreakWatches(const absl::Status& status) {
  for (auto& watcher : std::exchange(watchers_, {})) {
    executor_->Post([watcher, status] {
      if (watcher->on_batch) watcher->on_batch(status);
    });
  }
}

void FakeStore::Deliver() {
  for (const auto& watcher : watchers_) {
    for (auto it = history_.lower_bound(watcher->next); it != history_.end(); ++it) {
      store::WatchBatch batch{{}, it->first};
      for (const store::Event& event : it->second) {
        if (InRange(watcher->range, event.kv.key)) batch.events.push_back(event);
      }
      if (batch.events.empty()) continue;
      executor_->Post([watcher, batch = std::move(batch)]() mutable {
        if (watcher->on_batch) watcher->on_batch(std::move(batch));
      });
    }
    watcher->next = revision_ + 1;
  }
}

void FakeStore::Set(const std::string& key, const std::string& value) {
  (void)Execute({.ops = {store::Put{.key = key, .value = value}}});
}
void FakeStore::Erase(const std::string& key) {
  (void)Execute({.ops = {store::Delete{.range = {.key = key, .end = ""}}}});
}

}  // namespace fleet::registry::testing
