#pragma once

// Entity tags of answers, and conditional requests (RFC 9110, sections 8.8.3 and 13.1). Pure.
//
// The tag of a unit, a machine or a rollout has two parts, "SETTINGS-STATUS": the first is another
// one when what clients set is another, the second when anything of the entity is. Reads compare
// the whole, so that 304 is true; writes compare the first part, so that a change of status makes
// no client's change fail. Lists have one part only.

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "api/http.h"
#include "model/entity_tag.h"

namespace fleet::api {

// Adds the ETag of its body. `settings` is the tag of what clients set; empty: there is no such
// part.
void AddEntityTag(Response& response, std::string_view settings = {});

// Adds the ETag of an entity whose settings are known, and whose status is not.
void AddSettingsTag(Response& response, std::string_view settings);

// The condition that the texts of If-Match and If-None-Match state for a write. INVALID_ARGUMENT if
// one is neither "*" nor a list of entity tags.
absl::StatusOr<Precondition> ParsePrecondition(const std::optional<std::string>& if_match,
                                               const std::optional<std::string>& if_none_match);

// 412, which names the tag that there is now, if there is anything.
Response PreconditionFailed(std::string_view message, const std::optional<std::string>& settings);

// The same as a text, for those who answer otherwise.
std::string PreconditionText(std::string_view message, const std::optional<std::string>& settings);

// Of a GET: answers 304 where the client has what it would get.
Responder WithNotModified(std::string if_none_match, Responder respond);

}  // namespace fleet::api
