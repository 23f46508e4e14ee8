#pragma once

// The thread that owns an embedded store's database, and does what its handles ask for: jobs. What
// has queued up by the time it is done with the last jobs shares the next transaction, so that many
// commits wait for the disk once; their answers go out when it is committed.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/embedded/embedded_store.h"
#include "store/embedded/sqlite.h"
#include "store/embedded/tables.h"
#include "store/store.h"

namespace fleet::store::embedded {

using Clock = std::chrono::steady_clock;

struct Lease {
  int64_t ttl_seconds = 0;
  Clock::time_point end;
};

// What a transaction changes in memory; it is put back when the transaction fails.
struct State {
  int64_t revision = 1;
  int64_t compacted = 0;
  absl::flat_hash_map<LeaseId, Lease> leases;
};

struct Watcher {
  KeyRange range;
  int64_t next = 0;  // revisions before it have been delivered
  absl::AnyInvocable<void(absl::StatusOr<WatchBatch>)> on_batch;
};

// What jobs work on.
struct Workplace {
  Tables& tables;
  State state;
  std::vector<Event> events;                        // of the transaction under way, in order
  absl::flat_hash_map<uint64_t, Watcher> watchers;  // changed in Job::Done() only
};

class Job {
 public:
  virtual ~Job() = default;
  // Works within a transaction. An error is the database's and undoes the whole transaction; then
  // the job may run again in another. What is wrong with the request itself goes into its answer.
  virtual absl::Status Run(Workplace& place) = 0;
  // The transaction has ended like this: answers.
  virtual void Done(const absl::Status& transaction, Workplace& place) = 0;
};

class Worker {
 public:
  static absl::StatusOr<std::shared_ptr<Worker>> Open(const std::string& path,
                                                      EmbeddedOptions options);
  // Jobs that have not begun are dropped.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Any thread.
  void Submit(std::unique_ptr<Job> job);
  uint64_t NewWatchId() { return ++last_watch_id_; }

 private:
  Worker(std::unique_ptr<Database> database, std::unique_ptr<Tables> tables, State state,
         EmbeddedOptions options);
  void Loop();
  void RunTogether(std::vector<std::unique_ptr<Job>> jobs);
  absl::Status Transact(const std::vector<std::unique_ptr<Job>>& jobs);
  void Deliver();
  void KeepHouse();
  Clock::time_point NextExpiry() const;

  const std::unique_ptr<Database> database_;
  const std::unique_ptr<Tables> tables_;
  const EmbeddedOptions options_;
  std::atomic<uint64_t> last_watch_id_{0};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> queue_;  // mutex_
  bool stop_ = false;                       // mutex_

  // The thread's own.
  Workplace place_;
  Clock::time_point housekeeping_not_before_;  // after one that failed
  std::thread thread_;
};

}  // namespace fleet::store::embedded
