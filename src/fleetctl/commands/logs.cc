#include <algorithm>

#include "base/glob.h"
#include "base/status.h"
#include "client/text.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/journal_readers.h"
#include "fleetctl/log_lines.h"
#include "fleetctl/output.h"
#include "fleetctl/remote.h"

namespace fleet::fleetctl {
namespace {

// Prints what comes until all have ended, the oldest first where they end.
void Print(Session& session, JournalReaders& readers, LogLines& lines, bool sort,
           Verdict& verdict) {
  std::vector<client::JournalEntry> entries;
  while (auto message = readers.Take()) {
    if (!message->entry) {
      session.err() << "Error: " << message->unit << " on " << ShortId(message->machine_id, false)
                    << ": " << MessageOf(message->error) << "\n";
      verdict.Fail(message->unit, ExitCodeOf(message->error));
    } else if (sort) {
      entries.push_back(*std::move(message->entry));
    } else {
      session.out() << lines.Render(*message->entry) << std::flush;
      if (!session.out()) return;
    }
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.time < b.time; });
  for (const client::JournalEntry& entry : entries) session.out() << lines.Render(entry);
}

absl::StatusOr<int> Logs(Session& session) {
  const Flags& flags = session.flags();
  RETURN_IF_ERROR(CheckFormat(flags));
  ASSIGN_OR_RETURN(const int count, flags.Number("lines"));
  if (count < 0) return UsageError(Cat("--lines is a number of lines, not ", count));
  const bool follow = flags.On("follow");
  std::string machine;
  if (!flags.Text("machine").empty()) {
    ASSIGN_OR_RETURN(machine, FindMachineId(session, flags.Text("machine")));
  }
  ASSIGN_OR_RETURN(const Selection selection, SelectUnits(session.api(), session.arguments()));
  Verdict verdict(OrderOf(session.arguments(), selection));
  ReportMissing(session, selection, verdict);
  if (selection.units.empty()) return verdict.code();

  LogLines lines(flags.Text("output"), session.has_colour());
  JournalReaders readers(session.client_options(), {.lines = count, .follow = follow});
  const auto add = [&](const std::string& unit, const std::string& where) {
    lines.Expect(unit, where);
    readers.Add(unit, where);
  };
  std::vector<std::string> names;
  for (const client::Unit& unit : selection.units) {
    names.push_back(unit.name);
    if (!machine.empty()) {
      add(unit.name, machine);
      continue;
    }
    if (!unit.target.empty()) add(unit.name, unit.target);
    for (const client::UnitOnMachine& there : unit.machines) add(unit.name, there.machine_id);
    if (unit.target.empty() && unit.machines.empty() && !follow) {
      session.err() << "Error: unit " << unit.name
                    << " is on no machine; --machine names one that had it\n";
      verdict.Fail(unit.name, kFailed);
    }
  }
  if (follow && machine.empty()) {
    std::vector<std::string> globs;
    for (const std::string& word : session.arguments())
      if (IsGlob(word)) globs.push_back(word);
    readers.AddWherever(std::move(names), std::move(globs));
  }
  Print(session, readers, lines, /*sort=*/!follow, verdict);
  return verdict.code();
}

int RunLogs(Session& session) {
  const auto code = Logs(session);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace

Command LogsCommand() {
  return {
      .name = "logs",
      .summary = "Show the journals of units, several at once",
      .arguments = "NAME…",
      .description =
          "Names may be quoted globs. Over the API, from the machines that have the units; each "
          "line begins\nwith its unit and machine. With -f also units that come to match, and "
          "machines that units move to.\nA machine whose API listens for itself only (listen= "
          "in fleet.conf) is read by \"fleetctl journal\".",
      .example =
          "  fleetctl logs -f 'web@*'\n"
          "  fleetctl logs -n 100 -o cat db.service",
      .flags = {{"lines", 'n', "N", "10", "how many of the last lines of each"},
                {"follow", 'f', "", "", "go on with new lines as they come"},
                OutputFlag("text or table, wide, cat (the messages alone), json (an object a line) "
                           "or yaml (a document each)"),
                {"machine", 0, "MACHINE", "", "only from this machine"}},
      .run = RunLogs,
      .min_arguments = 1};
}

}  // namespace fleet::fleetctl
