#include <algorithm>

#include "base/status.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/rolling.h"
#include "fleetctl/select.h"

namespace fleet::fleetctl {
namespace {

bool IsRolled(const Session& session, const client::Unit& unit) {
  return IsTemplate(unit.name) || session.flags().On("rolling");
}

// What the cluster restarts, as one rollout.
int Roll(Session& session, const std::vector<client::RolledUnit>& units, const WaitLimits& limits) {
  auto request = RolloutRequestFrom(session.flags());
  if (!request.ok()) return session.Fail(request.status());
  request->restart = true;
  const auto code = CarryRollout(session, "restart", units, *request, limits);
  return code.ok() ? *code : session.Fail(code.status());
}

// What the command does to one unit; its exit code.
int RestartOne(Session& session, const client::Unit& unit, const WaitLimits& limits) {
  if (IsRolled(session, unit)) return Roll(session, {{.name = unit.name}}, limits);
  Action action{.verb = "restart", .goal = Goal::kLaunched, .limits = limits};
  client::UnitChange change{.name = unit.name};
  // As systemctl restart: what is stopped is started.
  if (unit.desired_state == "launched") {
    change.restart = true;
  } else {
    change.desired_state = "launched";
  }
  if (unit.global) action.globals.insert(unit.name);
  action.changes.push_back(std::move(change));
  Verdict verdict({unit.name});
  return Carry(session, action, verdict);
}

int RunRestart(Session& session) {
  const auto limits = WaitLimitsFrom(session.flags());
  if (!limits.ok()) return session.Fail(limits.status());
  const auto selection = SelectUnits(session.api(), session.arguments());
  if (!selection.ok()) return session.Fail(selection.status());
  Verdict verdict(OrderOf(session.arguments(), *selection));
  ReportMissing(session, *selection, verdict);
  std::vector<client::Unit> units;
  for (const client::Unit& unit : selection->units) {
    if (unit.desired_state == "inactive" && !IsTemplate(unit.name)) {
      session.err() << "Error: cannot restart unit " << unit.name
                    << ": it is inactive, neither loaded nor started\n";
      verdict.Fail(unit.name, kFailed);
    } else {
      units.push_back(unit);
    }
  }
  const bool all_are_rolled =
      units.size() > 1 && std::all_of(units.begin(), units.end(), [&](const client::Unit& unit) {
        return IsRolled(session, unit);
      });
  if (all_are_rolled) {
    std::vector<client::RolledUnit> together;
    together.reserve(units.size());
    for (const client::Unit& unit : units) together.push_back({.name = unit.name});
    const int code = Roll(session, together, *limits);
    if (code != kDone) verdict.Fail(units.front().name, code);
    return verdict.code();
  }
  for (const client::Unit& unit : units) {
    const int code = RestartOne(session, unit, *limits);
    if (code == kDone) continue;
    verdict.Fail(unit.name, code);
    // The next one is touched only when this one runs again.
    if (&unit != &units.back())
      session.err() << "The units after " << unit.name << " were not restarted.\n";
    break;
  }
  return verdict.code();
}

std::vector<FlagSpec> RestartFlags() {
  std::vector<FlagSpec> flags = WaitFlags();
  flags.push_back({"rolling", 0, "", "", "also of single units: each active for HealthyAfter="});
  for (const FlagSpec& flag : RollingFlags()) flags.push_back(flag);
  return flags;
}

}  // namespace

Command RestartCommand() {
  return {.name = "restart",
          .summary = "Restart units, one after the other",
          .arguments = "NAME…",
          .description =
              "Each is restarted on its machine once the one before has started again. "
              "Ends at the first that fails.\nThe instances of a template are restarted by the "
              "cluster, as many at once as --max-unavailable\nor MaxUnavailable= says, each active "
              "for HealthyAfter= before the next; several\ntemplates, or units with --rolling, "
              "together.",
          .example =
              "  fleetctl restart 'web@*.service'\n"
              "  fleetctl restart web@.service --max-unavailable=2",
          .flags = RestartFlags(),
          .run = RunRestart,
          .min_arguments = 1};
}

}  // namespace fleet::fleetctl
