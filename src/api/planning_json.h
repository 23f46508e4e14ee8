#pragma once

// Explanations and plans as JSON, and requests for plans from it (docs/api.md, "Explanations and
// plans"). Pure.

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "api/json_writer.h"
#include "model/cluster_view.h"
#include "reconcile/planner.h"

namespace fleet::api {

// `verdicts`: with one on each machine.
std::string ExplanationJson(const reconcile::UnitExplanation& explanation, bool verdicts);

std::string PlanJson(int64_t revision, const std::vector<reconcile::PlannedChange>& changes,
                     const std::vector<std::string>& skipped);

// INVALID_ARGUMENT for what cannot be read, lacks what its verb needs, or could not be submitted;
// NOT_FOUND for a machine that is not there. The machine may be given by the beginning of its id,
// or its host name.
absl::StatusOr<reconcile::PlanRequest> ReadPlanRequest(const std::string& body,
                                                       const ClusterView& view);

// The body of POST /rebalance, which may be empty: how many moves there may be.
absl::StatusOr<std::optional<size_t>> ReadMaxMoves(const std::string& body);

}  // namespace fleet::api
