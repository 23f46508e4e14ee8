#include "store/testing/sync_store.h"

#include <gtest/gtest.h>

#include <atomic>

namespace fleet::store {

void WatchLog::Add(absl::StatusOr<WatchBatch> batch) {
  const std::lock_guard lock(mutex_);
  batches_.push_back(std::move(batch));
  added_.notify_all();
}

absl::StatusOr<WatchBatch> WatchLog::Next() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!added_.wait_for(lock, kPatience, [this] { return !batches_.empty(); })) {
      return absl::DeadlineExceededError("the watch delivered nothing");
    }
    auto batch = std::move(batches_.front());
    batches_.pop_front();
    if (!batch.ok()) {
      EXPECT_TRUE(batches_.empty()) << "an error is a watch's last call";
      return batch;
    }
    // Whole revisions, in order, none twice: each batch begins after where the last one ended.
    int64_t last = revision_;
    for (size_t i = 0; i < batch->events.size(); ++i) {
      const int64_t revision = batch->events[i].kv.mod_revision;
      EXPECT_TRUE(i == 0 ? revision > last : revision >= last) << revision << " after " << last;
      last = revision;
    }
    EXPECT_GE(batch->revision, last);
    revision_ = batch->revision;
    if (!batch->events.empty()) return batch;
  }
}

absl::StatusOr<std::vector<Event>> WatchLog::Events(size_t count) {
  std::vector<Event> events;
  while (events.size() < count) {
    auto batch = Next();
    if (!batch.ok()) return batch.status();
    for (Event& event : batch->events) events.push_back(std::move(event));
  }
  return events;
}

absl::Status WatchLog::End() {
  while (true) {
    auto batch = Next();
    if (!batch.ok()) return batch.status();
  }
}

SyncStore::SyncStore(const Maker& make) {
  store_ = thread_.Call([&] { return make(thread_.loop()); });
}

SyncStore::~SyncStore() { Reset(); }

void SyncStore::Reset() {
  thread_.Call([this] { store_.reset(); });
}

template <typename T, typename Start>
T SyncStore::Wait(Start start) {
  auto promise = std::make_shared<std::promise<T>>();
  auto answer = promise->get_future();
  thread_.Call([&] {
    auto inside = std::make_shared<bool>(true);
    start([this, promise, inside](T result) {
      EXPECT_TRUE(thread_.IsCurrent());
      EXPECT_FALSE(*inside);
      promise->set_value(std::move(result));
    });
    *inside = false;
  });
  if (answer.wait_for(kPatience) != std::future_status::ready) {
    return absl::DeadlineExceededError("the store never called back");
  }
  return answer.get();
}

absl::StatusOr<RangeResult> SyncStore::Range(RangeRequest request) {
  return Wait<absl::StatusOr<RangeResult>>(
      [&](auto done) { store_->Range(std::move(request), std::move(done)); });
}

absl::StatusOr<TxnResult> SyncStore::Commit(Txn txn) {
  return Wait<absl::StatusOr<TxnResult>>(
      [&](auto done) { store_->Commit(std::move(txn), std::move(done)); });
}

absl::StatusOr<TxnResult> SyncStore::PutKey(std::string key, std::string value, LeaseId lease) {
  return Commit(Txn{.ops = {Put{std::move(key), std::move(value), lease}}});
}

absl::StatusOr<LeaseGrantResult> SyncStore::Grant(absl::Duration ttl) {
  return Wait<absl::StatusOr<LeaseGrantResult>>(
      [&](auto done) { store_->LeaseGrant(ttl, std::move(done)); });
}

absl::StatusOr<absl::Duration> SyncStore::KeepAlive(LeaseId lease) {
  return Wait<absl::StatusOr<absl::Duration>>(
      [&](auto done) { store_->LeaseKeepAlive(lease, std::move(done)); });
}

absl::Status SyncStore::Revoke(LeaseId lease) {
  return Wait<absl::Status>([&](auto done) { store_->LeaseRevoke(lease, std::move(done)); });
}

SyncStore::Watching SyncStore::StartWatch(KeyRange range, int64_t from_revision) {
  auto log = std::make_shared<WatchLog>();
  auto watch = thread_.Call([&] {
    auto inside = std::make_shared<bool>(true);
    auto started = store_->StartWatch(std::move(range), from_revision,
                                      [this, log, inside](absl::StatusOr<WatchBatch> batch) {
                                        EXPECT_TRUE(thread_.IsCurrent());
                                        EXPECT_FALSE(*inside);
                                        log->Add(std::move(batch));
                                      });
    *inside = false;
    return started;
  });
  return {this, std::move(watch), std::move(log)};
}

void SyncStore::Watching::Stop() {
  if (watch_) owner_->thread_.Call([this] { watch_.reset(); });
}

}  // namespace fleet::store
