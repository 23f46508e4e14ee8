// fleetd: agent, engine and API of one machine. See daemon.h.

#include <malloc.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/log.h"
#include "fleetd/command_line.h"
#include "fleetd/config.h"
#include "fleetd/daemon.h"
#include "fmt/core.h"

namespace {

constexpr int kUsageError = 2;

int Fail(const absl::Status& status) {
  fmt::print(stderr, "fleetd: {}\n", std::string(status.message()));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  // Few threads allocate much; an arena each would only hold memory.
  mallopt(M_ARENA_MAX, 2);

  const auto command_line =
      fleet::fleetd::ParseCommandLine(std::vector<std::string>(argv + 1, argv + argc));
  if (!command_line.ok()) {
    fmt::print(stderr, "{}\n", std::string(command_line.status().message()));
    return kUsageError;
  }
  if (command_line->show_version) {
    fmt::print("fleetd version {}\n", FLEET_VERSION);
    return 0;
  }
  const auto load = [line = *command_line] {
    return fleet::fleetd::LoadConfig(line.config_path, line.config_named,
                                     fleet::fleetd::ReadEnvironment());
  };
  auto config = load();
  if (!config.ok()) return Fail(config.status());
  if (command_line->check_config) {
    fmt::print("{}", fleet::fleetd::CheckConfigText(*config));
    for (const std::string& notice : config->notices) fmt::print(stderr, "{}\n", notice);
    return 0;
  }
  if (config->config.verbosity > 0) fleet::log::SetLevel(fleet::log::Level::kDebug);
  fleet::fleetd::Daemon daemon(*std::move(config), load);
  const absl::Status status = daemon.Run();
  if (!status.ok()) {
    fleet::log::Error("fleetd cannot start: {}", std::string(status.message()));
    return 1;
  }
  return 0;
}
