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

// The units of those names and globs, each once, as summaries.
absl::StatusOr<Selection> SelectUnits(client::ApiClient& api,
                                      const std::vector<std::string>& words);

// The unit's name for a word of the command line: the default suffix is added, globs are left.
std::string NameFrom(const std::string& word);

}  // namespace fleet::fleetctl
