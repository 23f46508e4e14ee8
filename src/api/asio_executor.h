#pragma once

// The API loop as an Executor, over Boost.Asio. Internal to api/: includes Asio.

#include <string>

#include "absl/container/flat_hash_map.h"
#include "base/executor.h"
#include "boost/asio/io_context.hpp"
#include "boost/asio/steady_timer.hpp"

namespace fleet::api {

class AsioExecutor final : public Executor {
 public:
  // `io` outlives this object.
  explicit AsioExecutor(boost::asio::io_context* io) : io_(io) {}

  void Post(Task task) override;
  TimerId PostAfter(absl::Duration delay, Task task) override;
  void Cancel(TimerId timer) override;
  absl::Time WallNow() const override;
  absl::Time Now() const override;

 private:
  boost::asio::io_context* const io_;
  TimerId last_timer_ = 0;
  absl::flat_hash_map<TimerId, std::unique_ptr<boost::asio::steady_timer>> timers_;
};

}  // namespace fleet::api
