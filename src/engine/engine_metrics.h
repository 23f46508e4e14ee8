#pragma once

// What the engine counts for /metrics. Written in the engine loop.

#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/metrics.h"
#include "reconcile/decision.h"

namespace fleet::engine {

class EngineMetrics {
 public:
  explicit EngineMetrics(metrics::Registry& registry);

  void SetLeads(bool leads) { leads_.Set(leads ? 1 : 0); }
  void OnPass(absl::Duration took, size_t units_in_flight, size_t units_waiting,
              size_t units_stuck);
  // A transaction of these decisions was answered. result: committed, conflict, failed or unknown.
  void OnAnswered(const std::vector<reconcile::Decision>& decisions, std::string_view result);
  // These were recorded without a decision.
  void OnRecorded(const std::vector<EventEntry>& events);

 private:
  void Count(const EventEntry& event, bool has_target);

  metrics::Gauge& leads_;
  metrics::Histogram& passes_;
  metrics::Gauge& units_in_flight_;
  metrics::Gauge& units_waiting_;
  metrics::Gauge& units_stuck_;
  metrics::Family<metrics::Counter>& decisions_;   // result
  metrics::Family<metrics::Counter>& events_;      // kind
  metrics::Family<metrics::Counter>& placements_;  // reason, and so the next two
  metrics::Family<metrics::Counter>& moves_;
  metrics::Family<metrics::Counter>& stops_;
};

}  // namespace fleet::engine
