#pragma once

// Signals as events of a loop.

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "base/loop.h"

namespace fleet::fleetd {

class Signals {
 public:
  using Handler = std::function<void(int signal)>;

  // Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR1 in this thread and those it starts later: call it
  // before there are others. The handler runs in the loop.
  static absl::StatusOr<std::unique_ptr<Signals>> Watch(Loop* loop, Handler handler);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct Impl;
  explicit Signals(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleet::fleetd
