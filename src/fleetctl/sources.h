#pragma once

// Where the text of units named to submit, load and start comes from: a file, the registry, or a
// template in either. Everything is found and checked before anything is stored.

#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/api_client.h"
#include "model/following.h"
#include "model/requirements.h"

namespace fleet::fleetctl {

struct Source {
  std::string name;
  std::string path;                    // the file it was read from; empty: the registry has it
  std::optional<std::string> content;  // of that file
  bool global = false;
  std::optional<client::Unit> registered;  // known only if it was looked for
};

struct SourceOptions {
  std::string verb;      // for messages
  bool start = false;    // templates are refused
  bool look_up = false;  // also look for registered units of those that have a file
  bool force = false;    // unknown [X-Fleet] keys are only warned of, on `err`
};

// In the order of `words` (names, paths and globs over registered units), each unit once.
// NOT_FOUND for a unit that neither a file nor the registry has; INVALID_ARGUMENT, naming the file
// and the line, for one that cannot be submitted, for two different files of one name, and for
// files that follow each other in a circle.
absl::StatusOr<std::vector<Source>> FindSources(client::ApiClient& api,
                                                const std::vector<std::string>& words,
                                                const SourceOptions& options, std::ostream& err);

// A unit file's text. NOT_FOUND if there is no such file; INVALID_ARGUMENT for a directory, a file
// that cannot be read, that is too big, or that is no text.
absl::StatusOr<std::string> ReadUnitFile(const std::string& path);

// Checks `content` as a submit of `name` does; `path` is for messages. What it asks for.
absl::StatusOr<Requirements> CheckUnit(const std::string& name, const std::string& content,
                                       const std::string& path, bool force, std::ostream& err);

// What units follow with MachineOf= and CollocateWithin=, by their names.
using Follows = std::map<std::string, std::vector<Followed>>;

// INVALID_ARGUMENT, naming the file and the circle, if `name` follows units back to one on the way.
absl::Status CheckCircle(const std::string& name, const std::string& path, const Follows& follows);

}  // namespace fleet::fleetctl
