#pragma once

// An explanation as people read it.

#include <string>

#include "client/planning.h"
#include "fleetctl/session.h"

namespace fleet::fleetctl {

// "web.service: not placed: no machine is eligible: …" and, below it, indented: what rules machines
// out and how many, what would help, conflicts and notes; with `each_machine` a line for each one.
std::string ExplanationText(Session& session, const client::UnitExplanation& explanation,
                            bool each_machine);

// Why a unit is not on a machine as it is wanted there: what hinders that, or what somebody else
// has done to it. Empty if it is, or nobody knows.
const std::string& NotAsWanted(const client::UnitOnMachine& there);

// A line for each machine of which that is to be said.
std::string DriftText(Session& session, const client::Unit& unit);

}  // namespace fleet::fleetctl
