#pragma once

// Reading of request bodies. Member names match in any case, as in fleet 1.0; null is as good as
// absent. Errors are INVALID_ARGUMENT and name the member.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace fleet::api {

// `what` is what the body should be: "a unit".
absl::StatusOr<nlohmann::json> ParseJson(const std::string& body, std::string_view what);

// nullptr if absent or null, and if `object` is no object.
const nlohmann::json* FindMember(const nlohmann::json& object, std::string_view name);

absl::StatusOr<std::optional<std::string>> StringMember(const nlohmann::json& object,
                                                        std::string_view name);
absl::StatusOr<std::optional<int64_t>> IntegerMember(const nlohmann::json& object,
                                                     std::string_view name);
// False if absent.
absl::StatusOr<bool> BoolMember(const nlohmann::json& object, std::string_view name);

}  // namespace fleet::api
