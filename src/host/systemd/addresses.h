#pragma once

// Where the service manager answers, best first.

#include <vector>

#include "host/systemd/bus.h"

namespace fleet::host {

// The system's manager, or with `user` the one of the user this process runs as. The private socket
// first, where it may be used (root, or the user's own), unless `message_bus` rules it out.
std::vector<BusAddress> ManagerAddresses(bool user, bool message_bus);

// $XDG_RUNTIME_DIR, or where it is by convention (pam_systemd(8)).
std::string UserRuntimeDirectory();

}  // namespace fleet::host
