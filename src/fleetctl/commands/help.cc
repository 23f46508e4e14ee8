#include "fleetctl/help.h"

#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/output.h"
#include "nlohmann/json.hpp"

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
  if (const absl::Status known = CheckFormat(session.flags()); !known.ok())
    return session.Fail(known);
  const std::string format = session.flags().Text("output");
  const nlohmann::json entity = {{"version", FLEET_VERSION}};
  session.out() << (HasEntities(format) ? RenderEntities({entity.dump()}, format, /*as_list=*/false)
                                        : VersionLine());
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
          .flags = {OutputFlag("text or table, wide, json or yaml")},
          .run = RunVersion,
          .max_arguments = 0};
}

}  // namespace fleet::fleetctl
