// GET /features: which record features are enabled, and which machines do not know one.

#include <algorithm>

#include "api/api_state.h"
#include "api/json_writer.h"
#include "model/features.h"

namespace fleet::api {
namespace {

Response ListFeatures(const ClusterView& view) {
  // Those that this version knows, and those that a newer one has enabled.
  std::vector<std::string> features = KnownFeatures();
  if (view.features) {
    const std::vector<std::string>& enabled = view.features->value.enabled;
    features.insert(features.end(), enabled.begin(), enabled.end());
  }
  std::sort(features.begin(), features.end());
  features.erase(std::unique(features.begin(), features.end()), features.end());
  JsonWriter json;
  json.BeginObject().Key("features").BeginArray();
  for (const std::string& feature : features) {
    json.BeginObject().Always("name", feature).Key("enabled").Bool(IsEnabled(view, feature));
    json.Key("unknownTo").BeginArray();
    for (const std::string& machine : MachinesWithout(view, feature)) json.String(machine);
    json.EndArray().EndObject();
  }
  json.EndArray().EndObject();
  return JsonResponse(200, json.Take());
}

}  // namespace

void AddFeatureRoutes(ApiState& state) {
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/features",
                      .resource = "Features",
                      .name = "List",
                      .description = "Which record features are enabled, and who lacks one.",
                      .response_schema = "FeatureList",
                      .handler = [&state](const Request&, Responder respond) {
                        respond(ListFeatures(*state.view));
                      }});
}

}  // namespace fleet::api
