#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

struct Verb {
  std::string name;
  Goal goal;
};

// stop, unload and destroy: on registered units only.
int RunVerb(Session& session, const Verb& verb) {
  const auto limits = WaitLimitsFrom(session.flags());
  if (!limits.ok()) return session.Fail(limits.status());
  const auto selection =
      SelectUnits(session.api(), session.arguments(), verb.goal == Goal::kDestroyed);
  if (!selection.ok()) return session.Fail(selection.status());
  Verdict verdict(OrderOf(session.arguments(), *selection));
  ReportMissing(session, *selection, verdict);
  Action action{.verb = verb.name, .goal = verb.goal, .limits = *limits};
  for (const client::Unit& unit : selection->units) {
    if (verb.goal == Goal::kLoaded && unit.desired_state == "inactive") {
      session.err() << "Error: cannot stop unit " << unit.name
                    << ": it is inactive, neither loaded nor started\n";
      verdict.Fail(unit.name, kFailed);
      continue;
    }
    client::UnitChange change{.name = unit.name};
    if (verb.goal == Goal::kDestroyed) {
      change.destroy = true;
    } else {
      change.desired_state = std::string(ToString(verb.goal));
      change.stop = verb.goal == Goal::kLoaded;
    }
    if (unit.global) action.globals.insert(unit.name);
    action.changes.push_back(std::move(change));
  }
  return Carry(session, action, verdict);
}

}  // namespace

Command StopCommand() {
  return {.name = "stop",
          .summary = "Stop units; they stay loaded on their machines",
          .arguments = "NAME…",
          .description =
              "Names may be quoted globs over registered units. Waits until each has "
              "stopped.",
          .example = "  fleetctl stop hello.service 'web@*.service'",
          .flags = WaitFlags(),
          .run =
              [](Session& session) {
                return RunVerb(session, {.name = "stop", .goal = Goal::kLoaded});
              },
          .min_arguments = 1};
}

Command UnloadCommand() {
  return {.name = "unload",
          .summary = "Stop units and take them from their machines; they stay in the registry",
          .arguments = "NAME…",
          .description =
              "Names may be quoted globs over registered units. Waits until each is "
              "gone from its machine.",
          .example = "  fleetctl unload hello.service",
          .flags = WaitFlags(),
          .run =
              [](Session& session) {
                return RunVerb(session, {.name = "unload", .goal = Goal::kInactive});
              },
          .min_arguments = 1};
}

Command DestroyCommand() {
  return {.name = "destroy",
          .summary = "Stop units and remove them from the registry",
          .arguments = "NAME…",
          .description =
              "Names may be quoted globs over registered units. Waits until each has "
              "stopped.",
          .example = "  fleetctl destroy hello.service 'web@*.service'",
          .flags = WaitFlags(),
          .run =
              [](Session& session) {
                return RunVerb(session, {.name = "destroy", .goal = Goal::kDestroyed});
              },
          .min_arguments = 1};
}

}  // namespace fleet::fleetctl
