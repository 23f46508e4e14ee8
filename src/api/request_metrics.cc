#include "api/request_metrics.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace fleet::api {
namespace {

// Clients must not add labels.
std::string_view KnownMethod(std::string_view method) {
  static constexpr std::array<std::string_view, 6> kKnown = {"GET",   "PUT",    "POST",
                                                             "PATCH", "DELETE", "OPTIONS"};
  const auto* found = std::find(kKnown.begin(), kKnown.end(), method);
  return found == kKnown.end() ? "other" : *found;
}

}  // namespace

RequestMetrics::RequestMetrics(metrics::Registry& registry)
    : requests(registry.Counters({"fleet_api_requests_total",
                                  "Requests to this machine's API that were answered.",
                                  {"method", "route", "code"}})),
      durations(registry.Histograms({"fleet_api_request_duration_seconds",
                                     "Time from a request to the API until its answer (of an event "
                                     "stream, until it begins).",
                                     {"method", "route"}})) {}

void RequestMetrics::Count(std::string_view method, std::string_view route, int code) {
  requests.With({KnownMethod(method), route.empty() ? "none" : route, std::to_string(code)}).Add();
}

Responder RequestMetrics::Metered(std::string_view method, std::string_view route,
                                  const Executor* executor, Responder respond) {
  return [this, executor, method = KnownMethod(method), route = route.empty() ? "none" : route,
          begun = executor->Now(), respond = std::move(respond)](Response response) mutable {
    requests.With({method, route, std::to_string(response.code)}).Add();
    durations.With({method, route}).Observe(absl::ToDoubleSeconds(executor->Now() - begun));
    respond(std::move(response));
  };
}

}  // namespace fleet::api
