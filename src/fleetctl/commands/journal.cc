#include "base/status.h"
#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/manager.h"
#include "fleetctl/process.h"
#include "fleetctl/remote.h"
#include "fleetctl/select.h"
#include "fleetctl/ssh.h"

namespace fleet::fleetctl {
namespace {

absl::StatusOr<int> Journal(Session& session) {
  const Flags& flags = session.flags();
  ASSIGN_OR_RETURN(const int lines, flags.Number("lines"));
  ASSIGN_OR_RETURN(const client::Unit unit, SelectUnit(session.api(), session.arguments()[0]));
  std::string machine;
  if (!flags.Text("machine").empty()) {
    ASSIGN_OR_RETURN(machine, FindMachineId(session, flags.Text("machine")));
  } else {
    ASSIGN_OR_RETURN(machine, MachineOfUnit(unit));
  }
  std::string command = JournalLine(ManagerOf(session, machine), unit.name, flags.On("sudo"));
  Append(command, " --no-pager -n ", lines);
  if (flags.On("follow")) command += " -f";
  if (!flags.Text("output").empty())
    Append(command, " --output ", ShellQuote(flags.Text("output")));
  ASSIGN_OR_RETURN(const int code, RunOn(session, machine, command));
  return code == kSshFailed ? kFailed : code;
}

int RunJournal(Session& session) {
  const auto code = Journal(session);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace

Command JournalCommand() {
  return {.name = "journal",
          .summary = "Show a unit's journal, from where it runs",
          .arguments = "NAME",
          .description =
              "NAME may be a quoted glob that one unit matches. Runs journalctl here if the unit "
              "is on this machine, else over ssh.",
          .example = "  fleetctl journal -f --lines=50 hello.service",
          .flags = {{"lines", 'n', "N", "10", "how many of the last lines"},
                    {"follow", 'f', "", "", "go on with new lines as they come"},
                    // FLEETCTL_OUTPUT has a format of fleetctl's.
                    {.name = "output",
                     .letter = 'o',
                     .value = "MODE",
                     .help = "journalctl's output mode: short, cat, json, …",
                     .from_environment = false},
                    {"sudo", 0, "", "", "run journalctl with sudo"},
                    {"machine", 0, "MACHINE", "", "of a global unit: on which machine"},
                    SshPortFlag()},
          .run = RunJournal,
          .min_arguments = 1,
          .max_arguments = 1};
}

}  // namespace fleet::fleetctl
