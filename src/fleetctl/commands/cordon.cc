#include "client/text.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

// Does the same to each machine; one that cannot be done does not keep the others from it.
int ForEachMachine(Session& session, absl::Status (client::ApiClient::*call)(const std::string&),
                   std::string_view what) {
  Verdict verdict(session.arguments());
  for (const std::string& machine : session.arguments()) {
    const absl::Status done = (session.api().*call)(machine);
    if (done.ok()) {
      session.out() << "Machine " << machine << what << "\n";
    } else {
      verdict.Fail(machine, session.Fail(done));
    }
  }
  return verdict.code();
}

int RunCordon(Session& session) {
  return ForEachMachine(session, &client::ApiClient::CordonMachine, " gets nothing new");
}

int RunUncordon(Session& session) {
  return ForEachMachine(session, &client::ApiClient::UncordonMachine, " gets units again");
}

}  // namespace

Command CordonCommand() {
  return {.name = "cordon",
          .summary = "Place nothing new on machines",
          .arguments = "MACHINE…",
          .description =
              "What runs there stays, and is still restarted and given new texts. It lasts until "
              "uncordon, also while\nthe machine is away.",
          .example = "  fleetctl cordon 8be9b1a2",
          .flags = {},
          .run = RunCordon,
          .min_arguments = 1};
}

Command UncordonCommand() {
  return {.name = "uncordon",
          .summary = "Let machines have units again",
          .arguments = "MACHINE…",
          .description =
              "Takes back cordon and drain, and a slot to reboot that was granted by FleetLock. "
              "Units that have moved\naway stay where they are; rebalance evens that out.",
          .example = "  fleetctl uncordon 8be9b1a2",
          .flags = {},
          .run = RunUncordon,
          .min_arguments = 1};
}

}  // namespace fleet::fleetctl
