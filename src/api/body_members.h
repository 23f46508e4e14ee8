#pragma once

// Members of request bodies that no schema knows: a mistyped one would be a wish that nobody hears.

#include <string_view>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace fleet::api {

// INVALID_ARGUMENT with the first member, at any depth, that this schema of the discovery document
// does not have. Names match in any case. Of types it says nothing, nor of a schema without
// members.
absl::Status CheckMembers(const nlohmann::json& body, std::string_view schema);

}  // namespace fleet::api
