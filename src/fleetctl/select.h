#pragma once

// Units that are named on a command line, by name or by glob.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/api_client.h"

namespace fleet::fleetctl {

struct Selection {
  std::vector<client::Unit> units;   // in the order they were named; a glob's sorted by name
  std::vector<std::string> missing;  // names and globs that no unit has
};

// The units of those names and globs, each once, as summaries. A glob matches templates only where
// `templates` is set: for what can be done to them, which never run.
absl::StatusOr<Selection> SelectUnits(client::ApiClient& api, const std::vector<std::string>& words,
                                      bool templates = false);

// NOT_FOUND for a name or a glob of Selection::missing.
absl::Status NoSuchUnit(const std::string& name);

// The unit of that name, or the only one that a glob matches. NOT_FOUND; FAILED_PRECONDITION,
// naming them, if there are several.
absl::StatusOr<client::Unit> SelectUnit(client::ApiClient& api, const std::string& word);

bool IsTemplate(const std::string& name);

// The unit's name for a word of the command line: the default suffix is added, globs are left.
std::string NameFrom(const std::string& word);

}  // namespace fleet::fleetctl
