#include <utility>

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

absl::StatusOr<int> Features(Session& session) {
  RETURN_IF_ERROR(CheckFormat(session.flags()));
  const std::string format = session.flags().Text("output");
  const bool full = session.flags().On("full");
  ASSIGN_OR_RETURN(const auto features, session.api().ListFeatures());
  std::vector<std::string> header = {"FEATURE", "ENABLED", "UNKNOWN TO"};
  if (session.flags().On("no-legend")) header.clear();
  Table table(std::move(header));
  std::vector<std::string> entities;
  std::string names;
  for (const client::Feature& feature : features) {
    std::string machines;
    for (const std::string& machine : feature.unknown_to) {
      machines += Cat(machines.empty() ? "" : ",", ShortId(machine, full));
    }
    table.Add({feature.name, feature.enabled ? "yes" : "no", machines});
    entities.push_back(feature.json);
    Append(names, feature.name, "\n");
  }
  session.out() << (HasEntities(format) ? RenderEntities(entities, format, /*as_list=*/true)
                    : format == "name"  ? names
                                        : table.Render());
  return kDone;
}

int RunFeatures(Session& session) {
  const auto code = Features(session);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace

Command FeaturesCommand() {
  return {.name = "features",
          .summary = "Show what may be used, and which machines are of too old a version for it",
          .arguments = "",
          .description =
              "Whatever an older version of fleetd would not heed is refused, or waits, until all "
              "machines know it.\nIt is enabled then, for good.",
          .example = "  fleetctl features",
          .flags = {{"full", 'l', "", "", "do not shorten ids"},
                    {"no-legend", 0, "", "", "no header line"},
                    OutputFlag("table or text, wide, json, yaml or name")},
          .run = RunFeatures,
          .max_arguments = 0};
}

}  // namespace fleet::fleetctl
