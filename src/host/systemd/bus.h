#pragma once

// A connection to a D-Bus peer over sd-bus (libsystemd): RAII, absl::Status and closures in place
// of reference counts, errnos and userdata. The Bus owns the connection; the sd_event it is
// attached to, and its thread, belong to the caller. All calls and callbacks happen in that thread.
//
// Only .cc files include systemd/sd-bus.h; they fill and read messages with it directly.

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

struct sd_bus;
struct sd_bus_message;
struct sd_event;

namespace fleet::host {

struct MessageDeleter {
  void operator()(sd_bus_message* message) const;
};
using Message = std::unique_ptr<sd_bus_message, MessageDeleter>;

// Where a service manager answers.
struct BusAddress {
  std::string address;  // D-Bus address, "unix:path=…"
  // True for a message bus, where systemd is one peer of many and its calls are addressed; false
  // for systemd's own private socket, where it is the only one.
  bool broker = false;
};

// What a D-Bus error means, as a status with systemd's own message:
// no such unit or file: NOT_FOUND; masked, broken or conflicting: FAILED_PRECONDITION;
// not allowed: PERMISSION_DENIED; nobody answers: UNAVAILABLE.
// REQUIRES: `reply` is an error.
absl::Status StatusOfError(sd_bus_message* reply);

class Bus {
 public:
  // The reply, valid during the callback only, or the error that came instead.
  using ReplyCallback = absl::AnyInvocable<void(absl::StatusOr<sd_bus_message*>)>;
  using SignalCallback = std::function<void(sd_bus_message*)>;
  using ClosedCallback = std::function<void()>;

  // Starts connecting and returns; messages sent meanwhile wait. An error means that nobody listens
  // at the address (the status keeps the errno: NOT_FOUND, UNAVAILABLE, PERMISSION_DENIED, …).
  // `on_signal` gets every signal. `on_closed` is called once, when the peer is gone, after each
  // outstanding call has failed with UNAVAILABLE. The Bus must not be destroyed inside a callback.
  static absl::StatusOr<std::unique_ptr<Bus>> Connect(const BusAddress& address, sd_event* event,
                                                      SignalCallback on_signal,
                                                      ClosedCallback on_closed);
  ~Bus();  // outstanding calls are dropped without an answer, unless FailOutstanding() came before
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;

  bool broker() const { return broker_; }

  // From here on neither on_signal nor on_closed is called.
  void Mute() { muted_ = true; }
  // Calls without an answer fail with UNAVAILABLE when this object is destroyed.
  void FailOutstanding() { *fail_outstanding_ = true; }

  // A method call to be filled with sd_bus_message_append. `destination` is left out on a private
  // socket.
  absl::StatusOr<Message> NewCall(const char* destination, const char* path, const char* interface,
                                  const char* member);

  // Sends it. The callback is never called from inside; if the call could not be sent the status
  // says why and the callback is not called.
  absl::Status Call(Message message, absl::Duration timeout, ReplyCallback done);

 private:
  struct BusDeleter {
    void operator()(sd_bus* bus) const;
  };
  Bus(SignalCallback on_signal, ClosedCallback on_closed);
  struct Hooks;  // what sd-bus calls

  SignalCallback on_signal_;
  ClosedCallback on_closed_;
  bool broker_ = false;
  bool muted_ = false;
  std::shared_ptr<bool> fail_outstanding_ = std::make_shared<bool>(false);  // shared with the calls
  std::unique_ptr<sd_bus, BusDeleter> bus_;
};

}  // namespace fleet::host
