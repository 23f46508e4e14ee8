#pragma once

// Running a command on the machine where a unit is: here without ssh, elsewhere with it.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fleetctl/session.h"

namespace fleet::fleetctl {

// --ssh-port.
FlagSpec SshPortFlag();

// The whole id of the one machine whose id is or begins with `word`, or else whose host name it
// is. NOT_FOUND; INVALID_ARGUMENT, naming them, if there are several.
absl::StatusOr<std::string> FindMachineId(Session& session, const std::string& word);

// The same among those, too, that are away and of which something was set.
absl::StatusOr<std::string> FindListedMachine(Session& session, const std::string& word);

// The same where any machine that is away may be meant: by its whole id.
absl::StatusOr<std::string> FindMachineEvenAway(Session& session, const std::string& word);

// Where the unit is assigned and the machine present. FAILED_PRECONDITION with the reason if it is
// nowhere, INVALID_ARGUMENT for a global one (it is on many: --machine says which).
absl::StatusOr<std::string> MachineOfUnit(const client::Unit& unit);

// Runs a shell command line on that machine (a login shell if it is empty) with this process's
// standard streams; its exit status. An ssh that fails says why on stderr, and gives kSshFailed.
absl::StatusOr<int> RunOn(Session& session, const std::string& machine_id,
                          const std::string& command);

}  // namespace fleet::fleetctl
