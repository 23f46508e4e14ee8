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

absl::StatusOr<client::ScaleAnswer> SendScale(Session& session, const std::string& name,
                                              const std::string& number, const std::string& file,
                                              Verdict& verdict) {
  int64_t replicas = 0;
  if (!ReadNumber(number, replicas) || replicas < 0) {
    return UsageError(Cat("N is how many instances: a number from 0 up, not ", number));
  }
  ASSIGN_OR_RETURN(const std::string found, FindTemplate(session, name, file, verdict));
  if (verdict.code() != kDone) return client::ScaleAnswer{};
  return session.api().Scale(found, replicas);
}

absl::StatusOr<client::ScaleAnswer> SendReset(Session& session, const std::string& name) {
  if (!IsTemplate(name)) return UsageError(Cat("scale needs one template, not ", name));
  ASSIGN_OR_RETURN(client::ScaleAnswer answer, session.api().ResetScale(name));
  if (!answer.replicas) {
    session.out() << "Unit " << name
                  << " has no Replicas=: no number is kept, and its instances stay as they are\n";
  }
  return answer;
}

absl::StatusOr<int> Scale(Session& session) {
  ASSIGN_OR_RETURN(const WaitLimits limits, WaitLimitsFrom(session.flags()));
  const std::vector<std::string>& words = session.arguments();
  const bool resets = session.flags().On("reset");
  if (resets ? words.size() != 1 : words.size() < 2) {
    return UsageError("scale needs a template and a number, or --reset and a template");
  }
  Verdict submitted({});
  ASSIGN_OR_RETURN(
      const client::ScaleAnswer answer,
      resets ? SendReset(session, NameFrom(words[0]))
             : SendScale(session, words[0], words[1], words.size() > 2 ? words[2] : "", submitted));
  if (submitted.code() != kDone) return submitted.code();
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

std::vector<FlagSpec> ScaleFlags() {
  std::vector<FlagSpec> flags = DeployFlags();
  flags.push_back({.name = "reset",
                   .help = "keep what the template's Replicas= says",
                   .from_environment = false});
  return flags;
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
      .arguments = "TEMPLATE N [FILE]|--reset TEMPLATE",
      .description =
          "Those that are missing are made, those above N that were made so are destroyed, the "
          "highest\nfirst. An instance from 1 to N that exists keeps its text; one that was made "
          "by hand above N\nis left alone. The cluster keeps the number from then on, whatever "
          "the template's Replicas= says, until\n--reset: then that counts again.",
      .example =
          "  fleetctl scale web@.service 5\n"
          "  fleetctl scale web@.service 3 ./web@.service\n"
          "  fleetctl scale --reset web@.service",
      .flags = ScaleFlags(),
      .run = RunScale,
      .min_arguments = 1,
      .max_arguments = 3};
}

}  // namespace fleet::fleetctl
