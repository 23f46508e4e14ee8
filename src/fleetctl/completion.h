#pragma once

// Scripts that make shells complete fleetctl's command lines, from the table of commands. Names of
// units and machines are asked of the cluster while completing.

#include <string>

namespace fleet::fleetctl {

std::string BashCompletion();
std::string ZshCompletion();
std::string FishCompletion();

}  // namespace fleet::fleetctl
