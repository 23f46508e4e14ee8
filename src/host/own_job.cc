#include "host/own_job.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <systemd/sd-login.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "fmt/core.h"
#include "host/systemd/addresses.h"
#include "host/systemd/bus.h"
#include "host/systemd/messages.h"
#include "host/systemd/object_path.h"

namespace fleet::host {
namespace {

constexpr char kManager[] = "org.freedesktop.systemd1";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";

// The unit this process is in; empty if it is in none (started by hand, or in a session).
std::string OwnUnit(bool user) {
  char* raw = nullptr;
  const int r = user ? sd_pid_get_user_unit(0, &raw) : sd_pid_get_unit(0, &raw);
  const std::unique_ptr<char, decltype(&std::free)> unit(raw, &std::free);
  return r >= 0 && unit != nullptr ? unit.get() : "";
}

// Asks one thing after another, never waiting longer than until the deadline in all. (A blocking
// call of sd-bus would wait for the handshake without regard to its time-out.)
class Questions {
 public:
  Questions() = default;
  ~Questions() {
    bus_.reset();
    sd_event_unref(event_);
  }
  Questions(const Questions&) = delete;
  Questions& operator=(const Questions&) = delete;

  absl::Status Connect(bool user, absl::Duration timeout) {
    if (const int r = sd_event_new(&event_); r < 0) return absl::ErrnoToStatus(-r, "sd_event_new");
    sd_event_now(event_, CLOCK_BOOTTIME, &deadline_);
    deadline_ += static_cast<uint64_t>(absl::ToInt64Microseconds(timeout));
    std::string tried;
    for (const BusAddress& address : ManagerAddresses(user, false)) {
      auto bus = Bus::Connect(
          address, event_, [](sd_bus_message*) {}, [] {});
      if (bus.ok()) {
        bus_ = *std::move(bus);
        return absl::OkStatus();
      }
      tried += (tried.empty() ? "" : "; ") + std::string(bus.status().message());
    }
    return absl::UnavailableError("cannot reach systemd; tried " + tried);
  }

  // `read` takes the property's value from the reply.
  absl::Status Property(const std::string& path, const char* interface, const char* property,
                        const std::function<absl::Status(sd_bus_message*)>& read) {
    ASSIGN_OR_RETURN(Message call, bus_->NewCall(kManager, path.c_str(),
                                                 "org.freedesktop.DBus.Properties", "Get"));
    sd_bus_message_append(call.get(), "ss", interface, property);
    std::optional<absl::Status> answer;
    RETURN_IF_ERROR(
        bus_->Call(std::move(call), absl::Minutes(1), [&](absl::StatusOr<sd_bus_message*> reply) {
          answer = reply.ok() ? read(*reply) : reply.status();
        }));
    while (!answer) {
      uint64_t now = 0;
      sd_event_now(event_, CLOCK_BOOTTIME, &now);
      if (now >= deadline_) {
        bus_.reset();  // before `answer` goes
        return absl::DeadlineExceededError(
            fmt::format("systemd did not tell {} of {} in time", property, path));
      }
      if (const int r = sd_event_run(event_, deadline_ - now); r < 0) {
        bus_.reset();
        return absl::ErrnoToStatus(-r, "waiting for systemd");
      }
    }
    return *answer;
  }

 private:
  sd_event* event_ = nullptr;
  uint64_t deadline_ = 0;
  std::unique_ptr<Bus> bus_;
};

std::function<absl::Status(sd_bus_message*)> Into(std::string& text) {
  return [&text](sd_bus_message* reply) -> absl::Status {
    ASSIGN_OR_RETURN(text, ReadStringProperty(reply));
    return absl::OkStatus();
  };
}

}  // namespace

absl::StatusOr<OwnJob> FindOwnJob(bool user, absl::Duration timeout) {
  const std::string unit = OwnUnit(user);
  Questions questions;
  RETURN_IF_ERROR(questions.Connect(user, timeout));
  std::string state;
  RETURN_IF_ERROR(questions.Property(kManagerPath, "org.freedesktop.systemd1.Manager",
                                     "SystemState", Into(state)));
  // shutdown.target is active or has a job: poweroff, reboot, kexec, exit.
  if (state == "stopping") return OwnJob::kShutdown;
  if (unit.empty()) return OwnJob::kNone;
  uint32_t id = 0;
  std::string job;
  RETURN_IF_ERROR(questions.Property(
      UnitPath(unit), "org.freedesktop.systemd1.Unit", "Job",
      [&](sd_bus_message* reply) -> absl::Status {
        const char* path = nullptr;
        const int r = sd_bus_message_read(reply, "v", "(uo)", &id, &path);
        if (r <= 0) return absl::InternalError("systemd told the job of " + unit + " wrongly");
        job = path;
        return absl::OkStatus();
      }));
  if (id == 0) return OwnJob::kNone;
  std::string type;
  const absl::Status status =
      questions.Property(job, "org.freedesktop.systemd1.Job", "JobType", Into(type));
  if (absl::IsNotFound(status)) return OwnJob::kNone;  // it has ended meanwhile
  RETURN_IF_ERROR(status);
  if (type == "stop") return OwnJob::kStop;
  if (type == "restart" || type == "try-restart") return OwnJob::kRestart;
  return OwnJob::kNone;
}

}  // namespace fleet::host
