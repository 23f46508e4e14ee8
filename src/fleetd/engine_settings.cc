#include "fleetd/engine_settings.h"

namespace fleet::fleetd {

reconcile::EngineSettings EngineSettingsOf(const Config& config) {
  reconcile::EngineSettings settings;
  settings.ttl = config.agent_ttl;
  settings.placement = config.placement == Placement::kPack ? scheduler::Placement::kPack
                                                            : scheduler::Placement::kSpread;
  settings.disruption_budget = {.amount = config.disruption_budget.amount,
                                .percent = config.disruption_budget.percent};
  settings.rebalances = config.rebalance == Rebalance::kAuto;
  return settings;
}

}  // namespace fleet::fleetd
