#pragma once

// Help texts, made from the table of commands.

#include <string>

#include "fleetctl/command.h"

namespace fleet::fleetctl {

std::string VersionLine();  // "fleetctl version X\n"
std::string OverallHelp();
std::string CommandHelp(const Command& command);

}  // namespace fleet::fleetctl
