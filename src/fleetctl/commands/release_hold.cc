#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

int RunReleaseHold(Session& session) {
  const absl::Status done = session.api().ReleaseHold();
  if (!done.ok()) return session.Fail(done);
  session.out() << "The hold is released: units move off the missing machines\n";
  return kDone;
}

}  // namespace

Command ReleaseHoldCommand() {
  return {.name = "release-hold",
          .summary = "Move units off missing machines although they are many",
          .arguments = "",
          .description =
              "When more than half of the machines go missing at once, units stay assigned to them "
              "for mass_loss_hold\nof fleet.conf. This ends that.",
          .example = "  fleetctl release-hold",
          .flags = {},
          .run = RunReleaseHold,
          .max_arguments = 0};
}

}  // namespace fleet::fleetctl
