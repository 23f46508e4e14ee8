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
  std::vector<FormerText> history;
  std::string json;  // as it came
};

ScaleAnswer ScaleFromJson(const nlohmann::json& json);
Rollout RolloutFromJson(const nlohmann::json& json);
std::string ToText(const RolloutRequest& request);

}  // namespace fleet::client
