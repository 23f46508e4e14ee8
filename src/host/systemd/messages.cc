#include "host/systemd/messages.h"

#include <systemd/sd-bus.h>

#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace fleet::host {
namespace {

absl::Status Malformed(int error, const char* what) {
  return absl::ErrnoToStatus(error < 0 ? -error : EBADMSG, what);
}

}  // namespace

absl::StatusOr<std::vector<UnitStatus>> ReadUnitList(sd_bus_message* reply) {
  constexpr char kWhat[] = "systemd's list of units";
  int r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
  if (r < 0) return Malformed(r, kWhat);
  std::vector<UnitStatus> units;
  while (true) {
    const char* name = nullptr;
    const char* load = nullptr;
    const char* active = nullptr;
    const char* sub = nullptr;
    // Left out: description, unit it follows, object path, job's number, type and path.
    r = sd_bus_message_read(reply, "(ssssssouso)", &name, nullptr, &load, &active, &sub, nullptr,
                            nullptr, nullptr, nullptr, nullptr);
    if (r < 0) return Malformed(r, kWhat);
    if (r == 0) return units;
    units.push_back({name, load, active, sub});
  }
}

absl::StatusOr<absl::flat_hash_set<std::string>> ReadJobList(sd_bus_message* reply) {
  constexpr char kWhat[] = "systemd's list of jobs";
  int r = sd_bus_message_enter_container(reply, 'a', "(usssoo)");
  if (r < 0) return Malformed(r, kWhat);
  absl::flat_hash_set<std::string> jobs;
  while (true) {
    const char* path = nullptr;
    // Left out: number, unit, type and state before; the unit's path after.
    r = sd_bus_message_read(reply, "(usssoo)", nullptr, nullptr, nullptr, nullptr, &path, nullptr);
    if (r < 0) return Malformed(r, kWhat);
    if (r == 0) return jobs;
    jobs.emplace(path);
  }
}

std::optional<StateChange> ReadStateChange(sd_bus_message* signal) {
  const char* interface = nullptr;
  if (sd_bus_message_read(signal, "s", &interface) <= 0) return std::nullopt;
  if (std::string_view(interface) != "org.freedesktop.systemd1.Unit") return std::nullopt;
  StateChange change;
  if (sd_bus_message_enter_container(signal, 'a', "{sv}") <= 0) return change;
  while (sd_bus_message_enter_container(signal, 'e', "sv") > 0) {
    const char* property = nullptr;
    if (sd_bus_message_read(signal, "s", &property) <= 0) return change;
    const std::string_view name = property;
    std::string* wanted = name == "ActiveState" ? &change.active_state
                          : name == "SubState"  ? &change.sub_state
                                                : nullptr;
    const char* value = nullptr;
    if (wanted == nullptr) {
      if (sd_bus_message_skip(signal, "v") < 0) return change;
    } else if (sd_bus_message_read(signal, "v", "s", &value) > 0) {
      *wanted = value;
      if (!change.active_state.empty() && !change.sub_state.empty()) return change;
    }
    if (sd_bus_message_exit_container(signal) < 0) return change;
  }
  return change;
}

absl::StatusOr<std::string> ReadStringProperty(sd_bus_message* reply) {
  const char* value = nullptr;
  const int r = sd_bus_message_read(reply, "v", "s", &value);
  if (r <= 0) return Malformed(r, "property of systemd, expected to be a string");
  return std::string(value);
}

absl::StatusOr<bool> ReadBoolProperty(sd_bus_message* reply) {
  int value = 0;
  const int r = sd_bus_message_read(reply, "v", "b", &value);
  if (r <= 0) return Malformed(r, "property of systemd, expected to be a boolean");
  return value != 0;
}

}  // namespace fleet::host
