#include "api/planning.h"

#include <malloc.h>
#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace fleet::api {
namespace {

// How long the end of the API waits for work that is running.
constexpr std::chrono::milliseconds kGoodbye(500);

}  // namespace

// What the thread and the API loop share; the thread may outlive Planning with it.
struct Planning::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  // Below: guarded by `mutex`.
  Executor* executor = nullptr;  // null: Planning is gone
  std::deque<std::pair<uint64_t, Task>> queue;
  bool ended = false;

  // In the API loop only.
  Planning* owner = nullptr;

  static void Work(const std::shared_ptr<Shared>& shared) {
    pthread_setname_np(pthread_self(), "planning");
    std::unique_lock lock(shared->mutex);
    for (;;) {
      shared->changed.wait(lock, [&] { return !shared->executor || !shared->queue.empty(); });
      if (!shared->executor) break;
      std::pair<uint64_t, Task> next = std::move(shared->queue.front());
      shared->queue.pop_front();
      lock.unlock();
      next.second();
      next.second = nullptr;  // gives back what it used
      lock.lock();
      if (!shared->executor) break;
      shared->executor->Post([shared, id = next.first] {
        if (shared->owner) shared->owner->Finish(id);
      });
      if (!shared->queue.empty()) continue;
      // A plan makes a copy of the whole cluster, and a daemon idles without it.
      lock.unlock();
      malloc_trim(0);
      lock.lock();
    }
    shared->ended = true;
    shared->changed.notify_all();
  }
};

Planning::Planning(Executor* executor, size_t max_waiting)
    : max_waiting_(max_waiting), shared_(std::make_shared<Shared>()) {
  shared_->executor = executor;
  shared_->owner = this;
}

Planning::~Planning() {
  shared_->owner = nullptr;
  if (!thread_.joinable()) return;
  std::deque<std::pair<uint64_t, Task>> dropped;
  std::unique_lock lock(shared_->mutex);
  shared_->executor = nullptr;
  dropped.swap(shared_->queue);
  shared_->changed.notify_all();
  const bool ended = shared_->changed.wait_for(lock, kGoodbye, [&] { return shared_->ended; });
  lock.unlock();
  if (ended) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

bool Planning::Add(Task work, Task done) {
  const uint64_t id = last_id_ + 1;
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->queue.size() >= max_waiting_) return false;
    shared_->queue.emplace_back(id, std::move(work));
  }
  last_id_ = id;
  done_.emplace(id, std::move(done));
  shared_->changed.notify_all();
  if (!thread_.joinable()) thread_ = std::thread([shared = shared_] { Shared::Work(shared); });
  return true;
}

void Planning::Finish(uint64_t id) {
  const auto it = done_.find(id);
  Task done = std::move(it->second);
  done_.erase(it);
  done();
}

}  // namespace fleet::api
