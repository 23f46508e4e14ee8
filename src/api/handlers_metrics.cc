// GET /metrics and /sd/prometheus, for Prometheus.

#include <map>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "api/api_state.h"
#include "api/entities.h"
#include "api/json_writer.h"
#include "base/process_metrics.h"
#include "fmt/core.h"

namespace fleet::api {
namespace {

using metrics::Type;

void WriteMirror(metrics::TextWriter& text, const ApiState& state) {
  const auto write = [&text](std::string_view name, std::string_view help, double value) {
    text.Head(name, help, Type::kGauge);
    text.Sample(name, {}, value);
  };
  const bool is_connected = state.view != nullptr && state.health.ok();
  write("fleet_mirror_connected",
        "1 while this machine is told of the registry's changes as they happen, else 0.",
        is_connected ? 1 : 0);
  if (state.view == nullptr) return;
  const absl::Duration lag = state.health.ok()
                                 ? absl::ZeroDuration()
                                 : state.context.executor->Now() - state.unhealthy_since;
  write("fleet_mirror_lag_seconds",
        "How old this machine's view of the cluster may be: 0 while it is told of changes, else "
        "the time since the registry was last heard from.",
        absl::ToDoubleSeconds(lag));
  write("fleet_mirror_last_change_timestamp_seconds",
        "When the registry last told this machine anything, in Unix seconds.",
        absl::ToDoubleSeconds(state.last_change - absl::UnixEpoch()));
}

Response Metrics(const ApiState& state) {
  metrics::TextWriter text;
  text.Head("fleet_build_info", "1; which fleetd this is.", Type::kGauge);
  text.Sample("fleet_build_info", {{"version", state.context.version}}, 1.0);
  state.context.metrics->WriteTo(text);
  WriteMirror(text, state);
  if (state.view != nullptr) {
    state.view_metrics.WriteTo(text, *state.view, state.counts);
    text.Head("fleet_machine_units",
              "Units that are assigned to this machine, or still stopping on it.", Type::kGauge);
    text.Sample("fleet_machine_units", {},
                static_cast<double>(state.counts.Of(state.context.machine_id)));
  }
  text.Head("fleet_api_watch_clients", "Clients that follow this machine's /watch.", Type::kGauge);
  text.Sample("fleet_api_watch_clients", {}, static_cast<double>(state.hub.clients()));
  metrics::WriteProcess(text);
  Response response = JsonResponse(200, text.Take());
  response.content_type = metrics::kTextContentType;
  return response;
}

// A label's name has no other characters than these.
std::string LabelName(std::string_view text) {
  std::string name(text);
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

// https://prometheus.io/docs/prometheus/latest/http_sd/: one target for each machine whose API can
// be reached over the network.
Response Targets(const ClusterView& view, const AssignmentCounts& counts) {
  JsonWriter json;
  json.BeginArray();
  for (const auto& [id, machine] : view.machines) {
    const MachineRecord& record = machine.value;
    if (record.api_endpoints.empty()) continue;
    const std::string& endpoint = record.api_endpoints[0];
    const size_t scheme_end = endpoint.find("://");
    if (scheme_end == std::string::npos) continue;
    const Stored<MachineSettings>* settings = view.settings.Find(id);
    // The first one, if two keys give one label.
    std::map<std::string, std::string> labels;
    for (const auto& [key, value] :
         EffectiveMetadata(record, settings ? &settings->value : nullptr)) {
      labels.emplace("__meta_fleet_metadata_" + LabelName(key), value);
    }
    json.BeginObject().Key("targets").BeginArray();
    json.String(endpoint.substr(scheme_end + 3)).EndArray();
    json.Key("labels").BeginObject();
    json.Always("__scheme__", endpoint.substr(0, scheme_end));
    json.Always("__meta_fleet_machine_id", id);
    json.Always("__meta_fleet_hostname", record.hostname);
    json.Always("__meta_fleet_address", record.address);
    json.Always("__meta_fleet_version", record.version);
    json.Always("__meta_fleet_state", StateOf(record, settings, counts.Of(id)));
    for (const auto& [name, value] : labels) json.Always(name, value);
    json.EndObject().EndObject();
  }
  json.EndArray();
  return JsonResponse(200, json.Take());
}

}  // namespace

void AddMetricsRoutes(ApiState& state) {
  if (state.context.metrics != nullptr) {
    state.router.Add(
        {.method = "GET",
         .pattern = "/metrics",
         .description = "What this fleetd counts and measures, for Prometheus.",
         .response_type = "text/plain",
         .handler = [&state](const Request&, Responder respond) { respond(Metrics(state)); }});
  }
  AddWithView(state, {.method = "GET",
                      .pattern = "/sd/prometheus",
                      .description = "The Machines, as targets for Prometheus's http_sd.",
                      .handler = [&state](const Request&, Responder respond) {
                        respond(Targets(*state.view, state.counts));
                      }});
}

}  // namespace fleet::api
