#pragma once

// What update, restart and rollout have in common: a rollout that is begun, and followed to its
// end. The engine carries it out, so that it goes on when the command ends early.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/api_client.h"
#include "fleetctl/session.h"
#include "fleetctl/wait.h"

namespace fleet::fleetctl {

// --max-unavailable, --supersede; and those that say what becomes of it when a unit fails.
std::vector<FlagSpec> RollingFlags();
std::vector<FlagSpec> FailureFlags();

// The request that the flags of RollingFlags() describe. UsageError.
absl::StatusOr<client::RolloutRequest> RolloutRequestFrom(const Flags& flags);

// Begins it, of several units as one, and, unless --no-block, waits for its end, with how far
// it is on a terminal; the exit code. `verb` is for the line of --no-block.
absl::StatusOr<int> CarryRollout(Session& session, const std::string& verb,
                                 const std::vector<client::RolledUnit>& units,
                                 client::RolloutRequest request, const WaitLimits& limits);

// What a rollout is of: its name, or those of several.
std::string NamesOf(const client::Rollout& rollout);

}  // namespace fleet::fleetctl
