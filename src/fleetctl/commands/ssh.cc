#include "base/status.h"
#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/remote.h"
#include "fleetctl/select.h"

namespace fleet::fleetctl {
namespace {

absl::StatusOr<std::string> MachineOfUnitNamed(Session& session, const std::string& word) {
  ASSIGN_OR_RETURN(const client::Unit unit, SelectUnit(session.api(), word));
  return MachineOfUnit(unit);
}

// A unit, a machine id or an unambiguous prefix of one.
absl::StatusOr<std::string> MachineOfTarget(Session& session, const std::string& target) {
  auto unit = MachineOfUnitNamed(session, target);
  auto machine = FindMachineId(session, target);
  if (absl::IsNotFound(unit.status()) && absl::IsNotFound(machine.status()))
    return absl::NotFoundError(Cat("neither a unit nor a machine is named ", target));
  if (absl::IsNotFound(unit.status())) return machine;
  if (absl::IsNotFound(machine.status()) || !unit.ok()) return unit;
  if (machine.ok() && *machine == *unit) return unit;
  return absl::FailedPreconditionError(
      Cat(target, " may be a unit or a machine: say which with --unit or --machine"));
}

absl::StatusOr<int> Ssh(Session& session) {
  const Flags& flags = session.flags();
  std::vector<std::string> words = session.arguments();
  const std::string machine_flag = flags.Text("machine");
  const std::string unit_flag = flags.Text("unit");
  std::string machine;
  if (!machine_flag.empty()) {
    ASSIGN_OR_RETURN(machine, FindMachineId(session, machine_flag));
  } else if (!unit_flag.empty()) {
    ASSIGN_OR_RETURN(machine, MachineOfUnitNamed(session, unit_flag));
  } else {
    if (words.empty()) return UsageError("ssh needs TARGET, --unit or --machine");
    ASSIGN_OR_RETURN(machine, MachineOfTarget(session, words[0]));
    words.erase(words.begin());
    // The flags have ended already; ssh takes this, too.
    if (!words.empty() && words[0] == "--") words.erase(words.begin());
  }
  // As ssh does: the words make one line for the shell there.
  return RunOn(session, machine, Join(words, " "));
}

int RunSsh(Session& session) {
  const auto code = Ssh(session);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace

Command SshCommand() {
  return {.name = "ssh",
          .summary = "Open a shell, or run a command, where a unit runs or on a machine",
          .arguments = "TARGET [COMMAND…]",
          .description =
              "TARGET is a unit, a machine id or the beginning of one. What follows it is "
              "the command; its exit\nstatus is fleetctl's. On this machine nothing is "
              "done over ssh.",
          .example =
              "  fleetctl ssh hello.service journalctl -b\n"
              "  fleetctl ssh --machine=8be9 uptime",
          .flags = {{"machine", 0, "MACHINE", "",
                     "the machine of this id, beginning of one, or host name"},
                    {"unit", 0, "NAME", "", "the machine where that unit runs"},
                    {"forward-agent", 'A', "", "", "forward the ssh agent"},
                    SshPortFlag()},
          .run = RunSsh,
          .stop_after = 1};
}

}  // namespace fleet::fleetctl
