#include "host/systemd/bus.h"

#include <systemd/sd-bus.h>

#include <cerrno>
#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fleet::host {
namespace {

struct ErrorCode {
  std::string_view name;
  absl::StatusCode code;
};

// org.freedesktop.systemd1(5) lists its errors only in its source (bus-common-errors.h).
constexpr ErrorCode kErrorCodes[] = {
    {"org.freedesktop.systemd1.NoSuchUnit", absl::StatusCode::kNotFound},
    {"org.freedesktop.systemd1.NoSuchJob", absl::StatusCode::kNotFound},
    {"org.freedesktop.systemd1.UnitMasked", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.BadUnitSetting", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.LoadFailed", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.UnitLinked", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.UnitGenerated", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.UnitExists", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.DiskFull", absl::StatusCode::kResourceExhausted},
    {"org.freedesktop.systemd1.JobTypeNotApplicable", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.NoIsolation", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.OnlyByDependency", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.TransactionJobsConflicting", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.TransactionOrderIsCyclic", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.TransactionIsDestructive", absl::StatusCode::kFailedPrecondition},
    {"org.freedesktop.systemd1.AlreadySubscribed", absl::StatusCode::kAlreadyExists},
    {"org.freedesktop.systemd1.ShuttingDown", absl::StatusCode::kUnavailable},
    {SD_BUS_ERROR_ACCESS_DENIED, absl::StatusCode::kPermissionDenied},
    {SD_BUS_ERROR_AUTH_FAILED, absl::StatusCode::kPermissionDenied},
    {SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, absl::StatusCode::kPermissionDenied},
    {SD_BUS_ERROR_INVALID_ARGS, absl::StatusCode::kInvalidArgument},
    {SD_BUS_ERROR_FILE_NOT_FOUND, absl::StatusCode::kNotFound},
    {SD_BUS_ERROR_FILE_EXISTS, absl::StatusCode::kFailedPrecondition},
    {SD_BUS_ERROR_NO_MEMORY, absl::StatusCode::kResourceExhausted},
    {SD_BUS_ERROR_LIMITS_EXCEEDED, absl::StatusCode::kResourceExhausted},
    {SD_BUS_ERROR_NO_REPLY, absl::StatusCode::kUnavailable},
    {SD_BUS_ERROR_TIMEOUT, absl::StatusCode::kUnavailable},
    {SD_BUS_ERROR_DISCONNECTED, absl::StatusCode::kUnavailable},
    {SD_BUS_ERROR_NO_SERVER, absl::StatusCode::kUnavailable},
    {SD_BUS_ERROR_SERVICE_UNKNOWN, absl::StatusCode::kUnavailable},
    {SD_BUS_ERROR_NAME_HAS_NO_OWNER, absl::StatusCode::kUnavailable},
    {SD_BUS_ERROR_UNKNOWN_OBJECT, absl::StatusCode::kNotFound},
    {SD_BUS_ERROR_UNKNOWN_METHOD, absl::StatusCode::kUnimplemented},
    {SD_BUS_ERROR_UNKNOWN_PROPERTY, absl::StatusCode::kUnimplemented},
    {SD_BUS_ERROR_UNKNOWN_INTERFACE, absl::StatusCode::kUnimplemented},
};

// The closure of a call; the slot owns it, so that it ends with the call whatever ends the call.
struct PendingCall {
  Bus::ReplyCallback done;
  std::shared_ptr<bool> fail_outstanding;
};

int OnReply(sd_bus_message* reply, void* userdata, sd_bus_error* /*error*/) {
  auto* call = static_cast<PendingCall*>(userdata);
  Bus::ReplyCallback done = std::exchange(call->done, nullptr);
  if (sd_bus_message_is_method_error(reply, nullptr) > 0) {
    done(StatusOfError(reply));
  } else {
    done(reply);
  }
  return 1;
}

void DeletePendingCall(void* userdata) {
  const std::unique_ptr<PendingCall> call(static_cast<PendingCall*>(userdata));
  if (call->done && *call->fail_outstanding) {
    call->done(absl::UnavailableError("the connection was given up before the answer came"));
  }
}

}  // namespace

void MessageDeleter::operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }

absl::Status StatusOfError(sd_bus_message* reply) {
  const sd_bus_error* error = sd_bus_message_get_error(reply);
  const std::string name = error->name == nullptr ? "" : error->name;
  const std::string message = error->message == nullptr ? name : error->message;
  for (const ErrorCode& entry : kErrorCodes) {
    if (entry.name == name) return absl::Status(entry.code, message);
  }
  // "System.Error.ENOSPC" and the like carry an errno.
  if (const int number = sd_bus_error_get_errno(error); number != 0 && number != EIO) {
    const absl::StatusCode code = absl::ErrnoToStatusCode(number);
    if (code != absl::StatusCode::kUnknown) return absl::Status(code, message);
  }
  return absl::InternalError(absl::StrCat(message, " (", name, ")"));
}

struct Bus::Hooks {
  static int OnMessage(sd_bus_message* message, void* userdata, sd_bus_error* /*error*/) {
    auto* self = static_cast<Bus*>(userdata);
    uint8_t type = 0;
    if (sd_bus_message_get_type(message, &type) < 0 || type != SD_BUS_MESSAGE_SIGNAL) return 0;
    if (self->muted_) return 0;
    if (sd_bus_message_is_signal(message, "org.freedesktop.DBus.Local", "Disconnected") > 0) {
      self->on_closed_();
    } else {
      self->on_signal_(message);
    }
    return 0;
  }
};

void Bus::BusDeleter::operator()(sd_bus* bus) const {
  sd_bus_detach_event(bus);
  sd_bus_close_unref(bus);
}

Bus::Bus(SignalCallback on_signal, ClosedCallback on_closed)
    : on_signal_(std::move(on_signal)), on_closed_(std::move(on_closed)) {}

Bus::~Bus() = default;

absl::StatusOr<std::unique_ptr<Bus>> Bus::Connect(const BusAddress& address, sd_event* event,
                                                  SignalCallback on_signal,
                                                  ClosedCallback on_closed) {
  sd_bus* raw = nullptr;
  if (const int r = sd_bus_new(&raw); r < 0) return absl::ErrnoToStatus(-r, address.address);
  std::unique_ptr<Bus> bus(new Bus(std::move(on_signal), std::move(on_closed)));
  bus->bus_.reset(raw);
  bus->broker_ = address.broker;
  int r = sd_bus_set_address(raw, address.address.c_str());
  if (r >= 0) r = sd_bus_set_bus_client(raw, address.broker ? 1 : 0);
  if (r >= 0) r = sd_bus_set_exit_on_disconnect(raw, 0);
  if (r >= 0) r = sd_bus_add_filter(raw, nullptr, &Hooks::OnMessage, bus.get());
  if (r >= 0) r = sd_bus_start(raw);
  if (r >= 0) r = sd_bus_attach_event(raw, event, 0);
  if (r < 0) return absl::ErrnoToStatus(-r, address.address);
  return bus;
}

absl::StatusOr<Message> Bus::NewCall(const char* destination, const char* path,
                                     const char* interface, const char* member) {
  sd_bus_message* raw = nullptr;
  const int r = sd_bus_message_new_method_call(bus_.get(), &raw, broker_ ? destination : nullptr,
                                               path, interface, member);
  if (r < 0) return absl::ErrnoToStatus(-r, absl::StrCat("D-Bus call ", member, " on ", path));
  return Message(raw);
}

absl::Status Bus::Call(Message message, absl::Duration timeout, ReplyCallback done) {
  auto call = std::make_unique<PendingCall>(PendingCall{std::move(done), fail_outstanding_});
  sd_bus_slot* slot = nullptr;
  const auto usec = static_cast<uint64_t>(absl::ToInt64Microseconds(timeout));
  const int r = sd_bus_call_async(bus_.get(), &slot, message.get(), &OnReply, call.get(), usec);
  if (r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE) {
    // Lost, though the loop has not come round to seeing it.
    return absl::UnavailableError("systemd closed the connection");
  }
  if (r < 0) {
    return absl::ErrnoToStatus(
        -r, absl::StrCat("D-Bus call ", sd_bus_message_get_member(message.get())));
  }
  // The slot now owns the closure, and the bus the slot.
  sd_bus_slot_set_destroy_callback(slot, &DeletePendingCall);
  (void)call.release();
  sd_bus_slot_set_floating(slot, 1);
  sd_bus_slot_unref(slot);
  return absl::OkStatus();
}

}  // namespace fleet::host
