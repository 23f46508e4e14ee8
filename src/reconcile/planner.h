#pragma once

// What would happen, before it happens, and why things are as they are: the engine's own code on a
// copy of the view, with agents that do at once what they are told. Pure.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/cluster_view.h"
#include "model/unit_file.h"
#include "reconcile/engine_settings.h"
#include "scheduler/scheduler.h"

namespace fleet::reconcile {

// A unit that a plan starts or stores.
struct PlannedUnit {
  std::string name;
  std::shared_ptr<const UnitFile> file;  // null: the registered text, or its template's
};

struct PlanRequest {
  enum class Verb {
    kStart,      // `units` are launched, with these texts
    kDestroy,    // `units` are destroyed
    kDrain,      // everything moves off `machine`, which gets nothing new
    kScale,      // instances 1..count of the template `units[0]` run, higher numbers do not
                 // (`resets`: as many as its text says, if it does)
    kRebalance,  // running units even out, in at most `max_moves` moves
    kLose,       // `machine` fails
    kAdd,        // `count` new machines like `machine` join
  };
  Verb verb = Verb::kStart;
  std::vector<PlannedUnit> units;
  std::string machine;  // whole id
  size_t count = 1;
  bool resets = false;
  std::optional<size_t> max_moves;
};

struct PlannedChange {
  enum class Kind {
    kPlace,  // it starts on `machine`
    kMove,   // off `from`, to `machine`
    kStop,   // it ends on `from`
    kWait,   // it is wanted and will be nowhere
    kStay,   // it cannot leave `from`, which is drained
  };
  Kind kind = Kind::kPlace;
  std::string unit;
  std::string from;
  std::string machine;
  std::string reason;
  bool operator==(const PlannedChange&) const = default;
};

struct Plan {
  int64_t revision = 0;                // of the view it was made from
  std::vector<PlannedChange> changes;  // sorted by unit, then machine
};

// What the request would change, against what the cluster comes to without it. NOT_FOUND for units,
// templates and machines that are not there; INVALID_ARGUMENT for a request that cannot be.
absl::StatusOr<Plan> MakePlan(const ClusterViewPtr& view, const EngineSettings& settings,
                              const PlanRequest& request);

// A running unit that would be better on another machine.
struct RebalanceMove {
  std::string unit;
  std::string from;
  std::string to;
  std::string reason;
  int64_t mod_revision = 0;  // of the unit's record
  bool operator==(const RebalanceMove&) const = default;
};

// The fewest moves that even out, on top of those that are under way: what to write as `move_to`.
// Empty if nothing would be gained.
absl::StatusOr<std::vector<RebalanceMove>> PlanRebalance(const ClusterViewPtr& view,
                                                         const EngineSettings& settings,
                                                         size_t max_moves);

// A unit that is still on a machine that is emptied.
struct HeldUnit {
  std::string unit;
  std::string reason;        // what it waits for, or why it cannot leave
  bool cannot_move = false;  // nothing that goes on by itself will let it leave
  bool operator==(const HeldUnit&) const = default;
};

// Units that are assigned to a machine and have not ended there, or run there without being
// assigned; sorted.
std::vector<std::string> UnitsLeftOn(const ClusterView& view, const std::string& machine);

// What is left on a machine, in the order of names.
std::vector<HeldUnit> ExplainDrain(const ClusterViewPtr& view, const EngineSettings& settings,
                                   const std::string& machine);

// Why a unit is where it is, or nowhere.
struct UnitExplanation {
  enum class State {
    kNotWanted,  // its desired state is inactive, or it is a template
    kPlaced,     // on `machines`; `reason` says whether it would be chosen again
    kMoving,     // between machines; `reason` says what it waits for
    kWaiting,    // `explanation` says why
    kGlobal,     // on `machines`; `verdicts` has those where it is not
  };
  int64_t revision = 0;
  std::string unit;
  State state = State::kWaiting;
  std::vector<std::string> machines;  // where it is
  std::string reason;                 // one line
  scheduler::Explanation explanation;
  std::vector<scheduler::Verdict> verdicts;  // each present machine, in the order of ids
  std::vector<std::string> together;  // units that share its machine (MachineOf), with itself;
                                      // empty if there are none
};

// NOT_FOUND if there is no such unit.
absl::StatusOr<UnitExplanation> ExplainUnit(const ClusterViewPtr& view,
                                            const EngineSettings& settings,
                                            const std::string& unit);

}  // namespace fleet::reconcile
