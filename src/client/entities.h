#pragma once

// The API's entities (docs/api.md) as values. Members that the server leaves out are empty.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json_fwd.hpp"

namespace fleet::client {

// What a machine's systemd says of a unit, and how far the unit is there.
struct UnitOnMachine {
  std::string machine_id;
  std::string progress;  // "waiting", "pending", "reached", "failed"
  std::string reason;
  std::string load_state;
  std::string active_state;
  std::string sub_state;
  std::string drift;  // what somebody else has done to it there: "stopped by hand"
  std::string log_tail;
};

// Something that records can ask for and that not every version understands.
struct Feature {
  std::string name;
  bool enabled = false;
  std::vector<std::string> unknown_to;  // machines that are there
  std::string json;                     // as it came
};

struct Unit {
  std::string name;
  std::string uid;
  std::string hash;
  std::string content;  // not in the summary view
  std::string description;
  std::string desired_state;
  std::string current_state;
  std::string target;   // the machine it is assigned to, present or not
  std::string move_to;  // the machine that a rebalance is about to move it to
  bool global = false;
  std::optional<int64_t> replicas;      // of a template: so many instances are kept
  UnitOnMachine status;                 // of a unit that is not global
  std::vector<UnitOnMachine> machines;  // of a global one
  std::string json;                     // the entity as it came, if asked for
};

struct UnitState {
  std::string name;
  std::string hash;
  std::string machine_id;
  std::string load_state;
  std::string active_state;
  std::string sub_state;
  std::string drift;
  std::string json;
};

struct Machine {
  std::string id;
  std::string primary_ip;
  std::map<std::string, std::string> metadata;
  std::string hostname;
  std::string version;
  std::string state;
  std::string systemd_user;  // whose systemd runs its units; empty: the system's
  int64_t units = 0;
  std::string lock_group;  // in which it has asked FleetLock for a slot; empty: it has not
  bool has_lock = false;   // and got it
  std::string json;
};

Unit UnitFromJson(const nlohmann::json& json);
UnitState StateFromJson(const nlohmann::json& json);
Machine MachineFromJson(const nlohmann::json& json);

// Empty unless `object` is an object that has the string `key`; 0 and false in the same way.
std::string StringAt(const nlohmann::json& object, std::string_view key);
int64_t NumberAt(const nlohmann::json& object, std::string_view key);
bool FlagAt(const nlohmann::json& object, std::string_view key);
// The elements of the array `key`; none if there is no such array.
const nlohmann::json& ListAt(const nlohmann::json& object, std::string_view key);
std::vector<std::string> TextsAt(const nlohmann::json& object, std::string_view key);

}  // namespace fleet::client
