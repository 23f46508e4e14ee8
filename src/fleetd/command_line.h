#pragma once

// fleetd's few flags, each with one dash or two. Pure; called once at the start.

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace fleet::fleetd {

struct CommandLine {
  std::string config_path;    // the default path unless --config names one
  bool config_named = false;  // then the file has to be there
  bool show_version = false;  // --version
  bool check_config = false;  // --check-config
};

// `arguments` without the program's name. INVALID_ARGUMENT, with the usage, for anything that is
// not a flag of fleetd: exit status 2.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments);

}  // namespace fleet::fleetd
