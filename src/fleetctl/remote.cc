#include "fleetctl/remote.h"

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/process.h"
#include "fleetctl/ssh.h"
#include "fleetctl/ssh_log.h"
#include "model/machine_word.h"

namespace fleet::fleetctl {
namespace {

absl::StatusOr<std::string> FindAmong(const absl::StatusOr<std::vector<client::Machine>>& machines,
                                      const std::string& word) {
  RETURN_IF_ERROR(machines.status());
  MachineWord meant(word);
  for (const client::Machine& machine : *machines) meant.Consider(machine.id, machine.hostname);
  return meant.Find();
}

}  // namespace

FlagSpec SshPortFlag() { return {"ssh-port", 0, "PORT", "", "port of the machines' SSH servers"}; }

absl::StatusOr<std::string> FindMachineId(Session& session, const std::string& word) {
  return FindAmong(session.api().ListMachines(), word);
}

absl::StatusOr<std::string> FindListedMachine(Session& session, const std::string& word) {
  return FindAmong(session.api().ListMachines(/*keep_json=*/false, /*absent=*/true), word);
}

absl::StatusOr<std::string> FindMachineEvenAway(Session& session, const std::string& word) {
  auto machine = FindListedMachine(session, word);
  if (absl::IsNotFound(machine.status()) && IsMachineId(word)) return word;
  return machine;
}

absl::StatusOr<std::string> MachineOfUnit(const client::Unit& unit) {
  if (unit.global) {
    return absl::InvalidArgumentError(
        Cat("unit ", unit.name, " is global, it runs on many machines: say which with --machine"));
  }
  if (!unit.status.machine_id.empty()) return unit.status.machine_id;
  std::string message = Cat("unit ", unit.name, " does not appear to be running");
  if (!unit.status.reason.empty()) {
    Append(message, ": ", unit.status.reason);
  } else if (unit.desired_state == "inactive") {
    message += ": it is inactive";
  } else if (!unit.target.empty()) {
    Append(message, ": its machine ", unit.target, " is not there");
  }
  return absl::FailedPreconditionError(message);
}

absl::StatusOr<int> RunOn(Session& session, const std::string& machine_id,
                          const std::string& command) {
  session.out().flush();
  if (machine_id == session.LocalMachineId()) {
    if (!command.empty()) return RunInForeground({"/bin/sh", "-c", command});
    const auto& variables = session.environment().variables;
    const auto shell = variables.find("SHELL");
    // As when its terminal is closed: an interactive shell does not heed SIGTERM.
    return RunInForeground({shell == variables.end() ? "/bin/sh" : shell->second}, SIGHUP);
  }
  const client::Machine* machine = session.FindMachine(machine_id);
  if (machine == nullptr || machine->primary_ip.empty()) {
    return absl::UnavailableError(
        Cat("the address of machine ", machine_id, " is not known: it is not in the cluster now"));
  }
  const std::string host = machine->primary_ip;
  if (host.starts_with("-")) {
    return absl::FailedPreconditionError(
        Cat("machine ", machine_id, " says that its address is \"", host, "\""));
  }
  ASSIGN_OR_RETURN(SshOptions options, SshOptionsFrom(session.flags(), session.environment()));
  ASSIGN_OR_RETURN(const auto known_hosts, CheckHostKeys(options, host, session.environment()));
  SshLog log(&session.err());
  options.log_file = log.path();
  auto code = RunInForeground(SshArgv(options, host, command, known_hosts));
  // ssh has said what was the matter, but not what can be done about a login.
  if (const std::string_view hint = LoginHint(log.Finish()); !hint.empty())
    session.err() << "Error: ssh to " << options.username << "@" << host << " failed" << hint
                  << "\n";
  return code;
}

}  // namespace fleet::fleetctl
