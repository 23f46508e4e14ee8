#include "api/json_reader.h"

#include "absl/strings/match.h"
#include "fmt/core.h"

namespace fleet::api {

using nlohmann::json;

absl::StatusOr<json> ParseJson(const std::string& body, std::string_view what) {
  json parsed = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return absl::InvalidArgumentError(fmt::format("the body is not JSON; expected {}", what));
  }
  return parsed;
}

const json* FindMember(const json& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  const json* found = nullptr;
  for (auto it = object.begin(); it != object.end(); ++it) {
    if (it.key() == name) {
      found = &*it;
      break;
    }
    if (absl::EqualsIgnoreCase(it.key(), absl::string_view(name.data(), name.size()))) found = &*it;
  }
  return found && found->is_null() ? nullptr : found;
}

absl::StatusOr<std::optional<std::string>> StringMember(const json& object, std::string_view name) {
  const json* member = FindMember(object, name);
  if (!member) return std::nullopt;
  if (!member->is_string()) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" must be a string", name));
  }
  return member->get<std::string>();
}

absl::StatusOr<std::optional<int64_t>> IntegerMember(const json& object, std::string_view name) {
  const json* member = FindMember(object, name);
  if (!member) return std::nullopt;
  if (!member->is_number_integer()) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" must be a whole number", name));
  }
  return member->get<int64_t>();
}

absl::StatusOr<bool> BoolMember(const json& object, std::string_view name) {
  const json* member = FindMember(object, name);
  if (!member) return false;
  if (!member->is_boolean()) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" must be true or false", name));
  }
  return member->get<bool>();
}

}  // namespace fleet::api
