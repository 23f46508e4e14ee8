#pragma once

// JSON values as YAML.

#include <string>

#include "nlohmann/json_fwd.hpp"

namespace fleet {

// Block style YAML of `json`, ending in a newline.
std::string ToYaml(const nlohmann::json& json);
// The same; members stay in their order.
std::string ToYaml(const nlohmann::ordered_json& json);

}  // namespace fleet
