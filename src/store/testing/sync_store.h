#pragma once

// A store used from a test's thread: a loop on a thread of its own, and calls that wait for their
// answers (30 s at most). It checks what holds for every callback: in the loop's thread, and never
// inside the call.

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/loop.h"
#include "store/store.h"

namespace fleet::store {

inline constexpr auto kPatience = std::chrono::seconds(30);

class LoopThread {
 public:
  LoopThread() : loop_("test-loop"), thread_([this] { loop_.Run(); }) {}
  ~LoopThread() {
    loop_.Stop();
    thread_.join();
  }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  Loop* loop() { return &loop_; }
  bool IsCurrent() const { return std::this_thread::get_id() == thread_.get_id(); }

  // Runs `f` in the loop's thread and returns what it returns.
  template <typename F>
  auto Call(F f) {
    std::packaged_task<decltype(f())()> task(std::move(f));
    auto result = task.get_future();
    loop_.Post([&task] { task(); });
    return result.get();
  }

 private:
  Loop loop_;
  std::thread thread_;
};

// What a watch has delivered.
class WatchLog {
 public:
  void Add(absl::StatusOr<WatchBatch> batch);

  // The next batch, progress notifications left out, or the error that ended the watch.
  absl::StatusOr<WatchBatch> Next();
  // The next `count` events; all batches are checked to be whole revisions, in order.
  absl::StatusOr<std::vector<Event>> Events(size_t count);
  // The error that ends the watch, after whatever else it delivers.
  absl::Status End();

 private:
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<absl::StatusOr<WatchBatch>> batches_;
  int64_t revision_ = 0;
};

class SyncStore {
 public:
  using Maker = std::function<std::unique_ptr<Store>(Executor*)>;
  explicit SyncStore(const Maker& make);
  ~SyncStore();
  SyncStore(const SyncStore&) = delete;
  SyncStore& operator=(const SyncStore&) = delete;

  LoopThread& thread() { return thread_; }
  Store& store() { return *store_; }  // in the loop's thread only
  void Reset();                       // destroys the store

  absl::StatusOr<RangeResult> Range(RangeRequest request);
  absl::StatusOr<RangeResult> Range(KeyRange range) {
    return Range(RangeRequest{std::move(range)});
  }
  absl::StatusOr<RangeResult> Get(std::string key) { return Range(KeyRange{std::move(key), ""}); }
  absl::StatusOr<TxnResult> Commit(Txn txn);
  absl::StatusOr<TxnResult> PutKey(std::string key, std::string value, LeaseId lease = 0);
  absl::StatusOr<LeaseGrantResult> Grant(absl::Duration ttl);
  absl::StatusOr<absl::Duration> KeepAlive(LeaseId lease);
  absl::Status Revoke(LeaseId lease);

  // A watch that is ended by destroying what is returned (before this store).
  class Watching {
   public:
    Watching(SyncStore* owner, std::unique_ptr<Watch> watch, std::shared_ptr<WatchLog> log)
        : owner_(owner), watch_(std::move(watch)), log_(std::move(log)) {}
    ~Watching() { Stop(); }
    Watching(Watching&&) = default;
    WatchLog* operator->() { return log_.get(); }
    void Stop();

   private:
    SyncStore* owner_;
    std::unique_ptr<Watch> watch_;
    std::shared_ptr<WatchLog> log_;
  };
  Watching StartWatch(KeyRange range, int64_t from_revision);

 private:
  template <typename T, typename Start>
  T Wait(Start start);

  LoopThread thread_;
  std::unique_ptr<Store> store_;
};

}  // namespace fleet::store
