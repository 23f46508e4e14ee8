#include "fleetctl/remote.h"

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/process.h"
#include "fleetctl/ssh.h"

namespace fleet::fleetctl {

FlagSpec SshPortFlag() { return {"ssh-port", 0, "PORT", "", "port of the machines' SSH servers"}; }

absl::StatusOr<std::string> FindMachineId(Session& session, const std::string& prefix) {
  ASSIGN_OR_RETURN(const auto machines, session.api().ListMachines());
  std::vector<std::string> matches;
  for (const client::Machine& machine : machines) {
    if (machine.id == prefix) return machine.id;
    if (machine.id.starts_with(prefix)) matches.push_back(machine.id);
  }
  if (matches.size() == 1) return matches[0];
  if (matches.empty()) return absl::NotFoundError(Cat("no machine has an id like ", prefix));
  return absl::FailedPreconditionError(
      Cat("several machines have an id like ", prefix, ": ", Join(matches, ", ")));
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
    return RunInForeground({shell == variables.end() ? "/bin/sh" : shell->second});
  }
  const client::Machine* machine = session.FindMachine(machine_id);
  if (machine == nullptr || machine->primary_ip.empty()) {
    return absl::UnavailableError(
        Cat("the address of machine ", machine_id, " is not known: it is not in the cluster now"));
  }
  const std::string host = machine->primary_ip;
  ASSIGN_OR_RETURN(const SshOptions options,
                   SshOptionsFrom(session.flags(), session.environment()));
  ASSIGN_OR_RETURN(const auto known_hosts, CheckHostKeys(options, host, session.environment()));
  std::vector<std::string> argv = SshArgv(options, host, known_hosts);
  if (!command.empty()) argv.push_back(command);
  ASSIGN_OR_RETURN(const int code, RunInForeground(argv));
  if (code == kSshFailed) {
    session.err() << "Error: ssh to " << options.username << "@" << host
                  << " failed; is a key that it accepts in your ssh agent (ssh-add -l), and "
                     "--ssh-username right?\n";
  }
  return code;
}

}  // namespace fleet::fleetctl
