#include "fleetctl/help.h"

#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

int RunHelp(Session& session) {
  if (session.arguments().empty()) {
    session.out() << OverallHelp();
    return kDone;
  }
  const auto command = FindCommand(session.arguments()[0]);
  if (!command.ok()) return session.Fail(command.status());
  session.out() << CommandHelp(**command);
  return kDone;
}

int RunVersion(Session& session) {
  session.out() << VersionLine();
  return kDone;
}

}  // namespace

Command HelpCommand() {
  return {.name = "help",
          .summary = "Show the commands, or one command's flags and an example",
          .arguments = "[COMMAND]",
          .description = "",
          .example = "  fleetctl help start",
          .flags = {},
          .run = RunHelp,
          .max_arguments = 1};
}

Command VersionCommand() {
  return {.name = "version",
          .summary = "Print the version",
          .arguments = "",
          .description = "",
          .example = "  fleetctl version",
          .flags = {},
          .run = RunVersion,
          .max_arguments = 0};
}

}  // namespace fleet::fleetctl
