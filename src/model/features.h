#pragma once

// What a unit's record asks of those who act on it, beyond what the first version understood: the
// names that UnitRecord::features and MachineRecord::features hold. A version that does not know
// one leaves the unit as it is.

#include <string>
#include <vector>

#include "model/requirements.h"

namespace fleet {

// Those that this version knows; sorted.
const std::vector<std::string>& KnownFeatures();

// Those that a unit with these requirements needs; sorted.
std::vector<std::string> FeaturesOf(const Requirements& requirements);

// The first of `features` that this version does not know; empty if it knows all.
std::string UnknownFeature(const std::vector<std::string>& features);

}  // namespace fleet
