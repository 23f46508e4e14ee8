// GET /units/NAME/explain, POST /plan, POST /rebalance: computed by Planning, on the view that is
// there when the request comes.

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "api/api_state.h"
#include "api/planning.h"
#include "api/planning_json.h"
#include "api/run_planning.h"
#include "fmt/core.h"
#include "registry/unit_moves.h"

namespace fleet::api {
namespace {

using reconcile::Plan;
using reconcile::PlannedChange;
using reconcile::RebalanceMove;
using reconcile::UnitExplanation;

constexpr size_t kMaxBody = 64 << 20;  // as a batch has

void Explain(ApiState& state, const Request& request, Responder respond) {
  const std::string& unit = request.path_parameter;
  if (!state.view->units.Find(unit)) {
    respond(ErrorResponse(404, fmt::format("unit {} does not exist", unit)));
    return;
  }
  RunPlanning<UnitExplanation>(
      state,
      [explain = state.context.planner.explain, view = state.view,
       settings = state.context.settings, unit] { return explain(view, settings, unit); },
      std::move(respond),
      [verdicts = request.query.IsTrue("machines")](const UnitExplanation& explanation,
                                                    Responder answer) {
        answer(JsonResponse(200, ExplanationJson(explanation, verdicts)));
      });
}

void PostPlan(ApiState& state, const Request& request, Responder respond) {
  auto read = ReadPlanRequest(request.body, *state.view);
  if (!read.ok()) {
    respond(ErrorResponse(read.status()));
    return;
  }
  RunPlanning<Plan>(
      state,
      [plan = state.context.planner.plan, view = state.view, settings = state.context.settings,
       plan_request = *std::move(read)] { return plan(view, settings, plan_request); },
      std::move(respond),
      [](const Plan& plan, Responder answer) {
        answer(JsonResponse(200, PlanJson(plan.revision, plan.changes, {})));
      });
}

// What was written is a plan like others. A move that conflicted is not among its changes.
Response RebalanceAnswer(const std::vector<RebalanceMove>& moves,
                         const registry::UnitMovesResult& result, int64_t revision) {
  std::vector<PlannedChange> changes;
  for (const RebalanceMove& move : moves) {
    if (std::binary_search(result.skipped.begin(), result.skipped.end(), move.unit)) continue;
    changes.push_back({.kind = PlannedChange::Kind::kMove,
                       .unit = move.unit,
                       .from = move.from,
                       .machine = move.to,
                       .reason = move.reason});
  }
  return JsonResponse(200, PlanJson(revision, changes, result.skipped));
}

// An error of the registry, where some moves may have been stored.
absl::Status WriteError(const absl::Status& status) {
  if (!absl::IsDeadlineExceeded(status)) return status;
  return absl::DeadlineExceededError(
      fmt::format("the registry did not answer in time: it is not known which moves are stored; "
                  "look at the units, and try again ({})",
                  std::string(status.message())));
}

void WriteMoves(ApiState& state, const ClusterView& view, std::vector<RebalanceMove> moves,
                Responder respond) {
  std::vector<registry::UnitMove> writes;
  writes.reserve(moves.size());
  for (const RebalanceMove& move : moves) writes.push_back({.unit = move.unit, .machine = move.to});
  registry::WriteUnitMoves(
      state.context.store, state.context.keys, view, writes,
      [&state, planned_at = view.revision, moves = std::move(moves),
       respond = std::move(respond)](registry::UnitMovesResult result) mutable {
        if (!result.status.ok()) {
          respond(WriteErrorResponse(WriteError(result.status)));
          return;
        }
        const int64_t written_at = result.revision;
        WhenSeen(state, written_at, std::move(respond),
                 [moves = std::move(moves), result = std::move(result),
                  revision = std::max(planned_at, written_at)] {
                   return RebalanceAnswer(moves, result, revision);
                 });
      });
}

void PostRebalance(ApiState& state, const Request& request, Responder respond) {
  const auto max_moves = ReadMaxMoves(request.body);
  if (!max_moves.ok()) {
    respond(ErrorResponse(max_moves.status()));
    return;
  }
  RunPlanning<std::vector<RebalanceMove>>(
      state,
      [rebalance = state.context.planner.rebalance, view = state.view,
       settings = state.context.settings,
       max_moves = max_moves->value_or(std::numeric_limits<size_t>::max())] {
        return rebalance(view, settings, max_moves);
      },
      std::move(respond),
      [&state, view = state.view](std::vector<RebalanceMove> moves, Responder answer) {
        WriteMoves(state, *view, std::move(moves), std::move(answer));
      });
}

}  // namespace

void AddPlanningRoutes(ApiState& state) {
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/units/{unitName}/explain",
                      .resource = "Units",
                      .name = "Explain",
                      .description = "Why a Unit is where it is, or nowhere.",
                      .parameters = {"machines"},
                      .response_schema = "Explanation",
                      .handler = [&state](const Request& request, Responder respond) {
                        Explain(state, request, std::move(respond));
                      }});
  AddWithView(state, {.method = "POST",
                      .pattern = "/fleet/v1/plan",
                      .resource = "Plan",
                      .name = "Make",
                      .description = "What a change would come to; nothing is changed.",
                      .request_schema = "PlanRequest",
                      .response_schema = "Plan",
                      .max_body = kMaxBody,
                      .handler = [&state](const Request& request, Responder respond) {
                        PostPlan(state, request, std::move(respond));
                      }});
  AddWithView(state, {.method = "POST",
                      .pattern = "/fleet/v1/rebalance",
                      .resource = "Rebalance",
                      .name = "Apply",
                      .description = "Move running Units so that the load is even.",
                      .request_schema = "RebalanceRequest",
                      .body_optional = true,
                      .response_schema = "Plan",
                      .handler = [&state](const Request& request, Responder respond) {
                        PostRebalance(state, request, std::move(respond));
                      }});
}

}  // namespace fleet::api
