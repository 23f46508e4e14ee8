#pragma once

// Running a command on the machine where a unit is: here without ssh, elsewhere with it.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fleetctl/session.h"

namespace fleet::fleetctl {

// --ssh-port.
FlagSpec SshPortFlag();

// The whole id of the one machine whose id is or begins with `prefix`. NOT_FOUND;
// FAILED_PRECONDITION, naming them, if there are several.
absl::StatusOr<std::string> FindMachineId(Session& session, const std::string& prefix);

// Where the unit is assigned and the machine present. FAILED_PRECONDITION with the reason if it is
// nowhere, INVALID_ARGUMENT for a global one (it is on many: --machine says which).
absl::StatusOr<std::string> MachineOfUnit(const client::Unit& unit);

// Runs a shell command line on that machine (a login shell if it is empty) with this process's
// standard streams; its exit status. An ssh that fails says why on stderr, and gives kSshFailed.
absl::StatusOr<int> RunOn(Session& session, const std::string& machine_id,
                          const std::string& command);

}  // namespace fleet::fleetctl
