#include <algorithm>
#include <array>

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/output.h"
#include "fleetctl/select.h"

namespace fleet::fleetctl {
namespace {

constexpr std::array<std::string_view, 5> kVerbs = {"status", "pause", "resume", "undo", "history"};

void PrintStatus(Session& session, const client::Rollout& rollout) {
  std::ostream& out = session.out();
  const bool full = session.flags().On("full");
  out << rollout.name << ": " << (rollout.restarts ? "restart" : "update") << " " << rollout.state
      << ", " << rollout.reached << " of " << rollout.total << " units\n";
  if (!rollout.restarts) {
    out << "  brings " << ShortHash(rollout.hash, full) << " instead of "
        << ShortHash(rollout.former_hash, full) << "\n";
  }
  if (!rollout.reason.empty()) out << "  " << rollout.reason << "\n";
  for (const std::string& unit : rollout.not_started) out << "  " << unit << "\n";
}

void PrintHistory(Session& session, const client::Rollout& rollout) {
  const bool full = session.flags().On("full");
  Table table({"HASH", "SINCE", "HOW"});
  for (const client::FormerText& text : rollout.history) {
    table.Add({ShortHash(text.hash, full), text.since, text.how});
  }
  session.out() << table.Render();
}

void Print(Session& session, const std::string& verb, const client::Rollout& rollout) {
  if (session.flags().Text("output") == "json") {
    session.out() << rollout.json << "\n";
  } else if (verb == "history") {
    PrintHistory(session, rollout);
  } else {
    PrintStatus(session, rollout);
  }
}

absl::StatusOr<int> Rollout(Session& session) {
  const std::vector<std::string>& words = session.arguments();
  const std::string& verb = words[0];
  const std::string output = session.flags().Text("output");
  if (!output.empty() && output != "json")
    return UsageError(Cat("--output=", output, ": the only other format is json"));
  if (std::find(kVerbs.begin(), kVerbs.end(), verb) == kVerbs.end())
    return UsageError(Cat("a rollout has no \"", verb, "\": it has ", Join(kVerbs, ", ")));
  const std::string hash = session.flags().Text("to");
  if (!hash.empty() && verb != "undo") return UsageError("--to is for undo");
  if (words.size() == 1) {
    if (verb != "status") return UsageError(Cat("rollout ", verb, " needs a TEMPLATE or UNIT"));
    ASSIGN_OR_RETURN(const auto rollouts, session.api().ListRollouts());
    for (const client::Rollout& rollout : rollouts) Print(session, verb, rollout);
    return kDone;
  }
  for (auto word = words.begin() + 1; word != words.end(); ++word) {
    const std::string unit = NameFrom(*word);
    const bool shows = verb == "status" || verb == "history";
    ASSIGN_OR_RETURN(
        const client::Rollout rollout,
        shows ? session.api().GetRollout(unit) : session.api().ChangeRollout(unit, verb, hash));
    Print(session, verb, rollout);
  }
  return kDone;
}

int RunRollout(Session& session) {
  const auto code = Rollout(session);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace

Command RolloutCommand() {
  return {
      .name = "rollout",
      .summary = "Show and control rolling updates and restarts",
      .arguments = "status|pause|resume|undo|history [TEMPLATE|UNIT…]",
      .description =
          "status shows how far the last rollout has come and what it waits for, of all without "
          "a name.\nA rollout that is paused begins with no more units; resume goes on, and tries "
          "again what has\nfailed. undo brings the former text back, or one of the history, in "
          "the same way.",
      .example =
          "  fleetctl rollout status\n"
          "  fleetctl rollout undo web@.service --to=3f1c9a2",
      .flags = {{"to", 0, "HASH", "", "undo: the text of the history whose hash begins so"},
                {"output", 'o', "FORMAT", "", "json: one JSON object a line"},
                {"full", 'l', "", "", "do not shorten hashes"}},
      .run = RunRollout,
      .min_arguments = 1};
}

}  // namespace fleet::fleetctl
