#pragma once

// What the configuration means for the engine's decisions. Pure.

#include "fleetd/config.h"
#include "reconcile/engine_settings.h"

namespace fleet::fleetd {

reconcile::EngineSettings EngineSettingsOf(const Config& config);

}  // namespace fleet::fleetd
