#include "base/status.h"
#include "client/text.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/deploy.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/sources.h"

namespace fleet::fleetctl {
namespace {

// The template, which is submitted first if a file has it.
absl::StatusOr<std::string> FindTemplate(Session& session, const std::string& name,
                                         const std::string& file, Verdict& verdict) {
  const Flags& flags = session.flags();
  ASSIGN_OR_RETURN(std::vector<Source> sources,
                   FindSources(session.api(), {file.empty() ? name : file},
                               {.verb = "scale", .force = flags.On("force")}, session.err()));
  if (sources.size() != 1 || !IsTemplate(sources[0].name) ||
      (!file.empty() && sources[0].name != NameFrom(name))) {
    return UsageError(Cat("scale needs one template, such as web@.service, not ",
                          file.empty() ? name : Cat(name, " and ", file)));
  }
  Source& source = sources[0];
  if (source.content) {
    Action submit{.verb = "submit", .goal = Goal::kInactive};
    submit.paths[source.name] = source.path;
    submit.changes.push_back({.name = source.name,
                              .content = std::move(source.content),
                              .replace = flags.On("replace"),
                              .force = flags.On("force")});
    RETURN_IF_ERROR(Send(session, submit, verdict).status());
  }
  return source.name;
}

absl::StatusOr<int> Scale(Session& session) {
  ASSIGN_OR_RETURN(const WaitLimits limits, WaitLimitsFrom(session.flags()));
  const std::vector<std::string>& words = session.arguments();
  int64_t replicas = 0;
  if (!ReadNumber(words[1], replicas) || replicas < 0)
    return UsageError(Cat("scale needs a number of instances, not ", words[1]));
  Verdict submitted({});
  ASSIGN_OR_RETURN(const std::string name,
                   FindTemplate(session, words[0], words.size() > 2 ? words[2] : "", submitted));
  if (submitted.code() != kDone) return submitted.code();
  ASSIGN_OR_RETURN(const client::ScaleAnswer answer, session.api().Scale(name, replicas));
  const Action start{
      .verb = "start", .goal = Goal::kLaunched, .makes_units = true, .limits = limits};
  const Action destroy{.verb = "destroy", .goal = Goal::kDestroyed, .limits = limits};
  if (!limits.block) {
    PrintTriggered(session, start, answer.units);
    PrintTriggered(session, destroy, answer.surplus);
    return kDone;
  }
  std::vector<std::string> order = answer.units;
  order.insert(order.end(), answer.surplus.begin(), answer.surplus.end());
  Verdict verdict(std::move(order));
  RETURN_IF_ERROR(
      Await(session, start, {.revision = answer.revision, .made = answer.units}, verdict));
  RETURN_IF_ERROR(
      Await(session, destroy, {.revision = answer.revision, .made = answer.surplus}, verdict));
  return verdict.code();
}

int RunScale(Session& session) {
  const auto code = Scale(session);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace

Command ScaleCommand() {
  return {
      .name = "scale",
      .summary = "Run instances 1 to N of a template",
      .arguments = "TEMPLATE N [FILE]",
      .description =
          "Those that are missing are made, those above N that were made so are destroyed, the "
          "highest\nfirst. An instance from 1 to N that exists keeps its text; one that was made "
          "by hand above N\nis left alone. The cluster keeps the number from then on, whatever "
          "the template's Replicas= says.",
      .example =
          "  fleetctl scale web@.service 5\n"
          "  fleetctl scale web@.service 3 ./web@.service",
      .flags = DeployFlags(),
      .run = RunScale,
      .min_arguments = 2,
      .max_arguments = 3};
}

}  // namespace fleet::fleetctl
