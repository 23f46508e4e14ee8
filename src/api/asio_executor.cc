#include "api/asio_executor.h"

#include <ctime>
#include <memory>
#include <utility>

#include "boost/asio/post.hpp"

namespace fleet::api {

void AsioExecutor::Post(Task task) {
  boost::asio::post(*io_, [task = std::move(task)]() mutable { task(); });
}

Executor::TimerId AsioExecutor::PostAfter(absl::Duration delay, Task task) {
  const TimerId id = ++last_timer_;
  auto timer = std::make_unique<boost::asio::steady_timer>(*io_, absl::ToChronoNanoseconds(delay));
  timer->async_wait([this, id, task = std::move(task)](const boost::system::error_code&) mutable {
    // One that was cancelled, even when it was already due, is no longer there.
    if (timers_.erase(id) > 0) task();
  });
  timers_.emplace(id, std::move(timer));
  return id;
}

void AsioExecutor::Cancel(TimerId timer) { timers_.erase(timer); }

absl::Time AsioExecutor::WallNow() const { return absl::Now(); }

absl::Time AsioExecutor::Now() const {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::TimeFromTimespec(now);
}

}  // namespace fleet::api
