#include "store/embedded/worker.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "store/embedded/jobs.h"
#include "store/txn_check.h"

namespace fleet::store::embedded {
namespace {

// Bounds how long the first job of a transaction waits for the last one.
constexpr size_t kMostJobsTogether = 512;

}  // namespace

absl::StatusOr<std::shared_ptr<Worker>> Worker::Open(const std::string& path,
                                                     EmbeddedOptions options) {
  if (options.history < 1) return absl::InvalidArgumentError("a store needs some history");
  ASSIGN_OR_RETURN(auto database, Database::Open(path));
  ASSIGN_OR_RETURN(auto tables, Tables::Open(database.get()));
  State state;
  ASSIGN_OR_RETURN(state.revision, tables->Revision());
  ASSIGN_OR_RETURN(state.compacted, tables->Compacted());
  ASSIGN_OR_RETURN(const auto leases, tables->Leases());
  for (const auto& [id, ttl] : leases) {
    state.leases[id] = {ttl, Clock::now() + std::chrono::seconds(ttl)};
  }
  return std::shared_ptr<Worker>(
      new Worker(std::move(database), std::move(tables), std::move(state), options));
}

Worker::Worker(std::unique_ptr<Database> database, std::unique_ptr<Tables> tables, State state,
               EmbeddedOptions options)
    : database_(std::move(database)),
      tables_(std::move(tables)),
      options_(options),
      place_{.tables = *tables_, .state = std::move(state)},
      thread_([this] { Loop(); }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

void Worker::Submit(std::unique_ptr<Job> job) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(job));
  wake_.notify_all();
}

Clock::time_point Worker::NextExpiry() const {
  auto next = Clock::time_point::max();
  for (const auto& [id, lease] : place_.state.leases) next = std::min(next, lease.end);
  return next;
}

void Worker::Loop() {
  pthread_setname_np(pthread_self(), "fleet-registry");
  while (true) {
    std::vector<std::unique_ptr<Job>> jobs;
    {
      std::unique_lock lock(mutex_);
      const auto expiry = NextExpiry();
      const auto awake = [this] { return stop_ || !queue_.empty(); };
      if (expiry == Clock::time_point::max()) {
        wake_.wait(lock, awake);
      } else {
        wake_.wait_until(lock, std::max(expiry, housekeeping_not_before_), awake);
      }
      if (stop_) return;
      while (!queue_.empty() && jobs.size() < kMostJobsTogether) {
        jobs.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
    }
    // Leases end after the jobs: a keep-alive that has waited for the disk still counts.
    if (!jobs.empty()) RunTogether(std::move(jobs));
    KeepHouse();
  }
}

void Worker::RunTogether(std::vector<std::unique_ptr<Job>> jobs) {
  const absl::Status status = Transact(jobs);
  if (!status.ok() && jobs.size() > 1 && !absl::IsDeadlineExceeded(status)) {
    // One may be the cause: the others shall not fail for it.
    for (auto& job : jobs) {
      std::vector<std::unique_ptr<Job>> alone;
      alone.push_back(std::move(job));
      RunTogether(std::move(alone));
    }
    return;
  }
  for (auto& job : jobs) job->Done(status, place_);
  Deliver();
}

absl::Status Worker::Transact(const std::vector<std::unique_ptr<Job>>& jobs) {
  const State before = place_.state;
  absl::Status status = database_->Begin();
  for (const auto& job : jobs) {
    if (status.ok()) status = job->Run(place_);
  }
  if (status.ok()) status = database_->Commit();
  if (!status.ok()) {
    database_->Rollback();
    place_.state = before;
    place_.events.clear();
  }
  return status;
}

void Worker::Deliver() {
  const auto events = std::exchange(place_.events, {});
  if (events.empty()) return;
  for (auto& [id, watcher] : place_.watchers) {
    WatchBatch batch{.revision = place_.state.revision};
    for (const Event& event : events) {
      if (event.kv.mod_revision >= watcher.next && Contains(watcher.range, event.kv.key)) {
        batch.events.push_back(event);
      }
    }
    watcher.next = batch.revision + 1;
    if (!batch.events.empty()) watcher.on_batch(std::move(batch));
  }
}

// Ends the leases whose time is up, and forgets what is older than the history to be kept.
void Worker::KeepHouse() {
  const auto now = Clock::now();
  if (now < housekeeping_not_before_) return;
  std::vector<std::unique_ptr<Job>> jobs;
  if (NextExpiry() <= now) jobs.push_back(MakeExpiry());
  const State& state = place_.state;
  const int64_t keep_from = state.revision - options_.history;
  // Not for each revision: a tenth of the history may be kept in excess.
  if (keep_from > state.compacted + options_.history / 10) {
    jobs.push_back(MakeCompaction(keep_from));
  }
  if (jobs.empty()) return;
  const absl::Status status = Transact(jobs);
  if (!status.ok()) {
    log::Warning("the registry cannot end leases or forget old revisions, trying again: {}",
                 std::string(status.message()));
    housekeeping_not_before_ = now + std::chrono::seconds(1);
  }
  Deliver();
}

}  // namespace fleet::store::embedded
