#pragma once

// What the handlers share, and the handlers themselves. Internal to api/.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/api.h"
#include "api/assignment_counts.h"
#include "api/event_feed.h"
#include "api/http.h"
#include "api/planning.h"
#include "api/request_metrics.h"
#include "api/revision_waiters.h"
#include "api/router.h"
#include "api/view_metrics.h"
#include "api/watch_hub.h"
#include "nlohmann/json_fwd.hpp"
#include "registry/unit_changes.h"

namespace fleet::api {

inline constexpr std::string_view kUnreachable = "fleet server unable to communicate with etcd";

struct ApiState {
  explicit ApiState(ApiContext its_context)
      : context(std::move(its_context)),
        changer(context.store, context.keys),
        waiters(context.executor),
        planning(context.executor),
        hub(context.executor, &counts, context.watch),
        feed(context.executor, context.store, context.keys, context.watch.streams) {
    if (context.metrics != nullptr) request_metrics.emplace(*context.metrics);
  }

  ApiContext context;
  ClusterViewPtr view;  // null: never joined
  absl::Status health;  // of the registry, as this machine hears of it
  absl::Time unhealthy_since;
  absl::Time last_change;  // when the view was last stepped on, by the wall clock
  AssignmentCounts counts;
  ViewMetrics view_metrics;
  std::optional<RequestMetrics> request_metrics;  // if somebody counts
  registry::UnitChanger changer;
  RevisionWaiters waiters;
  Planning planning;
  WatchHub hub;
  EventFeed feed;
  Router router;
  std::string discovery;
  std::string openapi;  // empty: not asked for yet
};

// Since when and why the registry is not heard from; empty if it is.
std::string StaleText(const ApiState& state);

// 503 with the cause.
Response NotJoined(const ApiState& state);

// An error of the store or of unit_changes as the API words it.
Response WriteErrorResponse(const absl::Status& status);

// Runs `answer` when the view has reached `revision`; or responds 504 when that takes too long.
void WhenSeen(ApiState& state, int64_t revision, Responder respond,
              absl::AnyInvocable<Response()> answer);

// The same for an answer that takes more requests of the registry.
void WhenSeen(ApiState& state, int64_t revision, Responder respond,
              absl::AnyInvocable<void(Responder)> answer);

// Commits one write whose compares are what it was decided on; once the view shows it, or at once
// if it only compares, `answer`, by default 204. `changed` says what has come in between if they do
// not hold.
void CommitAsDecided(
    ApiState& state, store::Txn txn, std::string changed, Responder respond,
    absl::AnyInvocable<Response()> answer = [] { return JsonResponse(204, ""); });

// Each adds its routes. Routes that need a view are given to AddWithView.
void AddUnitRoutes(ApiState& state);
void AddStateRoutes(ApiState& state);
void AddMachineRoutes(ApiState& state);
void AddBatchRoutes(ApiState& state);
void AddBackupRoutes(ApiState& state);
void AddPlanningRoutes(ApiState& state);
void AddOperatorRoutes(ApiState& state);
void AddScaleRoutes(ApiState& state);
void AddRolloutRoutes(ApiState& state);
void AddDrainRoutes(ApiState& state);
void AddFeatureRoutes(ApiState& state);
void AddFleetLockRoutes(ApiState& state);
void AddEventRoutes(ApiState& state);
void AddJournalRoutes(ApiState& state);
void AddWatchRoutes(ApiState& state);
void AddHealthRoutes(ApiState& state);
void AddMetricsRoutes(ApiState& state);
void AddOpenApiRoutes(ApiState& state);
void AddDiscoveryRoutes(ApiState& state);  // the last: it describes the others

// The schemas of all entities, by name, as the discovery document has them: JSON.
std::string_view DiscoverySchemas();

// Adds a route whose handler is called only when there is a view; 503 before.
void AddWithView(ApiState& state, Route route);

// A unit change from its JSON: desiredState, content or options, replace, restart, stop, destroy,
// force, name. Member names match in any case, null is as good as absent. INVALID_ARGUMENT
// otherwise.
absl::StatusOr<registry::UnitChange> ReadUnitChange(const nlohmann::json& json);

}  // namespace fleet::api
