#include "engine/engine_metrics.h"

#include <algorithm>
#include <variant>

#include "engine/event_reason.h"

namespace fleet::engine {

namespace {

// Whether the decision takes the unit off its machine for another one.
bool HasTarget(const reconcile::Decision& decision, std::string_view unit) {
  return std::any_of(
      decision.writes.begin(), decision.writes.end(), [&](const reconcile::Write& write) {
        const auto* put = std::get_if<reconcile::PutAssignment>(&write);
        return put != nullptr && put->unit == unit && !put->assignment.next_machine.empty();
      });
}

}  // namespace

EngineMetrics::EngineMetrics(metrics::Registry& registry)
    : leads_(registry
                 .Gauges({"fleet_engine_leads", "1 on the machine whose engine leads, else 0.", {}})
                 .With({})),
      passes_(registry
                  .Histograms({"fleet_engine_pass_duration_seconds",
                               "Time the engine took to decide, one observation for each pass.",
                               {}})
                  .With({})),
      units_in_flight_(registry
                           .Gauges({"fleet_engine_units_in_flight",
                                    "Units about which a decision is on its way to the store.",
                                    {}})
                           .With({})),
      units_waiting_(registry
                         .Gauges({"fleet_engine_units_waiting",
                                  "Units that the engine looks at again when something changes.",
                                  {}})
                         .With({})),
      units_stuck_(registry
                       .Gauges({"fleet_engine_units_stuck_in_drain",
                                "Units on machines that are drained for which no other machine is "
                                "eligible.",
                                {}})
                       .With({})),
      decisions_(registry.Counters(
          {"fleet_engine_decisions_total",
           "Decisions by what became of them: committed, conflict (decided again on newer facts), "
           "failed (the store refused them) or unknown (voided, then decided again).",
           {"result"}})),
      events_(registry.Counters(
          {"fleet_engine_events_total", "Events that were recorded, by kind.", {"kind"}})),
      placements_(registry.Counters({"fleet_engine_placements_total",
                                     "Units that were placed on a machine, by reason.",
                                     {"reason"}})),
      moves_(registry.Counters({"fleet_engine_moves_total",
                                "Units that were moved off a machine to another one, by reason.",
                                {"reason"}})),
      stops_(registry.Counters({"fleet_engine_stops_total",
                                "Units that were told to stop on a machine without another one to "
                                "go to, by reason.",
                                {"reason"}})) {
  for (const char* result : {"committed", "conflict", "failed", "unknown"}) {
    decisions_.With({result});
  }
}

void EngineMetrics::OnPass(absl::Duration took, size_t units_in_flight, size_t units_waiting,
                           size_t units_stuck) {
  passes_.Observe(absl::ToDoubleSeconds(took));
  units_in_flight_.Set(static_cast<double>(units_in_flight));
  units_waiting_.Set(static_cast<double>(units_waiting));
  units_stuck_.Set(static_cast<double>(units_stuck));
}

void EngineMetrics::OnAnswered(const std::vector<reconcile::Decision>& decisions,
                               std::string_view result) {
  decisions_.With({result}).Add(decisions.size());
  if (result != "committed") return;
  for (const reconcile::Decision& decision : decisions) {
    for (const EventEntry& event : decision.events) Count(event, HasTarget(decision, event.unit));
  }
}

void EngineMetrics::OnRecorded(const std::vector<EventEntry>& events) {
  for (const EventEntry& event : events) events_.With({event.kind}).Add();
}

void EngineMetrics::Count(const EventEntry& event, bool has_target) {
  events_.With({event.kind}).Add();
  const std::string_view reason = ReasonClass(event.reason);
  // A planned move counts when it begins, one off a machine that is gone when the unit is placed.
  const bool is_move =
      event.kind == "moving" || (event.kind == "preempted" && has_target) ||
      (event.kind == "moved" && (reason == "machine_lost" || reason == "machine_left"));
  if (event.kind == "placed") {
    placements_.With({reason}).Add();
  } else if (is_move) {
    moves_.With({reason}).Add();
  } else if (event.kind == "stopped" || event.kind == "preempted") {
    stops_.With({reason}).Add();
  }
}

}  // namespace fleet::engine
