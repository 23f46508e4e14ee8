#pragma once

// A lasting connection to a service manager: connects lazily, subscribes to its signals, and when
// the connection is lost (daemon-reexec closes the private socket) connects again with growing
// pauses, never blocking the loop. Belongs to the thread of the loop it is given.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/loop.h"
#include "host/systemd/bus.h"

namespace fleet::host {

class Connection {
 public:
  struct Handler {
    // Subscribed (again): what was signalled before is lost. `broker` says what is at the other
    // end.
    std::function<void(bool broker)> connected;
    std::function<void(const absl::Status& why)> disconnected;
    std::function<void(sd_bus_message*)> signal;  // of the manager only
  };

  // Tries `addresses` in order. One that has worked, or that refuses for the moment, is tried some
  // ten seconds before the next one is.
  Connection(std::vector<BusAddress> addresses, Loop* loop, Handler handler);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Connects if that was never tried. The bus, which may still be shaking hands, or UNAVAILABLE
  // with what was tried. Valid until control returns to the loop.
  absl::StatusOr<Bus*> Get();

 private:
  void Connect();
  absl::Status TryAddress(size_t index);
  void Prepare();
  void Subscribe();
  void OnSubscribed(const absl::Status& status);
  void OnSignal(sd_bus_message* message);
  void Drop(const absl::Status& why);
  // Sends a call of our own; a failure drops the connection.
  void Send(Message message, Bus::ReplyCallback done);

  std::vector<BusAddress> addresses_;
  std::vector<bool> worked_;  // per address
  Loop* loop_;
  Handler handler_;
  std::unique_ptr<Bus> bus_;
  size_t address_ = 0;  // the one bus_ is connected to
  std::string owner_;  // the manager's name on a message bus, so that nobody else can signal for it
  absl::Status last_error_;
  bool tried_ = false;
  int failures_ = 0;
  Executor::TimerId retry_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fleet::host
