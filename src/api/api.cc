#include "api/api.h"

#include <utility>

#include "api/api_state.h"
#include "api/body_members.h"
#include "api/conditional.h"
#include "api/json_reader.h"
#include "base/log.h"
#include "fmt/core.h"

namespace fleet::api {

Api::Api(ApiContext context) : state_(std::make_unique<ApiState>(std::move(context))) {
  AddUnitRoutes(*state_);
  AddStateRoutes(*state_);
  AddMachineRoutes(*state_);
  AddBatchRoutes(*state_);
  AddBackupRoutes(*state_);
  AddPlanningRoutes(*state_);
  AddOperatorRoutes(*state_);
  AddScaleRoutes(*state_);
  AddRolloutRoutes(*state_);
  AddDrainRoutes(*state_);
  AddFeatureRoutes(*state_);
  AddFleetLockRoutes(*state_);
  AddEventRoutes(*state_);
  AddJournalRoutes(*state_);
  AddWatchRoutes(*state_);
  AddHealthRoutes(*state_);
  AddMetricsRoutes(*state_);
  AddOpenApiRoutes(*state_);
  AddDiscoveryRoutes(*state_);
}

Api::~Api() = default;

void Api::OnViewChange(const ViewChange& change) {
  const ClusterViewPtr before = std::exchange(state_->view, change.view);
  state_->last_change = state_->context.executor->WallNow();
  state_->counts.Update(before.get(), change);
  if (state_->request_metrics) state_->view_metrics.Update(before.get(), change);
  state_->hub.OnViewChange(change);
  state_->waiters.Reached(change.view->revision);
}

void Api::OnRegistryHealth(const absl::Status& health) {
  if (state_->health.ok() && !health.ok())
    state_->unhealthy_since = state_->context.executor->Now();
  state_->health = health;
}

void Api::Handle(Request request, Responder respond) {
  if (request.method != "GET") log::Debug("API: {} {}", request.method, request.target);
  if (state_->request_metrics) {
    respond =
        state_->request_metrics->Metered(request.method, state_->router.PatternOf(request.target),
                                         state_->context.executor, std::move(respond));
  }
  if (request.method == "GET" && request.if_none_match) {
    respond = WithNotModified(*request.if_none_match, std::move(respond));
  }
  state_->router.Dispatch(std::move(request), std::move(respond));
}

void Api::OnRefused(std::string_view method, std::string_view target, int code) {
  if (state_->request_metrics) {
    state_->request_metrics->Count(method, state_->router.PatternOf(target), code);
  }
}

std::vector<std::pair<std::string, std::string>> Api::Methods() const {
  std::vector<std::pair<std::string, std::string>> methods;
  for (const Route& route : state_->router.routes())
    methods.emplace_back(route.method, route.pattern);
  return methods;
}

size_t Api::MaxBody(std::string_view method, std::string_view target) const {
  return state_->router.MaxBody(method, target);
}

std::string StaleText(const ApiState& state) {
  if (state.health.ok()) return {};
  const absl::Duration since = state.context.executor->Now() - state.unhealthy_since;
  return fmt::format(
      "the registry has not been heard from for {}s, and what is shown may be old: {}",
      absl::ToInt64Seconds(since), std::string(state.health.message()));
}

namespace {

// RFC 9110, 5.6.4; a line break would end the header.
std::string QuotedString(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return quoted + "\"";
}

// With the Warning of RFC 7234, 5.5, that the answer may be stale.
Responder WithWarning(std::string text, Responder respond) {
  return [text = std::move(text), respond = std::move(respond)](Response response) mutable {
    response.headers.emplace_back("Warning", fmt::format("110 fleetd {}", QuotedString(text)));
    respond(std::move(response));
  };
}

}  // namespace

Response NotJoined(const ApiState& state) {
  std::string cause;
  if (state.context.unavailable_cause) cause = state.context.unavailable_cause();
  return ErrorResponse(
      503, cause.empty() ? std::string(kUnreachable) : fmt::format("{}: {}", kUnreachable, cause));
}

Response WriteErrorResponse(const absl::Status& status) {
  if (absl::IsUnavailable(status)) {
    return ErrorResponse(503, fmt::format("{}: {}", kUnreachable, std::string(status.message())));
  }
  return ErrorResponse(status);
}

void WhenSeen(ApiState& state, int64_t revision, Responder respond,
              absl::AnyInvocable<Response()> answer) {
  WhenSeen(state, revision, std::move(respond),
           [answer = std::move(answer)](Responder its) mutable { its(answer()); });
}

void WhenSeen(ApiState& state, int64_t revision, Responder respond,
              absl::AnyInvocable<void(Responder)> answer) {
  state.waiters.Wait(
      revision, state.context.view_timeout,
      [revision, respond = std::move(respond), answer = std::move(answer)](bool reached) mutable {
        if (reached) return answer(std::move(respond));
        respond(ErrorResponse(
            504, fmt::format("the change is stored (revision {}), but this machine has not been "
                             "told of it in time; what it answers to reads may be older",
                             revision)));
      });
}

void CommitAsDecided(ApiState& state, store::Txn txn, std::string changed, Responder respond,
                     absl::AnyInvocable<Response()> answer) {
  const bool writes = !txn.ops.empty();
  state.context.store->Commit(
      std::move(txn),
      [&state, writes, changed = std::move(changed), respond = std::move(respond),
       answer = std::move(answer)](absl::StatusOr<store::TxnResult> result) mutable {
        if (!result.ok()) {
          respond(WriteErrorResponse(result.status()));
        } else if (!result->succeeded) {
          respond(ErrorResponse(409, changed + "; look, and try again"));
        } else if (!writes) {
          respond(answer());
        } else {
          WhenSeen(state, result->revision, std::move(respond), std::move(answer));
        }
      });
}

namespace {

// A body that is no JSON is left to its handler.
absl::Status CheckBody(const Request& request, const std::string& schema) {
  if (schema.empty() || request.body.empty()) return absl::OkStatus();
  const auto body = ParseJson(request.body, schema);
  return body.ok() ? CheckMembers(*body, schema) : absl::OkStatus();
}

}  // namespace

void AddWithView(ApiState& state, Route route) {
  route.handler = [&state, handler = std::move(route.handler),
                   schema = route.any_member ? "" : route.request_schema](Request request,
                                                                          Responder respond) {
    if (!state.view) {
      respond(NotJoined(state));
      return;
    }
    if (const absl::Status status = CheckBody(request, schema); !status.ok()) {
      respond(ErrorResponse(status));
      return;
    }
    std::string stale = StaleText(state);
    handler(std::move(request),
            stale.empty() ? std::move(respond) : WithWarning(std::move(stale), std::move(respond)));
  };
  state.router.Add(std::move(route));
}

}  // namespace fleet::api
