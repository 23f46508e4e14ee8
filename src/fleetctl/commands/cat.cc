#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/select.h"

namespace fleet::fleetctl {
namespace {

int RunCat(Session& session) {
  const auto selection = SelectUnits(session.api(), session.arguments(), true);
  if (!selection.ok()) return session.Fail(selection.status());
  Verdict verdict(OrderOf(session.arguments(), *selection));
  ReportMissing(session, *selection, verdict);
  for (const client::Unit& unit : selection->units) {
    if (!unit.content.empty()) {
      session.out() << unit.content;
      continue;
    }
    const auto whole = session.api().GetUnit(unit.name);  // it is a summary
    if (whole.ok()) {
      session.out() << whole->content;
    } else {
      verdict.Fail(unit.name, session.Fail(whole.status()));
    }
  }
  return verdict.code();
}

}  // namespace

Command CatCommand() {
  return {.name = "cat",
          .summary = "Print a unit's text as it was submitted",
          .arguments = "NAME…",
          .description = "Names may be quoted globs over registered units.",
          .example = "  fleetctl cat hello.service > hello.service",
          .flags = {},
          .run = RunCat,
          .min_arguments = 1};
}

}  // namespace fleet::fleetctl
