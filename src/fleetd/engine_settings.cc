#include "fleetd/engine_settings.h"

namespace fleet::fleetd {

namespace {

// A leader of etcd that hangs may end leases that were kept; their machines join again at once.
constexpr absl::Duration kLossGrace = absl::Milliseconds(500);

}  // namespace

reconcile::EngineSettings EngineSettingsOf(const Config& config) {
  reconcile::EngineSettings settings;
  settings.ttl = config.agent_ttl;
  settings.loss_grace = kLossGrace;
  settings.mass_loss_hold = config.mass_loss_hold;
  settings.isolation_stop_timeout = config.isolation_stop_timeout;
  settings.placement = config.placement == Placement::kPack ? scheduler::Placement::kPack
                                                            : scheduler::Placement::kSpread;
  settings.disruption_budget = config.disruption_budget;
  settings.reboot_slots = static_cast<size_t>(config.reboot_slots);
  settings.rebalances = config.rebalance == Rebalance::kAuto;
  return settings;
}

}  // namespace fleet::fleetd
