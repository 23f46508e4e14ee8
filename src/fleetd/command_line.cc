#include "fleetd/command_line.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "fleetd/config.h"

namespace fleet::fleetd {
namespace {

constexpr absl::string_view kUsage =
    "usage: fleetd [--config FILE] [--check-config] [--version]\n"
    "  --config FILE    read this file instead of /etc/fleet/fleet.conf\n"
    "  --check-config   check the configuration, show what is in effect, and exit\n"
    "  --version        show the version, and exit";

absl::Status UsageError(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("fleetd: ", why, "\n", kUsage));
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments) {
  CommandLine out;
  out.config_path = std::string(kDefaultConfigPath);
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view flag = arguments[i];
    if (!absl::ConsumePrefix(&flag, "--")) absl::ConsumePrefix(&flag, "-");
    const bool is_flag = flag.size() < arguments[i].size();
    if (is_flag && flag == "version") {
      out.show_version = true;
    } else if (is_flag && flag == "check-config") {
      out.check_config = true;
    } else if (is_flag && flag == "config") {
      if (++i == arguments.size()) return UsageError("--config needs a file");
      out.config_path = arguments[i];
      out.config_named = true;
    } else if (is_flag && absl::ConsumePrefix(&flag, "config=")) {
      out.config_path = std::string(flag);
      out.config_named = true;
    } else {
      return UsageError(absl::StrCat("unknown argument \"", arguments[i], "\""));
    }
  }
  if (out.config_path.empty()) return UsageError("--config needs a file");
  return out;
}

}  // namespace fleet::fleetd
