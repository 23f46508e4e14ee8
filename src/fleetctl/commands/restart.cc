#include "base/status.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

int RunRestart(Session& session) {
  const auto limits = WaitLimitsFrom(session.flags());
  if (!limits.ok()) return session.Fail(limits.status());
  const auto selection = SelectUnits(session.api(), session.arguments());
  if (!selection.ok()) return session.Fail(selection.status());
  Verdict verdict(OrderOf(session.arguments(), *selection));
  ReportMissing(session, *selection, verdict);
  for (const client::Unit& unit : selection->units) {
    if (unit.desired_state == "inactive") {
      session.err() << "Error: cannot restart unit " << unit.name
                    << ": it is inactive, neither loaded nor started\n";
      verdict.Fail(unit.name, kFailed);
      continue;
    }
    Action action{.verb = "restart", .goal = Goal::kLaunched, .limits = *limits};
    client::UnitChange change{.name = unit.name};
    // As systemctl restart: what is stopped is started.
    if (unit.desired_state == "launched") {
      change.restart = true;
    } else {
      change.desired_state = "launched";
    }
    if (unit.global) action.globals.insert(unit.name);
    action.changes.push_back(std::move(change));
    Verdict one({unit.name});
    const int code = Carry(session, action, one);
    if (code == kDone) continue;
    verdict.Fail(unit.name, code);
    // The next one is touched only when this one runs again.
    if (&unit != &selection->units.back())
      session.err() << "The units after " << unit.name << " were not restarted.\n";
    break;
  }
  return verdict.code();
}

}  // namespace

Command RestartCommand() {
  return {.name = "restart",
          .summary = "Restart units, one after the other",
          .arguments = "NAME…",
          .description =
              "Each is restarted on its machine once the one before has started again. "
              "Ends at the first that fails.",
          .example = "  fleetctl restart 'web@*.service'",
          .flags = WaitFlags(),
          .run = RunRestart,
          .min_arguments = 1};
}

}  // namespace fleet::fleetctl
