#pragma once

// Tells the engine to move units that run to other machines (UnitRecord::move_to), as a rebalance
// asks for it.
//
// Each move is guarded by the unit record that it was decided on. Many are written in one
// transaction; one that conflicts is split, and a single move that conflicts is left out: what it
// was decided on is no longer so. Lives in the loop that the store calls back in.

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "model/cluster_view.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::registry {

struct UnitMove {
  std::string unit;
  std::string machine;  // where to
};

struct UnitMovesResult {
  // DEADLINE_EXCEEDED: some may or may not have been stored. Other errors of the store: some were
  // not. The message says how many were.
  absl::Status status;
  std::vector<std::string> skipped;  // others changed them at the same time; sorted
  // A view that has this revision shows the moves.
  int64_t revision = 0;
};

// `view` is what the moves were decided on; a unit that it does not have is skipped. `store`
// outlives the call, and `done` is called once, maybe before this returns. REQUIRES: no unit twice.
void WriteUnitMoves(store::Store* store, const Keys& keys, const ClusterView& view,
                    const std::vector<UnitMove>& moves,
                    absl::AnyInvocable<void(UnitMovesResult)> done);

}  // namespace fleet::registry
