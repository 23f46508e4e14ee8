#include <algorithm>
#include <set>

#include "base/status.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "model/unit_name.h"
#include "nlohmann/json.hpp"

namespace fleet::fleetctl {
namespace {

struct Verb {
  std::string name;
  Goal goal;
};

// The instances that are there because of a template's number, and so go with it.
absl::StatusOr<std::vector<std::string>> KeptInstances(Session& session,
                                                       const std::vector<client::UnitChange>& of) {
  std::set<std::string> names;
  bool has_templates = false;
  for (const client::UnitChange& change : of) {
    names.insert(change.name);
    has_templates = has_templates || IsTemplate(change.name);
  }
  std::vector<std::string> kept;
  if (!has_templates) return kept;
  ASSIGN_OR_RETURN(const auto units,
                   session.api().ListUnits(client::ApiClient::View::kSummary, /*keep_json=*/true));
  for (const client::Unit& unit : units) {
    const auto name = UnitName::Parse(unit.name);
    if (!name.ok() || !name->is_instance() || names.contains(unit.name)) continue;
    const auto entity = nlohmann::json::parse(unit.json, nullptr, false);
    const bool is_kept = entity.is_object() && client::FlagAt(entity, "madeByReplicas");
    if (is_kept && names.contains(name->TemplateName())) kept.push_back(unit.name);
  }
  return kept;
}

// The cluster destroys the instances that a template keeps once that is gone: they are named, and
// waited for, as the units that were named by the user.
int Destroy(Session& session, const Action& action, Verdict& verdict) {
  const auto kept = KeptInstances(session, action.changes);
  if (!kept.ok()) return session.Fail(kept.status());
  auto sent = Send(session, action, verdict);
  if (!sent.ok()) return session.Fail(sent.status());
  const std::set<std::string> destroyed(sent->made.begin(), sent->made.end());
  std::vector<client::UnitChange> changes;
  for (const std::string& name : *kept) {
    // What an older fleetd leaves, or the engine has not come to yet.
    if (destroyed.contains(UnitName::Parse(name)->TemplateName()))
      changes.push_back({.name = name, .destroy = true});
  }
  if (!changes.empty()) {
    const auto answer = session.api().Batch(changes);
    if (!answer.ok()) return session.Fail(answer.status());
    sent->revision = std::max(sent->revision, answer->revision);
    for (const client::UnitResult& result : answer->results) {
      if (result.code < 300 || result.code == 404) {
        sent->made.push_back(result.name);
      } else {
        session.err() << "Error: cannot destroy unit " << result.name << ": " << result.message
                      << "\n";
        verdict.Fail(result.name, kFailed);
      }
    }
  }
  if (!action.limits.block) {
    PrintTriggered(session, action, sent->made);
    return verdict.code();
  }
  const absl::Status status = Await(session, action, *sent, verdict);
  return status.ok() ? verdict.code() : session.Fail(status);
}

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
  return verb.goal == Goal::kDestroyed ? Destroy(session, action, verdict)
                                       : Carry(session, action, verdict);
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
              "stopped.\nThe instances that a template keeps (Replicas=, scale) are destroyed with "
              "it.",
          .example = "  fleetctl destroy hello.service 'web@*.service'",
          .flags = WaitFlags(),
          .run =
              [](Session& session) {
                return RunVerb(session, {.name = "destroy", .goal = Goal::kDestroyed});
              },
          .min_arguments = 1};
}

}  // namespace fleet::fleetctl
