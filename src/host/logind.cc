#include "host/logind.h"

#include <fcntl.h>
#include <systemd/sd-bus.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "base/descriptor.h"
#include "base/log.h"
#include "base/status.h"
#include "host/systemd/addresses.h"
#include "host/systemd/bus.h"

namespace fleet::host {

namespace {

constexpr char kLogind[] = "org.freedesktop.login1";
constexpr char kLogindPath[] = "/org/freedesktop/login1";
constexpr char kLogindInterface[] = "org.freedesktop.login1.Manager";
constexpr char kShutdownSignal[] = "PrepareForShutdown";
constexpr char kMatch[] =
    "type='signal',sender='org.freedesktop.login1',path='/org/freedesktop/login1',"
    "interface='org.freedesktop.login1.Manager',member='PrepareForShutdown'";
constexpr absl::Duration kCallTimeout = absl::Seconds(30);
constexpr absl::Duration kRetryDelay = absl::Seconds(5);

class LogindDelay final : public ShutdownDelay {
 public:
  LogindDelay(Loop* loop, ShutdownHooks hooks) : loop_(loop), hooks_(std::move(hooks)) {
    Connect();
  }
  ~LogindDelay() override {
    if (retry_ != 0) loop_->Cancel(retry_);
  }

  void Release() override { lock_ = Descriptor(); }

 private:
  void Connect() {
    const absl::Status status = TryToConnect();
    if (!status.ok()) Lost(status);
  }

  absl::Status TryToConnect() {
    for (const BusAddress& address : ManagerAddresses(/*user=*/false, /*message_bus=*/true)) {
      ASSIGN_OR_RETURN(bus_,
                       Bus::Connect(
                           address, loop_->event(), [this](sd_bus_message* m) { OnSignal(m); },
                           [this] {
                             loop_->Post([this, alive = std::weak_ptr(alive_)] {
                               if (!alive.expired())
                                 Lost(absl::UnavailableError("the bus is gone"));
                             });
                           }));
      break;
    }
    if (bus_ == nullptr) return absl::UnavailableError("there is no message bus");
    // First the match, so that no notice can come between.
    ASSIGN_OR_RETURN(Message match, bus_->NewCall("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                                  "org.freedesktop.DBus", "AddMatch"));
    sd_bus_message_append(match.get(), "s", kMatch);
    RETURN_IF_ERROR(bus_->Call(std::move(match), kCallTimeout, OrLost([](sd_bus_message*) {})));
    return Inhibit();
  }

  absl::Status Inhibit() {
    ASSIGN_OR_RETURN(Message call,
                     bus_->NewCall(kLogind, kLogindPath, kLogindInterface, "Inhibit"));
    sd_bus_message_append(call.get(), "ssss", "shutdown", "fleet",
                          "the units of this machine move to others", "delay");
    return bus_->Call(std::move(call), kCallTimeout, OrLost([this](sd_bus_message* reply) {
                        int fd = -1;
                        if (sd_bus_message_read(reply, "h", &fd) <= 0) return;
                        // The message closes its own.
                        lock_ = Descriptor(fcntl(fd, F_DUPFD_CLOEXEC, 3));
                        told_ = false;
                        log::Info("a shutdown of this machine waits until its units have moved");
                      }));
  }

  // Calls `read` with the reply; after an error all is tried anew.
  template <typename Read>
  Bus::ReplyCallback OrLost(Read read) {
    return [this, read,
            alive = std::weak_ptr(alive_)](const absl::StatusOr<sd_bus_message*>& reply) mutable {
      if (alive.expired()) return;
      if (reply.ok()) return read(*reply);
      loop_->Post([this, alive, status = reply.status()] {
        if (!alive.expired()) Lost(status);
      });
    };
  }

  void OnSignal(sd_bus_message* signal) {
    if (sd_bus_message_is_signal(signal, kLogindInterface, kShutdownSignal) <= 0) return;
    int begins = 0;
    if (sd_bus_message_read(signal, "b", &begins) <= 0) return;
    loop_->Post([this, begins, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      if (begins != 0) {
        hooks_.on_shutdown();
      } else {
        hooks_.on_cancel();
      }
    });
  }

  // Not inside a callback of the bus.
  void Lost(const absl::Status& why) {
    bus_.reset();
    Release();
    if (!std::exchange(told_, true)) {
      log::Info("a shutdown of this machine is not delayed until its units have moved: {}",
                std::string(why.message()));
    }
    if (retry_ != 0) return;
    retry_ = loop_->PostAfter(kRetryDelay, [this] {
      retry_ = 0;
      Connect();
    });
  }

  Loop* loop_;
  ShutdownHooks hooks_;
  Descriptor lock_;
  bool told_ = false;
  Executor::TimerId retry_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<Bus> bus_;
};

}  // namespace

std::unique_ptr<ShutdownDelay> DelayShutdown(Loop* loop, ShutdownHooks hooks) {
  return std::make_unique<LogindDelay>(loop, std::move(hooks));
}

}  // namespace fleet::host
