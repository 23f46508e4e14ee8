#include "host/systemd/connection.h"

#include <systemd/sd-bus.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"

namespace fleet::host {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(20);
constexpr absl::Duration kLongestPause = absl::Seconds(5);
constexpr absl::Duration kCallTimeout = absl::Seconds(60);
// With the pauses above about ten seconds, longer than any daemon-reexec.
constexpr int kPatience = 10;

constexpr char kManager[] = "org.freedesktop.systemd1";
constexpr char kBroker[] = "org.freedesktop.DBus";
constexpr char kBrokerPath[] = "/org/freedesktop/DBus";

}  // namespace

Connection::Connection(std::vector<BusAddress> addresses, Loop* loop, Handler handler)
    : addresses_(std::move(addresses)),
      worked_(addresses_.size(), false),
      loop_(loop),
      handler_(std::move(handler)) {}

Connection::~Connection() {
  if (retry_ != 0) loop_->Cancel(retry_);
}

absl::StatusOr<Bus*> Connection::Get() {
  if (!tried_) Connect();
  if (bus_ != nullptr) return bus_.get();
  return last_error_;
}

void Connection::Connect() {
  tried_ = true;
  std::vector<std::string> errors;
  for (size_t i = 0; i < addresses_.size() && bus_ == nullptr; ++i) {
    const absl::Status status = TryAddress(i);
    if (status.ok()) break;
    errors.push_back(std::string(status.message()));
    const bool absent = absl::IsNotFound(status) || absl::IsPermissionDenied(status);
    if ((!absent || worked_[i]) && failures_ < kPatience) break;
  }
  if (bus_ != nullptr) {
    Prepare();
    return;
  }
  Drop(absl::UnavailableError(
      absl::StrCat("cannot reach systemd; tried ", absl::StrJoin(errors, "; "),
                   "; trying again, meanwhile nothing can be started or stopped on this machine")));
}

absl::Status Connection::TryAddress(size_t index) {
  auto bus = Bus::Connect(
      addresses_[index], loop_->event(), [this](sd_bus_message* m) { OnSignal(m); },
      [this] { Drop(absl::UnavailableError("systemd closed the connection")); });
  if (!bus.ok()) return bus.status();
  bus_ = *std::move(bus);
  address_ = index;
  return absl::OkStatus();
}

void Connection::Prepare() {
  owner_.clear();
  if (bus_->broker()) {
    for (const char* rule :
         {"type='signal',sender='org.freedesktop.systemd1'",
          "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
          "arg0='org.freedesktop.systemd1'"}) {
      auto call = bus_->NewCall(kBroker, kBrokerPath, kBroker, "AddMatch");
      if (!call.ok()) return Drop(call.status());
      sd_bus_message_append(call->get(), "s", rule);
      Send(*std::move(call), [this](const absl::StatusOr<sd_bus_message*>& reply) {
        if (!reply.ok()) Drop(reply.status());
      });
      if (bus_ == nullptr) return;
    }
    auto call = bus_->NewCall(kBroker, kBrokerPath, kBroker, "GetNameOwner");
    if (!call.ok()) return Drop(call.status());
    sd_bus_message_append(call->get(), "s", kManager);
    Send(*std::move(call), [this](const absl::StatusOr<sd_bus_message*>& reply) {
      const char* owner = nullptr;
      if (!reply.ok()) {
        Drop(reply.status());
      } else if (sd_bus_message_read(*reply, "s", &owner) > 0) {
        owner_ = owner;
      }
    });
    if (bus_ == nullptr) return;
  }
  Subscribe();
}

void Connection::Subscribe() {
  auto call = bus_->NewCall(kManager, "/org/freedesktop/systemd1",
                            "org.freedesktop.systemd1.Manager", "Subscribe");
  if (!call.ok()) return Drop(call.status());
  Send(*std::move(call),
       [this](const absl::StatusOr<sd_bus_message*>& reply) { OnSubscribed(reply.status()); });
}

void Connection::OnSubscribed(const absl::Status& status) {
  if (!status.ok() && !absl::IsAlreadyExists(status)) return Drop(status);
  if (bus_ == nullptr) return;
  worked_[address_] = true;
  failures_ = 0;
  log::Debug("connected to systemd at {}", addresses_[address_].address);
  handler_.connected(bus_->broker());
}

void Connection::OnSignal(sd_bus_message* message) {
  if (bus_ == nullptr) return;
  if (!bus_->broker()) return handler_.signal(message);
  if (sd_bus_message_is_signal(message, kBroker, "NameOwnerChanged") > 0) {
    const char* name = nullptr;
    const char* before = nullptr;
    const char* after = nullptr;
    if (sd_bus_message_read(message, "sss", &name, &before, &after) <= 0) return;
    if (std::string_view(name) != kManager) return;
    owner_ = after;
    // systemd executed itself anew: subscriptions and what was signalled meanwhile may be lost.
    if (!owner_.empty()) Subscribe();
    return;
  }
  const char* sender = sd_bus_message_get_sender(message);
  if (sender != nullptr && !owner_.empty() && owner_ == sender) handler_.signal(message);
}

void Connection::Drop(const absl::Status& why) {
  if (bus_ == nullptr && retry_ != 0) return;  // its further calls fail one by one
  const std::string at =
      bus_ == nullptr ? "" : absl::StrCat(" (", addresses_[address_].address, ")");
  last_error_ = absl::IsUnavailable(why)
                    ? absl::UnavailableError(absl::StrCat(why.message(), at))
                    : absl::UnavailableError(absl::StrCat("systemd: ", why.message(), at));
  if (failures_ == 0) log::Warning("{}; connecting again", std::string(last_error_.message()));
  const absl::Duration pause =
      std::min(kFirstPause * (1 << std::min(failures_, 10)), kLongestPause);
  ++failures_;
  retry_ = loop_->PostAfter(pause, [this] {
    retry_ = 0;
    Connect();
  });
  if (bus_ == nullptr) return;
  // The bus may be what is calling: it ends when control is back in the loop.
  bus_->Mute();
  loop_->Post([bus = std::move(bus_), alive = std::weak_ptr<bool>(alive_)]() mutable {
    if (!alive.expired()) bus->FailOutstanding();
    bus.reset();
  });
  handler_.disconnected(last_error_);
}

void Connection::Send(Message message, Bus::ReplyCallback done) {
  Bus* bus = bus_.get();
  const absl::Status status =
      bus->Call(std::move(message), kCallTimeout,
                [this, alive = std::weak_ptr<bool>(alive_), bus,
                 done = std::move(done)](absl::StatusOr<sd_bus_message*> reply) mutable {
                  if (alive.expired()) return;
                  if (bus == bus_.get())
                    done(std::move(reply));  // otherwise an answer to an earlier one
                });
  if (!status.ok()) Drop(status);
}

}  // namespace fleet::host
