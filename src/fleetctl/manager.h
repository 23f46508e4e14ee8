#pragma once

// Which systemd runs a machine's units, and the shell command lines that ask it: the system's, or
// with fleetd's systemd_user=true that of the user fleetd runs as.

#include <string>

#include "fleetctl/session.h"

namespace fleet::fleetctl {

struct Manager {
  std::string user;  // empty: the system's
  bool own = false;  // who runs the command line there is that user
};

// As the API says; the system's if that cannot be asked.
Manager ManagerOf(Session& session, const std::string& machine_id);

// `systemctl status -l` of a unit.
std::string StatusLine(const Manager& manager, const std::string& unit);

// `journalctl` of a unit, to which options can be added. `sudo`: as root.
std::string JournalLine(const Manager& manager, const std::string& unit, bool sudo);

}  // namespace fleet::fleetctl
