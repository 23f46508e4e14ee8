#pragma once

// What `plan` and `rebalance --dry-run` have in common: how a plan is printed, and what they exit
// with.

#include <vector>

#include "absl/status/status.h"
#include "client/planning.h"
#include "fleetctl/flags.h"
#include "fleetctl/session.h"

namespace fleet::fleetctl {

// --full, --no-legend, --output.
std::vector<FlagSpec> PlanTableFlags();

// Prints the changes on stdout, and how many there are of each kind on stderr. The exit code: 0
// nothing would change, 1 something would.
int PrintPlan(Session& session, const client::Plan& plan);

// Prints an error on stderr. Its exit code, which is never 1: kPlanFailed for any that would be.
int FailPlan(const Session& session, const absl::Status& status);

// --max-moves, if it is given. UsageError unless it is a number that is not negative.
FlagSpec MaxMovesFlag();
absl::StatusOr<std::optional<int64_t>> MaxMovesFrom(const Flags& flags);

}  // namespace fleet::fleetctl
