#include "api/body_members.h"

#include <string>
#include <vector>

#include "api/api_state.h"
#include "api/json_reader.h"
#include "base/status.h"
#include "fmt/core.h"
#include "fmt/ranges.h"

namespace fleet::api {
namespace {

using nlohmann::json;

const json& Schemas() {
  static const json schemas = json::parse(DiscoverySchemas());
  return schemas;
}

absl::Status Unknown(std::string_view where, const std::string& name, const json& properties) {
  std::vector<std::string> known;
  for (const auto& [property, its] : properties.items()) known.push_back(property);
  return absl::InvalidArgumentError(
      fmt::format("{} has no member \"{}\": it has {}", where, name, fmt::join(known, ", ")));
}

absl::Status Check(const json& value, const json& schema, std::string_view where) {
  if (schema.contains("$ref")) return Check(value, Schemas().at(schema["$ref"]), where);
  if (value.is_array() && schema.contains("items")) {
    for (const json& element : value) RETURN_IF_ERROR(Check(element, schema["items"], where));
    return absl::OkStatus();
  }
  if (!value.is_object() || !schema.contains("properties") ||
      schema.contains("additionalProperties")) {
    return absl::OkStatus();
  }
  for (const auto& [name, member] : value.items()) {
    const json* known = FindMember(schema["properties"], name);
    if (known == nullptr) return Unknown(where, name, schema["properties"]);
    RETURN_IF_ERROR(Check(member, *known, name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckMembers(const json& body, std::string_view schema) {
  const json& its = Schemas().at(std::string(schema));
  const bool is_array = its.value("type", "") == "array";
  if (is_array ? !body.is_array() : !body.is_object()) {
    return absl::InvalidArgumentError(fmt::format("{} must be {}, and not {}", schema,
                                                  is_array ? "an array" : "an object",
                                                  body.type_name()));
  }
  return Check(body, its, schema);
}

}  // namespace fleet::api
