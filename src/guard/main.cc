// fleet-guard: stops units with OnIsolation=stop when this machine has been cut off from the
// registry for longer than its lease lasts, whether fleetd lives or not. See guard.h and
// fleet-guard(8).

#include <cstdio>
#include <string_view>

#include "base/log.h"
#include "base/loop.h"
#include "fmt/core.h"
#include "guard/guard.h"
#include "host/guard_files.h"
#include "host/notify.h"
#include "host/posix_file.h"

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    fmt::print("fleet-guard version {}\n", FLEET_VERSION);
    return 0;
  }
  if (argc > 1) {
    fmt::print(stderr, "fleet-guard takes no arguments; fleet-guard.service runs it\n");
    return 2;
  }
  fleet::Loop loop("guard");
  absl::Status status = fleet::host::MakeDirectories(fleet::host::kGuardDirectory);
  fleet::guard::Guard guard(fleet::host::kGuardDirectory, &loop);
  if (status.ok()) status = guard.Start();
  if (!status.ok()) {
    fleet::log::Error("fleet-guard cannot start: {}", std::string(status.message()));
    return 1;
  }
  fleet::host::NotifyReady("");
  loop.Run();
  return 0;
}
