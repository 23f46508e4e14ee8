#pragma once

// Under which id this machine's updater asks FleetLock.

#include <string>

namespace fleet::host {

// The id that Zincati derives from the machine's own (sd_id128_get_machine_app_specific): 32 hex
// digits. Empty if `machine_id` is not that of the machine this runs on, or there is none.
std::string LockIdOf(const std::string& machine_id);

}  // namespace fleet::host
