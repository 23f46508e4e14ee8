#pragma once

// What the configuration tells the engine's decisions.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/budget.h"
#include "model/features.h"
#include "scheduler/scheduler.h"

namespace fleet::reconcile {

struct EngineSettings {
  // A machine that this engine has never seen counts as lost only once this time has passed since
  // it began to lead.
  absl::Duration ttl = absl::Seconds(10);
  // How long a machine may be absent before it counts as lost: one whose lease the registry ended
  // by mistake joins again within it.
  absl::Duration loss_grace;
  // How long no unit is moved off missing machines when many go at once; zero: they are.
  absl::Duration mass_loss_hold;
  // How long a machine may take to stop its units with OnIsolation=stop once its TTL has passed.
  absl::Duration isolation_stop_timeout = absl::Seconds(5);
  scheduler::Placement placement = scheduler::Placement::kSpread;
  Budget disruption_budget;  // how many machines voluntary moves may empty at once
  size_t reboot_slots = 1;   // how many machines of a FleetLock group may reboot at once
  // Whether running units are moved without being asked to, once a machine that has come (back) has
  // been there for `rebalance_after`.
  bool rebalances = false;
  absl::Duration rebalance_after = absl::Minutes(5);
  // The record features that this version knows (model/features.h).
  std::vector<std::string> features = KnownFeatures();
};

}  // namespace fleet::reconcile
