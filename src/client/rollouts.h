#pragma once

// What the API says of scales and rollouts (docs/api.md, "Rollouts"), as values.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nlohmann/json_fwd.hpp"

namespace fleet::client {

struct ScaleAnswer {
  int64_t revision = 0;
  std::optional<int64_t> replicas;   // none: no number is kept
  std::vector<std::string> units;    // instances 1 to N
  std::vector<std::string> surplus;  // those above that are destroyed, the highest first
};

// The body of POST /units/NAME/rollout: a new text or a restart.
struct RolloutRequest {
  std::optional<std::string> content;
  bool restart = false;
  std::string max_unavailable;
  bool rolls_back = false;
  bool supersede = false;
  bool force = false;
};

// One of the units of a rollout of several, whose own terms do not count.
struct RolledUnit {
  std::string name;
  std::optional<std::string> content;  // none: a restart
};

struct FormerText {
  std::string hash;
  std::string since;  // RFC 3339; empty if that is not known
  std::string how;
};

struct Rollout {
  std::string name;
  std::string id;
  std::string state;  // "running", "paused", "done", "failed"
  bool restarts = false;
  std::string hash;
  std::string former_hash;
  std::string max_unavailable;
  std::string reason;
  int64_t total = 0;
  int64_t reached = 0;
  std::vector<std::string> not_started;
  std::vector<std::string> together;  // of one of several: their names; otherwise empty
  std::vector<FormerText> history;
  std::string json;  // as it came
};

ScaleAnswer ScaleFromJson(const nlohmann::json& json);
Rollout RolloutFromJson(const nlohmann::json& json);
std::string ToText(const RolloutRequest& request);
// `request` says how they go, together.
std::string ToText(const std::vector<RolledUnit>& units, const RolloutRequest& request);

}  // namespace fleet::client
