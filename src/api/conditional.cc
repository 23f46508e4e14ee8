#include "api/conditional.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "fmt/core.h"

namespace fleet::api {
namespace {

constexpr char kSeparator = '-';
constexpr size_t kBodyTagSize = 16;

struct EntityTag {
  bool weak = false;
  std::string opaque;
};

std::string_view WithoutBlanks(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

// RFC 9110, 8.8.3. Lists may have empty elements (5.6.1).
absl::StatusOr<std::vector<EntityTag>> ParseTags(std::string_view header, std::string_view text) {
  const auto bad = [&] {
    return absl::InvalidArgumentError(
        fmt::format("{}: {} is neither * nor a list of entity tags, such as \"9f86d081884c7d65\"",
                    header, text));
  };
  std::vector<EntityTag> tags;
  std::string_view rest = WithoutBlanks(text);
  if (rest == Precondition::kAny) return std::vector<EntityTag>{{.opaque = Precondition::kAny}};
  while (!rest.empty()) {
    if (rest.front() == ',') {
      rest = WithoutBlanks(rest.substr(1));
      continue;
    }
    EntityTag tag{.weak = rest.starts_with("W/")};
    if (tag.weak) rest.remove_prefix(2);
    const size_t end = rest.find('"', 1);
    if (!rest.starts_with('"') || end == std::string_view::npos) return bad();
    tag.opaque = rest.substr(1, end - 1);
    if (tag.opaque == Precondition::kAny)
      tag.opaque.clear();  // quoted, it is a tag that nobody has
    tags.push_back(std::move(tag));
    rest = WithoutBlanks(rest.substr(end + 1));
    if (!rest.empty() && rest.front() != ',') return bad();
  }
  if (tags.empty()) return bad();
  return tags;
}

// What writes compare of them: strongly, where `strong`.
std::vector<std::string> SettingsParts(const std::vector<EntityTag>& tags, bool strong) {
  std::vector<std::string> parts;
  for (const EntityTag& tag : tags) {
    if (strong && tag.weak) continue;
    parts.push_back(tag.opaque.substr(0, tag.opaque.find(kSeparator)));
  }
  return parts;
}

std::string ETagOf(const Response& response) {
  for (const auto& [name, value] : response.headers) {
    if (name == "ETag") return value;
  }
  return "";
}

}  // namespace

void AddEntityTag(Response& response, std::string_view settings) {
  const std::string of_body = Sha256Hex(response.body).substr(0, kBodyTagSize);
  response.headers.emplace_back(
      "ETag", settings.empty() ? fmt::format("\"{}\"", of_body)
                               : fmt::format("\"{}{}{}\"", settings, kSeparator, of_body));
}

void AddSettingsTag(Response& response, std::string_view settings) {
  response.headers.emplace_back("ETag", fmt::format("\"{}\"", settings));
}

absl::StatusOr<Precondition> ParsePrecondition(const std::optional<std::string>& if_match,
                                               const std::optional<std::string>& if_none_match) {
  Precondition condition;
  if (if_match) {
    ASSIGN_OR_RETURN(const auto tags, ParseTags("If-Match", *if_match));
    condition.match = SettingsParts(tags, /*strong=*/true);
  }
  if (if_none_match) {
    ASSIGN_OR_RETURN(const auto tags, ParseTags("If-None-Match", *if_none_match));
    condition.none_match = SettingsParts(tags, /*strong=*/false);
  }
  return condition;
}

std::string PreconditionText(std::string_view message, const std::optional<std::string>& settings) {
  if (!settings) return std::string(message);
  return fmt::format("{}: its ETag is \"{}\" now; read it again, then change it", message,
                     *settings);
}

Response PreconditionFailed(std::string_view message, const std::optional<std::string>& settings) {
  Response response = ErrorResponse(412, PreconditionText(message, settings));
  if (settings) AddSettingsTag(response, *settings);
  return response;
}

Responder WithNotModified(std::string if_none_match, Responder respond) {
  return [if_none_match = std::move(if_none_match),
          respond = std::move(respond)](Response response) mutable {
    const std::string etag = ETagOf(response);
    // A condition that cannot be read is none: a read does no harm.
    const auto tags = ParseTags("If-None-Match", if_none_match);
    if (response.code == 200 && !etag.empty() && tags.ok() &&
        std::any_of(tags->begin(), tags->end(), [&](const EntityTag& tag) {
          return tag.opaque == Precondition::kAny || fmt::format("\"{}\"", tag.opaque) == etag;
        })) {
      response.code = 304;
      response.body.clear();
    }
    respond(std::move(response));
  };
}

}  // namespace fleet::api
