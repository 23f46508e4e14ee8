#include "fleetctl/deploy.h"

namespace fleet::fleetctl {

Command SubmitCommand() {
  return {.name = "submit",
          .summary = "Store units in the registry without running them",
          .arguments = "FILE…",
          .description = "A unit that is stored already keeps its text, unless --replace is given.",
          .example = "  fleetctl submit web@.service db.service",
          .flags = DeployFlags(),
          .run =
              [](Session& session) {
                return Deploy(session, {.verb = "submit", .goal = Goal::kInactive});
              },
          .min_arguments = 1};
}

Command LoadCommand() {
  return {
      .name = "load",
      .summary = "Store units, give them machines and load them there, not started",
      .arguments = "NAME|FILE…",
      .description =
          "A unit without a file of its own is taken from the registry, or is made "
          "from its template there or beside the file.",
      .example = "  fleetctl load web@1.service",
      .flags = DeployFlags(),
      .run =
          [](Session& session) { return Deploy(session, {.verb = "load", .goal = Goal::kLoaded}); },
      .min_arguments = 1};
}

Command StartCommand() {
  return {.name = "start",
          .summary = "Store units, give them machines and start them there",
          .arguments = "NAME|FILE…",
          .description =
              "Waits until each has started and has not failed 100 ms later. A unit "
              "without a file of its own\nis taken from the registry, or is made from "
              "its template there or beside the file.",
          .example =
              "  fleetctl start ./hello.service web@{1..3}.service\n"
              "  fleetctl start --replace ./hello.service",
          .flags = DeployFlags(),
          .run =
              [](Session& session) {
                return Deploy(session, {.verb = "start", .goal = Goal::kLaunched});
              },
          .min_arguments = 1};
}

}  // namespace fleet::fleetctl
