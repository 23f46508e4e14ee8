#include "api/api.h"

#include <utility>

#include "api/api_state.h"
#include "fmt/core.h"

namespace fleet::api {

Api::Api(ApiContext context) : state_(std::make_unique<ApiState>(std::move(context))) {
  AddUnitRoutes(*state_);
  AddStateRoutes(*state_);
  AddMachineRoutes(*state_);
  AddBatchRoutes(*state_);
  AddBackupRoutes(*state_);
  AddWatchRoutes(*state_);
  AddHealthRoutes(*state_);
  AddDiscoveryRoutes(*state_);
}

Api::~Api() = default;

void Api::OnViewChange(const ViewChange& change) {
  const ClusterViewPtr before = std::exchange(state_->view, change.view);
  state_->counts.Update(before.get(), change);
  state_->hub.OnViewChange(change);
  state_->waiters.Reached(change.view->revision);
}

void Api::Handle(Request request, Responder respond) {
  state_->router.Dispatch(std::move(request), std::move(respond));
}

size_t Api::MaxBody(std::string_view method, std::string_view target) const {
  return state_->router.MaxBody(method, target);
}

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
  state.waiters.Wait(
      revision, state.context.view_timeout,
      [revision, respond = std::move(respond), answer = std::move(answer)](bool reached) mutable {
        if (reached) {
          respond(answer());
          return;
        }
        respond(ErrorResponse(
            504, fmt::format("the change is stored (revision {}), but this machine has not been "
                             "told of it in time; what it answers to reads may be older",
                             revision)));
      });
}

void AddWithView(ApiState& state, Route route) {
  route.handler = [&state, handler = std::move(route.handler)](Request request, Responder respond) {
    if (!state.view) {
      respond(NotJoined(state));
      return;
    }
    handler(std::move(request), std::move(respond));
  };
  state.router.Add(std::move(route));
}

}  // namespace fleet::api
