#include <utility>

#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/explanation_text.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

int RunExplain(Session& session) {
  const std::string format = session.flags().Text("output");
  const absl::Status known = CheckFormat(session.flags());
  if (!known.ok()) return session.Fail(known);
  const bool each_machine = session.flags().On("full") || format == "wide";
  auto selection = SelectUnits(session.api(), session.arguments(), /*templates=*/true);
  if (!selection.ok()) return session.Fail(selection.status());
  Verdict verdict(OrderOf(session.arguments(), *selection));
  ReportMissing(session, *selection, verdict);
  std::vector<std::string> entities;
  bool first = true;
  for (const client::Unit& unit : selection->units) {
    const auto explained = session.api().Explain(unit.name, each_machine);
    if (!explained.ok()) {
      verdict.Fail(unit.name, session.Fail(explained.status()));
    } else if (HasEntities(format)) {
      entities.push_back(explained->json);
    } else if (format == "name") {
      session.out() << unit.name << "\n";
    } else {
      if (!std::exchange(first, false)) session.out() << "\n";
      session.out() << ExplanationText(session, *explained, each_machine)
                    << DriftText(session, unit) << std::flush;
    }
  }
  if (!entities.empty())
    session.out() << RenderEntities(entities, format, /*as_list=*/selection->units.size() > 1);
  return verdict.code();
}

}  // namespace

Command ExplainCommand() {
  return {
      .name = "explain",
      .summary = "Say why units are where they are, or nowhere, and what would help",
      .arguments = "NAME…",
      .description =
          "Names may be quoted globs over registered units. What rules machines out is counted: "
          "in all, and\nalone, where nothing else rules the machine out. It is what the engine "
          "would decide now.",
      .example =
          "  fleetctl explain web@3.service\n"
          "  fleetctl explain -l db.service",
      .flags = {{"full", 'l', "", "", "add a line for each machine, and do not shorten ids"},
                OutputFlag("text or table, wide (each machine), json, yaml or name")},
      .run = RunExplain,
      .min_arguments = 1};
}

}  // namespace fleet::fleetctl
