#include "guard/units.h"

#include <systemd/sd-bus.h>

#include <csignal>
#include <memory>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "host/systemd/addresses.h"
#include "host/systemd/messages.h"

namespace fleet::guard {

namespace {

constexpr char kManager[] = "org.freedesktop.systemd1";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManagerInterface[] = "org.freedesktop.systemd1.Manager";
constexpr absl::Duration kCallTimeout = absl::Seconds(5);

int AppendNames(sd_bus_message* message, const std::set<std::string>& names) {
  int r = sd_bus_message_open_container(message, 'a', "s");
  for (const std::string& name : names) {
    if (r >= 0) r = sd_bus_message_append(message, "s", name.c_str());
  }
  return r < 0 ? r : sd_bus_message_close_container(message);
}

// What is not loaded does not run.
void LogFailure(const std::string& what, const absl::Status& status) {
  if (status.ok() || absl::IsNotFound(status)) return;
  log::Error("cannot {}: {}", what, std::string(status.message()));
}

}  // namespace

Units::Units(Loop* loop)
    : loop_(loop),
      connection_(host::ManagerAddresses(/*user=*/false, /*message_bus=*/false), loop,
                  {.connected = [](bool) {},
                   .disconnected =
                       [](const absl::Status& why) {
                         log::Warning("systemd: {}", std::string(why.message()));
                       },
                   .signal = [](sd_bus_message*) {}}) {}

template <typename Fill>
absl::Status Units::Call(const char* method, Fill fill, host::Bus::ReplyCallback done) {
  ASSIGN_OR_RETURN(host::Bus * bus, connection_.Get());
  ASSIGN_OR_RETURN(host::Message message,
                   bus->NewCall(kManager, kManagerPath, kManagerInterface, method));
  if (const int r = fill(message.get()); r < 0) {
    return absl::ErrnoToStatus(-r, "a name that D-Bus cannot carry");
  }
  return bus->Call(std::move(message), kCallTimeout, std::move(done));
}

void Units::FindRunning(const std::set<std::string>& units,
                        absl::AnyInvocable<void(std::set<std::string>)> done) {
  using Done = absl::AnyInvocable<void(std::set<std::string>)>;
  const auto shared = std::make_shared<Done>(std::move(done));
  const absl::Status sent = Call(
      "ListUnitsByNames", [&](sd_bus_message* m) { return AppendNames(m, units); },
      [units, shared](const absl::StatusOr<sd_bus_message*>& reply) {
        const auto list = reply.ok() ? host::ReadUnitList(*reply) : reply.status();
        if (!list.ok()) {
          LogFailure("ask what runs", list.status());
          return (*shared)(units);
        }
        std::set<std::string> running;
        for (const host::UnitStatus& unit : *list) {
          const bool stopped = unit.active_state == "inactive" || unit.active_state == "failed";
          if (!stopped) running.insert(unit.name);
        }
        (*shared)(std::move(running));
      });
  if (sent.ok()) return;
  LogFailure("ask what runs", sent);
  loop_->Post([units, shared] { (*shared)(units); });
}

void Units::Stop(const std::string& unit) {
  const std::string what = "stop " + unit;
  LogFailure(what, Call(
                       "StopUnit",
                       [&](sd_bus_message* m) {
                         return sd_bus_message_append(m, "ss", unit.c_str(), "replace");
                       },
                       [what](const absl::StatusOr<sd_bus_message*>& reply) {
                         LogFailure(what, reply.status());
                       }));
}

void Units::Kill(const std::string& unit) {
  const std::string what = "kill " + unit;
  LogFailure(what, Call(
                       "KillUnit",
                       [&](sd_bus_message* m) {
                         return sd_bus_message_append(m, "ssi", unit.c_str(), "all", SIGKILL);
                       },
                       [what](const absl::StatusOr<sd_bus_message*>& reply) {
                         LogFailure(what, reply.status());
                       }));
}

}  // namespace fleet::guard
