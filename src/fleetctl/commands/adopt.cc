#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

int RunAdopt(Session& session) {
  const std::string& unit = session.arguments()[0];
  const absl::Status done = session.api().AdoptUnit(unit);
  if (!done.ok()) return session.Fail(done);
  session.out() << "Unit " << unit << " is registered as it runs\n";
  return kDone;
}

}  // namespace

Command AdoptCommand() {
  return {
      .name = "adopt",
      .summary = "Register a unit that runs on a machine and is not in the registry",
      .arguments = "UNIT",
      .description = "The registry has lost it, and its machine runs it on. It is not restarted.",
      .example = "  fleetctl adopt hello.service",
      .flags = {},
      .run = RunAdopt,
      .min_arguments = 1,
      .max_arguments = 1};
}

}  // namespace fleet::fleetctl
