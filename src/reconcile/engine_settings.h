#pragma once

// What the configuration tells the engine's decisions.

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "scheduler/scheduler.h"

namespace fleet::reconcile {

// How many machines voluntary moves may empty at once: a number, or a part of those there are.
struct DisruptionBudget {
  int64_t amount = 1;
  bool percent = false;
  // At least one.
  size_t Of(size_t machines) const;
};

struct EngineSettings {
  // A machine that this engine has never seen counts as lost only once this time has passed since
  // it began to lead.
  absl::Duration ttl = absl::Seconds(10);
  scheduler::Placement placement = scheduler::Placement::kSpread;
  DisruptionBudget disruption_budget;
  // Whether running units are moved without being asked to, once a machine that has come (back) has
  // been there for `rebalance_after`.
  bool rebalances = false;
  absl::Duration rebalance_after = absl::Minutes(5);
};

}  // namespace fleet::reconcile
