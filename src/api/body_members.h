#pragma once

// Whether request bodies are what their schemas have. A member that no schema knows, a mistyped
// one, would be a wish that nobody hears.

#include <string_view>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace fleet::api {

// INVALID_ARGUMENT if the body is no object (no array, where the schema is one), and with the first
// member, at any depth, that this schema of the discovery document does not have. Names match in
// any case. Of the types of members it says nothing, nor of a schema without members.
absl::Status CheckMembers(const nlohmann::json& body, std::string_view schema);

}  // namespace fleet::api
