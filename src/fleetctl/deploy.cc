#include "fleetctl/deploy.h"

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/action.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/sources.h"

namespace fleet::fleetctl {
namespace {

int Rank(std::string_view state) { return state == "launched" ? 2 : state == "loaded" ? 1 : 0; }

// --replace on a unit in a higher state than the verb gives would stop it by surprise.
absl::Status CheckReplace(const Source& source, Goal goal) {
  if (!source.content || !source.registered) return absl::OkStatus();
  const std::string& state = source.registered->desired_state;
  if (Rank(state) <= Rank(ToString(goal))) return absl::OkStatus();
  return absl::FailedPreconditionError(Cat("unit ", source.name, " is ", state, ": use \"fleetctl ",
                                           state == "launched" ? "start" : "load", " --replace ",
                                           source.path, "\" to replace it"));
}

// submit does not wait: what it made is inactive, what was there keeps its state.
absl::Status PrintSubmitted(Session& session, const Sent& sent) {
  std::vector<std::string> known;
  for (const std::string& name : sent.made) {
    if (!sent.created.contains(name)) known.push_back(name);
  }
  Selection selection;
  if (!known.empty()) {
    ASSIGN_OR_RETURN(selection, SelectUnits(session.api(), known));
  }
  std::map<std::string, const client::Unit*> units;
  for (const client::Unit& unit : selection.units) units[unit.name] = &unit;
  for (const std::string& name : sent.made) {
    const auto it = units.find(name);
    const std::string state = it == units.end() ? "inactive" : it->second->current_state;
    session.out() << "Unit " << name << " " << (state.empty() ? "inactive" : state);
    if (it != units.end() && !it->second->status.machine_id.empty())
      session.out() << " on " << session.LabelOf(it->second->status.machine_id);
    session.out() << "\n";
  }
  return absl::OkStatus();
}

absl::StatusOr<int> DeployOrFail(Session& session, const Deployment& deployment) {
  ASSIGN_OR_RETURN(const WaitLimits limits, WaitLimitsFrom(session.flags()));
  const bool replace = session.flags().On("replace");
  const bool submit = deployment.goal == Goal::kInactive;
  const SourceOptions options{.verb = deployment.verb,
                              .start = !submit,
                              .look_up = replace,
                              .force = session.flags().On("force")};
  ASSIGN_OR_RETURN(std::vector<Source> sources,
                   FindSources(session.api(), session.arguments(), options, session.err()));

  Action action{.verb = deployment.verb, .goal = deployment.goal, .limits = limits};
  std::vector<std::string> order;
  for (Source& source : sources) {
    if (replace) RETURN_IF_ERROR(CheckReplace(source, deployment.goal));
    order.push_back(source.name);
    if (!source.path.empty()) action.paths[source.name] = source.path;
    if (source.global) action.globals.insert(source.name);
    client::UnitChange change{.name = source.name,
                              .content = std::move(source.content),
                              .replace = replace,
                              .force = session.flags().On("force")};
    if (!submit) change.desired_state = std::string(ToString(deployment.goal));
    change.start = deployment.goal == Goal::kLaunched;
    action.changes.push_back(std::move(change));
  }
  Verdict verdict(std::move(order));
  if (!submit) return Carry(session, action, verdict);
  ASSIGN_OR_RETURN(const Sent sent, Send(session, action, verdict));
  RETURN_IF_ERROR(PrintSubmitted(session, sent));
  return verdict.code();
}

}  // namespace

std::vector<FlagSpec> DeployFlags() {
  std::vector<FlagSpec> flags = WaitFlags();
  flags.push_back({"replace", 0, "", "", "replace the text that is stored"});
  flags.push_back({"force", 0, "", "", "only warn of unknown [X-Fleet] keys"});
  return flags;
}

int Deploy(Session& session, const Deployment& deployment) {
  const auto code = DeployOrFail(session, deployment);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace fleet::fleetctl
