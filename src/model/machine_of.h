#pragma once

// MachineOf makes units follow others; a circle of them could never be placed. Pure.

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace fleet {

// Whether `unit` may say MachineOf=`machine_of`. `others` gives the MachineOf names of another
// unit, empty if it has none or does not exist. INVALID_ARGUMENT if following them leads back to a
// unit on the way, with the circle: "a.service -> b.service -> a.service". Calls `others` once for
// each unit that can be reached.
absl::Status CheckMachineOfCycle(
    const std::string& unit, const std::vector<std::string>& machine_of,
    absl::FunctionRef<std::vector<std::string>(const std::string&)> others);

}  // namespace fleet
