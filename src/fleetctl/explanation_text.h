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

}  // namespace fleet::fleetctl
