#pragma once

// What keeps a machine from doing what it is asked to with a unit, such as a disk that has no room
// for a new text. The machine goes on with what it has, tries again, and says so in its report.

#include <string>

#include "model/cluster_view.h"
#include "model/records.h"

namespace fleet {

// Of a report that has not got to what is asked: its result is then the agent's, about that. Empty
// if nothing hinders it, or it has not said so. REQUIRES: both are of the same uid.
std::string HindranceOf(const StateReport& report, const Assignment& asked);

// The same of what there is of the unit on the machine.
std::string HindranceOn(const ClusterView& view, const std::string& unit,
                        const std::string& machine);

}  // namespace fleet
