#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <utility>

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/output.h"
#include "fleetctl/rolling.h"
#include "fleetctl/select.h"
#include "fleetctl/verbs.h"

namespace fleet::fleetctl {
namespace {

// `parts`: those of one of several, or the one.
void PrintStatus(Session& session, const std::vector<client::Rollout>& parts) {
  std::ostream& out = session.out();
  const bool full = session.flags().On("full");
  const client::Rollout& rollout = parts.front();
  out << NamesOf(rollout) << ": " << (rollout.restarts ? "restart" : "update") << " "
      << rollout.state << ", " << rollout.reached << " of " << rollout.total << " units\n";
  for (const client::Rollout& part : parts) {
    if (part.restarts) continue;
    out << "  " << (part.together.empty() ? "" : part.name + " ") << "brings "
        << ShortHash(part.hash, full) << " instead of " << ShortHash(part.former_hash, full)
        << "\n";
  }
  if (!rollout.reason.empty()) out << "  " << rollout.reason << "\n";
  for (const std::string& unit : rollout.not_started) out << "  " << unit << "\n";
}

// Of several, each line says of which.
void PrintHistory(Session& session, const std::vector<client::Rollout>& rollouts) {
  const bool full = session.flags().On("full");
  const bool several = rollouts.size() > 1;
  std::vector<std::string> header = {"HASH", "SINCE", "HOW"};
  if (several) header.insert(header.begin(), "UNIT");
  if (session.flags().On("no-legend")) header.clear();
  Table table(std::move(header));
  for (const client::Rollout& rollout : rollouts) {
    for (const client::FormerText& text : rollout.history) {
      std::vector<std::string> row = {ShortHash(text.hash, full), text.since, text.how};
      if (several) row.insert(row.begin(), rollout.name);
      table.Add(std::move(row));
    }
  }
  session.out() << table.Render();
}

void PrintEntities(Session& session, const std::vector<client::Rollout>& rollouts) {
  const std::string output = session.flags().Text("output");
  for (const client::Rollout& rollout : rollouts) {
    if (output == "json") {
      session.out() << rollout.json << "\n";
    } else {
      session.out() << "---\n" << RenderEntities({rollout.json}, output, /*as_list=*/false);
    }
  }
}

void Print(Session& session, const std::string& verb,
           const std::vector<client::Rollout>& rollouts) {
  const std::string output = session.flags().Text("output");
  if (HasEntities(output)) return PrintEntities(session, rollouts);
  if (output == "name") {
    for (const client::Rollout& rollout : rollouts) session.out() << rollout.name << "\n";
  } else if (verb == "history") {
    PrintHistory(session, rollouts);
  } else {
    for (const client::Rollout& rollout : rollouts) PrintStatus(session, {rollout});
  }
}

// Of all of them; those that are one are shown as one.
absl::Status PrintAll(Session& session) {
  ASSIGN_OR_RETURN(const auto rollouts, session.api().ListRollouts());
  const std::string output = session.flags().Text("output");
  if (HasEntities(output) || output == "name") {
    Print(session, "status", rollouts);
    return absl::OkStatus();
  }
  std::set<std::string> shown;
  for (const client::Rollout& rollout : rollouts) {
    if (rollout.together.empty()) {
      PrintStatus(session, {rollout});
    } else if (shown.insert(rollout.id).second) {
      std::vector<client::Rollout> parts;
      std::copy_if(rollouts.begin(), rollouts.end(), std::back_inserter(parts),
                   [&](const client::Rollout& other) { return other.id == rollout.id; });
      PrintStatus(session, parts);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Rollout(Session& session) {
  const std::vector<std::string>& words = session.arguments();
  RETURN_IF_ERROR(CheckFormat(session.flags()));
  const std::vector<std::string_view> verbs = {"status", "pause", "resume", "undo", "history"};
  ASSIGN_OR_RETURN(const std::string_view found, FindName(words[0], verbs, "verb"));
  const std::string verb(found);
  const std::string hash = session.flags().Text("to");
  if (!hash.empty() && verb != "undo") return UsageError("--to is for undo");
  if (hash.empty() && session.flags().Given("to")) return UsageError("--to= names no text");
  if (words.size() == 1) {
    if (verb != "status") return UsageError(Cat("rollout ", verb, " needs a TEMPLATE or UNIT"));
    RETURN_IF_ERROR(PrintAll(session));
    return kDone;
  }
  std::vector<client::Rollout> rollouts;
  absl::Status status;
  for (auto word = words.begin() + 1; word != words.end() && status.ok(); ++word) {
    const std::string unit = NameFrom(*word);
    const bool shows = verb == "status" || verb == "history";
    auto rollout =
        shows ? session.api().GetRollout(unit) : session.api().ChangeRollout(unit, verb, hash);
    status = rollout.status();
    if (rollout.ok()) rollouts.push_back(*std::move(rollout));
  }
  if (!rollouts.empty()) Print(session, verb, rollouts);
  RETURN_IF_ERROR(status);
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
          "the same way. Of a rollout\nof several units each name stands for all of them; undo "
          "--to is of the named one alone.",
      .example =
          "  fleetctl rollout status\n"
          "  fleetctl rollout undo web@.service --to=3f1c9a2",
      .flags = {{"to", 0, "HASH", "", "undo: the text of the history whose hash begins so"},
                OutputFlag("text or table, wide, json (an object a line), yaml (a document each) "
                           "or name"),
                {"no-legend", 0, "", "", "history: no header line"},
                {"full", 'l', "", "", "do not shorten hashes"}},
      .run = RunRollout,
      .min_arguments = 1};
}

}  // namespace fleet::fleetctl
