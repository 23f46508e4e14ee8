#pragma once

// The few things the guard asks of the machine's systemd, over D-Bus. Belongs to the loop's thread.

#include <set>
#include <string>

#include "absl/functional/any_invocable.h"
#include "base/loop.h"
#include "host/systemd/connection.h"

namespace fleet::guard {

class Units {
 public:
  explicit Units(Loop* loop);

  // Those of `units` that are not stopped; all of them if systemd does not say. Later, once.
  void FindRunning(const std::set<std::string>& units,
                   absl::AnyInvocable<void(std::set<std::string>)> done);
  void Stop(const std::string& unit);
  // SIGKILL to all processes of its control group.
  void Kill(const std::string& unit);

 private:
  template <typename Fill>
  absl::Status Call(const char* method, Fill fill, host::Bus::ReplyCallback done);

  Loop* loop_;
  host::Connection connection_;
};

}  // namespace fleet::guard
