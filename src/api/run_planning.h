#pragma once

// Answers that are computed by Planning. Internal to api/.

#include <memory>
#include <utility>

#include "api/api_state.h"
#include "fmt/core.h"

namespace fleet::api {

// Runs `work` in the thread that plans, and `answer` with its result here.
template <typename Result>
void RunPlanning(ApiState& state, absl::AnyInvocable<absl::StatusOr<Result>()> work,
                 Responder respond,
                 absl::AnyInvocable<void(Result result, Responder respond)> answer) {
  // Shared, because it is needed here if the work is refused.
  auto responder = std::make_shared<Responder>(std::move(respond));
  const bool runs = state.planning.Run<absl::StatusOr<Result>>(
      std::move(work),
      [responder, answer = std::move(answer)](absl::StatusOr<Result> result) mutable {
        if (result.ok()) {
          answer(*std::move(result), std::move(*responder));
        } else {
          (*responder)(ErrorResponse(result.status()));
        }
      });
  if (runs) return;
  (*responder)(ErrorResponse(
      503, fmt::format("{} explanations and plans wait to be made already; try again later",
                       Planning::kMaxWaiting)));
}

}  // namespace fleet::api
