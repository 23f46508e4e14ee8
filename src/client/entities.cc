#include "client/entities.h"

#include "nlohmann/json.hpp"

namespace fleet::client {
namespace {

using nlohmann::json;

const json* Find(const json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

UnitOnMachine StatusFromJson(const json& object) {
  return {.machine_id = StringAt(object, "machineID"),
          .progress = StringAt(object, "progress"),
          .reason = StringAt(object, "reason"),
          .load_state = StringAt(object, "systemdLoadState"),
          .active_state = StringAt(object, "systemdActiveState"),
          .sub_state = StringAt(object, "systemdSubState"),
          .drift = StringAt(object, "drift"),
          .log_tail = StringAt(object, "logTail")};
}

}  // namespace

std::string StringAt(const json& object, std::string_view key) {
  const json* value = Find(object, key);
  if (value == nullptr || !value->is_string()) return "";
  return value->get_ref<const std::string&>();
}

int64_t NumberAt(const json& object, std::string_view key) {
  const json* value = Find(object, key);
  return value != nullptr && value->is_number_integer() ? value->get<int64_t>() : 0;
}

bool FlagAt(const json& object, std::string_view key) {
  const json* value = Find(object, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

Unit UnitFromJson(const json& object) {
  Unit unit{.name = StringAt(object, "name"),
            .uid = StringAt(object, "uid"),
            .hash = StringAt(object, "hash"),
            .content = StringAt(object, "content"),
            .description = StringAt(object, "description"),
            .desired_state = StringAt(object, "desiredState"),
            .current_state = StringAt(object, "currentState"),
            .target = StringAt(object, "target"),
            .move_to = StringAt(object, "moveTo"),
            .global = FlagAt(object, "global"),
            .status = StatusFromJson(object)};
  if (Find(object, "replicas") != nullptr) unit.replicas = NumberAt(object, "replicas");
  if (const json* machines = Find(object, "machines"); machines != nullptr) {
    for (const json& machine : *machines) unit.machines.push_back(StatusFromJson(machine));
  }
  return unit;
}

UnitState StateFromJson(const json& object) {
  return {.name = StringAt(object, "name"),
          .hash = StringAt(object, "hash"),
          .machine_id = StringAt(object, "machineID"),
          .load_state = StringAt(object, "systemdLoadState"),
          .active_state = StringAt(object, "systemdActiveState"),
          .sub_state = StringAt(object, "systemdSubState"),
          .drift = StringAt(object, "drift")};
}

Machine MachineFromJson(const json& object) {
  Machine machine{.id = StringAt(object, "id"),
                  .primary_ip = StringAt(object, "primaryIP"),
                  .hostname = StringAt(object, "hostname"),
                  .version = StringAt(object, "version"),
                  .state = StringAt(object, "state"),
                  .systemd_user = StringAt(object, "systemdUser")};
  const json* metadata = Find(object, "metadata");
  if (metadata != nullptr && metadata->is_object()) {
    for (const auto& [key, value] : metadata->items()) {
      if (value.is_string()) machine.metadata[key] = value.get<std::string>();
    }
  }
  machine.units = NumberAt(object, "units");
  machine.lock_group = StringAt(object, "lockGroup");
  machine.has_lock = FlagAt(object, "lockGranted");
  return machine;
}

const json& ListAt(const json& object, std::string_view key) {
  static const json kNone = json::array();
  if (!object.is_object()) return kNone;
  const auto it = object.find(key);
  return it != object.end() && it->is_array() ? *it : kNone;
}

std::vector<std::string> TextsAt(const json& object, std::string_view key) {
  std::vector<std::string> texts;
  for (const json& element : ListAt(object, key)) {
    if (element.is_string()) texts.push_back(element.get<std::string>());
  }
  return texts;
}

}  // namespace fleet::client
