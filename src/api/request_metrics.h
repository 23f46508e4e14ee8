#pragma once

// What the API counts of its requests, for /metrics.

#include <string_view>

#include "api/http.h"
#include "base/executor.h"
#include "base/metrics.h"

namespace fleet::api {

struct RequestMetrics {
  explicit RequestMetrics(metrics::Registry& registry);

  // `respond`, counted when it is called. `route`: the pattern of the route, "" if there is none;
  // it outlives the result. An event stream is answered when it begins.
  Responder Metered(std::string_view method, std::string_view route, const Executor* executor,
                    Responder respond);

  // One that was answered before it could be measured; `route` is as above.
  void Count(std::string_view method, std::string_view route, int code);

  metrics::Family<metrics::Counter>& requests;     // method, route, code
  metrics::Family<metrics::Histogram>& durations;  // method, route
};

}  // namespace fleet::api
