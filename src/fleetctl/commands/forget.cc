#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

int RunForget(Session& session) {
  const std::string& machine = session.arguments()[0];
  const absl::Status done = session.api().ForgetMachine(machine);
  if (!done.ok()) return session.Fail(done);
  session.out() << "Machine " << machine
                << " is forgotten: what was assigned to it counts as ended\n";
  return kDone;
}

}  // namespace

Command ForgetCommand() {
  return {.name = "forget",
          .summary = "Say that a machine that is absent is gone for good",
          .arguments = "MACHINE",
          .description =
              "Its units count as ended, and start elsewhere at once. If it still runs somewhere, "
              "they run twice.\nA member of the cluster is not forgotten.",
          .example = "  fleetctl forget 8be9b1a2",
          .flags = {},
          .run = RunForget,
          .min_arguments = 1,
          .max_arguments = 1};
}

}  // namespace fleet::fleetctl
