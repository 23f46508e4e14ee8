// GET /discovery: a discovery document (Google's format, as fleet 1.0's) of the methods served.

#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "api/api_state.h"
#include "api/json_writer.h"
#include "fmt/core.h"

namespace fleet::api {
namespace {

constexpr std::string_view kBase = "/fleet/v1/";

constexpr std::string_view kSchemas = R"json({
"Machine":{"id":"Machine","type":"object","properties":{
 "id":{"type":"string","required":true},"primaryIP":{"type":"string"},
 "metadata":{"type":"object","properties":{},"additionalProperties":{"type":"string"}},
 "hostname":{"type":"string"},"version":{"type":"string"},"state":{"type":"string"},
 "cordoned":{"type":"boolean"},"drained":{"type":"boolean"},
 "deadline":{"type":"string"},"forces":{"type":"boolean"},"expired":{"type":"boolean"},
 "lockGroup":{"type":"string"},"lockGranted":{"type":"boolean"},
 "units":{"type":"integer"},"apiEndpoints":{"type":"array","items":{"type":"string"}},"systemdUser":{"type":"string"},
 "settings":{"type":"object","properties":{
  "metadata":{"type":"object","properties":{},"additionalProperties":{"type":"string"}},
  "removedMetadata":{"type":"array","items":{"type":"string"}},
  "cordoned":{"type":"boolean"},"drained":{"type":"boolean"},
  "lockGroup":{"type":"string"},"lockGranted":{"type":"boolean"}}}}},
"MachinePage":{"id":"MachinePage","type":"object","properties":{
 "machines":{"type":"array","items":{"$ref":"Machine"}},"nextPageToken":{"type":"string"}}},
"UnitOption":{"id":"UnitOption","type":"object","properties":{
 "section":{"type":"string"},"name":{"type":"string"},"value":{"type":"string"}}},
"Unit":{"id":"Unit","type":"object","properties":{
 "name":{"type":"string","required":true},
 "options":{"type":"array","items":{"$ref":"UnitOption"}},
 "desiredState":{"type":"string","enum":["inactive","loaded","launched"]},
 "moveTo":{"type":"string"},"replicas":{"type":"integer"},"madeByReplicas":{"type":"boolean"},
 "currentState":{"type":"string","enum":["inactive","loaded","launched"]},
 "machineID":{"type":"string"},
 "uid":{"type":"string"},"hash":{"type":"string"},"content":{"type":"string"},
 "description":{"type":"string"},"global":{"type":"boolean"},"target":{"type":"string"},
 "progress":{"type":"string","enum":["waiting","pending","reached","failed"]},
 "reason":{"type":"string"},"systemdLoadState":{"type":"string"},
 "systemdActiveState":{"type":"string"},"systemdSubState":{"type":"string"},
 "drift":{"type":"string"},"logTail":{"type":"string"},
 "machines":{"type":"array","items":{"type":"object","properties":{
  "machineID":{"type":"string","required":true},
  "currentState":{"type":"string","enum":["inactive","loaded","launched"]},
  "progress":{"type":"string","enum":["waiting","pending","reached","failed"]},
  "reason":{"type":"string"},"systemdLoadState":{"type":"string"},
  "systemdActiveState":{"type":"string"},"systemdSubState":{"type":"string"},
  "drift":{"type":"string"},"logTail":{"type":"string"}}}}}},
"UnitRequest":{"id":"UnitRequest","type":"object","properties":{
 "name":{"type":"string"},"desiredState":{"type":"string","enum":["inactive","loaded","launched"]},
 "content":{"type":"string"},"options":{"type":"array","items":{"$ref":"UnitOption"}},
 "replace":{"type":"boolean"},"force":{"type":"boolean"}}},
"UnitPage":{"id":"UnitPage","type":"object","properties":{
 "units":{"type":"array","items":{"$ref":"Unit"}},"nextPageToken":{"type":"string"}}},
"Event":{"id":"Event","type":"object","properties":{
 "id":{"type":"string","required":true},"time":{"type":"string","required":true},
 "kind":{"type":"string","required":true},"unit":{"type":"string"},"machineID":{"type":"string"},
 "reason":{"type":"string"}}},
"EventPage":{"id":"EventPage","type":"object","properties":{
 "events":{"type":"array","items":{"$ref":"Event"}},"nextPageToken":{"type":"string"}}},
"UnitState":{"id":"UnitState","type":"object","properties":{
 "name":{"type":"string","required":true},"hash":{"type":"string","required":true},
 "machineID":{"type":"string","required":true},
 "systemdLoadState":{"type":"string","required":true},
 "systemdActiveState":{"type":"string","required":true},
 "systemdSubState":{"type":"string","required":true},"drift":{"type":"string"}}},
"Backup":{"id":"Backup","type":"object","properties":{
 "format":{"type":"string","required":true},"version":{"type":"integer","required":true},
 "created":{"type":"string"},"fleetVersion":{"type":"string"},"revision":{"type":"integer"},
 "units":{"type":"array","items":{"type":"object","properties":{
  "name":{"type":"string"},"desiredState":{"type":"string"},"content":{"type":"string"},
  "replicas":{"type":"integer"},"madeByReplicas":{"type":"boolean"}}}},
 "machines":{"type":"array","items":{"type":"object","properties":{
  "id":{"type":"string"},
  "metadata":{"type":"object","properties":{},"additionalProperties":{"type":"string"}},
  "removedMetadata":{"type":"array","items":{"type":"string"}},
  "cordoned":{"type":"boolean"},"drained":{"type":"boolean"}}}},
 "rollouts":{"type":"array","items":{"type":"object","properties":{
  "name":{"type":"string"},"history":{"type":"array","items":{"type":"object","properties":{
   "content":{"type":"string"},"since":{"type":"string"},"how":{"type":"string"}}}}}}},
 "unreadable":{"type":"array","items":{"type":"string"}}}},
"Explanation":{"id":"Explanation","type":"object","properties":{
 "revision":{"type":"integer"},"unit":{"type":"string","required":true},
 "state":{"type":"string","enum":["notWanted","placed","moving","waiting","global"]},
 "machines":{"type":"array","items":{"type":"string"}},"reason":{"type":"string"},
 "together":{"type":"array","items":{"type":"string"}},"total":{"type":"integer"},
 "ruledOut":{"type":"array","items":{"type":"object","properties":{
  "constraint":{"type":"string"},"machines":{"type":"integer"},"inAll":{"type":"integer"},
  "alone":{"type":"integer"}}}},
 "remedies":{"type":"array","items":{"type":"object","properties":{
  "kind":{"type":"string"},"change":{"type":"string"},"machines":{"type":"integer"},
  "of":{"type":"string"},"name":{"type":"string"},"key":{"type":"string"},
  "amount":{"type":"integer"}}}},
 "conflicts":{"type":"array","items":{"type":"string"}},
 "notes":{"type":"array","items":{"type":"string"}},
 "verdicts":{"type":"array","items":{"type":"object","properties":{
  "machineID":{"type":"string"},"eligible":{"type":"boolean"},
  "ruledOutBy":{"type":"array","items":{"type":"string"}},
  "score":{"type":"object","properties":{
   "spreadValue":{"type":"string"},"spread":{"type":"integer"},"load":{"type":"integer"},
   "byShare":{"type":"boolean"},"runsThere":{"type":"boolean"}}}}}}}},
"PlanRequest":{"id":"PlanRequest","type":"object","properties":{
 "verb":{"type":"string","required":true,
  "enum":["start","destroy","drain","scale","rebalance","lose","add"]},
 "units":{"type":"array","items":{"type":"object","properties":{
  "name":{"type":"string"},"content":{"type":"string"},"force":{"type":"boolean"}}}},
 "machine":{"type":"string"},"count":{"type":"integer"},"reset":{"type":"boolean"},
 "maxMoves":{"type":"integer"}}},
"Plan":{"id":"Plan","type":"object","properties":{
 "revision":{"type":"integer"},
 "changes":{"type":"array","items":{"type":"object","properties":{
  "change":{"type":"string","enum":["place","move","stop","wait","stay"]},"unit":{"type":"string"},
  "from":{"type":"string"},"machine":{"type":"string"},"reason":{"type":"string"}}}},
 "skipped":{"type":"array","items":{"type":"string"}}}},
"MachinePatch":{"id":"MachinePatch","type":"array","items":{"type":"object","properties":{
 "op":{"type":"string","enum":["add","replace","remove"],"required":true},
 "path":{"type":"string","required":true},"value":{"type":"string"}}}},
"UnitChange":{"id":"UnitChange","type":"object","properties":{
 "name":{"type":"string","required":true},
 "desiredState":{"type":"string","enum":["inactive","loaded","launched"]},
 "content":{"type":"string"},"options":{"type":"array","items":{"$ref":"UnitOption"}},
 "replace":{"type":"boolean"},"force":{"type":"boolean"},"restart":{"type":"boolean"},
 "start":{"type":"boolean"},"stop":{"type":"boolean"},"destroy":{"type":"boolean"},
 "replicas":{"type":"integer"},"madeByReplicas":{"type":"boolean"},
 "ifMatch":{"type":"string"},"ifNoneMatch":{"type":"string"}}},
"Batch":{"id":"Batch","type":"object","properties":{
 "changes":{"type":"array","items":{"$ref":"UnitChange"}}}},
"BatchAnswer":{"id":"BatchAnswer","type":"object","properties":{
 "revision":{"type":"integer"},
 "results":{"type":"array","items":{"type":"object","properties":{
  "name":{"type":"string","required":true},"code":{"type":"integer","required":true},
  "message":{"type":"string"},"differs":{"type":"boolean"},"same":{"type":"boolean"}}}}}},
"LockRequest":{"id":"LockRequest","type":"object","properties":{
 "client_params":{"type":"object","properties":{
  "id":{"type":"string","required":true},"group":{"type":"string","required":true}}}}},
"LockAnswer":{"id":"LockAnswer","type":"object","properties":{}},
"LockError":{"id":"LockError","type":"object","properties":{
 "kind":{"type":"string","required":true},"value":{"type":"string","required":true}}},
"DrainRequest":{"id":"DrainRequest","type":"object","properties":{
 "deadline":{"type":"string"},"force":{"type":"boolean"}}},
"Drain":{"id":"Drain","type":"object","properties":{
 "machineID":{"type":"string","required":true},"revision":{"type":"integer"},
 "present":{"type":"boolean"},"cordoned":{"type":"boolean"},"drained":{"type":"boolean"},
 "deadline":{"type":"string"},"forces":{"type":"boolean"},"expired":{"type":"boolean"},
 "lockGroup":{"type":"string"},"lockGranted":{"type":"boolean"},
 "unitsLeft":{"type":"integer"},
 "left":{"type":"array","items":{"type":"object","properties":{
  "unit":{"type":"string"},"reason":{"type":"string"},"cannotMove":{"type":"boolean"}}}}}},
"FeatureList":{"id":"FeatureList","type":"object","properties":{
 "features":{"type":"array","items":{"type":"object","properties":{
  "name":{"type":"string","required":true},"enabled":{"type":"boolean","required":true},
  "unknownTo":{"type":"array","items":{"type":"string"}}}}}}},
"RebalanceRequest":{"id":"RebalanceRequest","type":"object","properties":{
 "maxMoves":{"type":"integer"}}},
"ScaleRequest":{"id":"ScaleRequest","type":"object","properties":{
 "replicas":{"type":"integer","required":true}}},
"ScaleAnswer":{"id":"ScaleAnswer","type":"object","properties":{
 "revision":{"type":"integer"},"replicas":{"type":"integer"},
 "units":{"type":"array","items":{"type":"string"}},
 "surplus":{"type":"array","items":{"type":"string"}}}},
"RolloutRequest":{"id":"RolloutRequest","type":"object","properties":{
 "content":{"type":"string"},"options":{"type":"array","items":{"$ref":"UnitOption"}},
 "restart":{"type":"boolean"},"maxUnavailable":{"type":"string"},
 "onFailure":{"type":"string","enum":["pause","rollback"]},"supersede":{"type":"boolean"},
 "force":{"type":"boolean"}}},
"RolloutsRequest":{"id":"RolloutsRequest","type":"object","properties":{
 "units":{"type":"array","items":{"type":"object","properties":{
  "name":{"type":"string"},"content":{"type":"string"},
  "options":{"type":"array","items":{"$ref":"UnitOption"}},
  "ifMatch":{"type":"string"},"ifNoneMatch":{"type":"string"}}}},
 "restart":{"type":"boolean"},"maxUnavailable":{"type":"string"},
 "onFailure":{"type":"string","enum":["pause","rollback"]},"supersede":{"type":"boolean"},
 "force":{"type":"boolean"}}},
"HistoryRequest":{"id":"HistoryRequest","type":"object","properties":{
 "history":{"type":"array","items":{"type":"object","properties":{
  "content":{"type":"string"},"since":{"type":"string"},"how":{"type":"string"}}}}}},
"UndoRequest":{"id":"UndoRequest","type":"object","properties":{"hash":{"type":"string"}}},
"Rollout":{"id":"Rollout","type":"object","properties":{
 "name":{"type":"string","required":true},"id":{"type":"string","required":true},
 "state":{"type":"string","enum":["running","paused","done","failed"]},
 "restarts":{"type":"boolean"},"hash":{"type":"string"},"formerHash":{"type":"string"},
 "maxUnavailable":{"type":"string"},"onFailure":{"type":"string","enum":["pause","rollback"]},
 "reason":{"type":"string"},"total":{"type":"integer"},"reached":{"type":"integer"},
 "notStarted":{"type":"array","items":{"type":"string"}},
 "together":{"type":"array","items":{"type":"string"}},
 "history":{"type":"array","items":{"type":"object","properties":{
  "hash":{"type":"string"},"since":{"type":"string"},"how":{"type":"string"}}}}}},
"RolloutPage":{"id":"RolloutPage","type":"object","properties":{
 "rollouts":{"type":"array","items":{"$ref":"Rollout"}},"nextPageToken":{"type":"string"}}},
"UnitStatePage":{"id":"UnitStatePage","type":"object","properties":{
 "states":{"type":"array","items":{"$ref":"UnitState"}},"nextPageToken":{"type":"string"}}}
})json";

void WriteMethod(JsonWriter& json, const Route& route) {
  json.Key(route.name).BeginObject();
  json.Always("id", fmt::format("fleet.{}.{}", route.resource, route.name));
  json.Always("description", route.description).Always("httpMethod", route.method);
  const std::string path = route.pattern.substr(kBase.size());
  json.Always("path", path);
  json.Key("parameters").BeginObject();
  if (const size_t brace = path.find('{'); brace != std::string::npos) {
    json.Key(path.substr(brace + 1, path.find('}') - brace - 1)).BeginObject();
    json.Always("type", "string").Always("location", "path").Key("required").Bool(true);
    json.EndObject();
  }
  for (const std::string& parameter : route.parameters) {
    json.Key(parameter).BeginObject();
    json.Always("type", "string").Always("location", "query").EndObject();
  }
  json.EndObject();
  if (!route.request_schema.empty()) {
    json.Key("request").BeginObject().Always("$ref", route.request_schema).EndObject();
  }
  if (!route.response_schema.empty()) {
    json.Key("response").BeginObject().Always("$ref", route.response_schema).EndObject();
  }
  json.EndObject();
}

std::string Document(const Router& router) {
  std::map<std::string, std::vector<const Route*>> resources;
  for (const Route& route : router.routes()) {
    if (!route.resource.empty()) resources[route.resource].push_back(&route);
  }
  JsonWriter json;
  json.BeginObject();
  json.Always("kind", "discovery#restDescription").Always("discoveryVersion", "v1");
  json.Always("id", "fleet:v1").Always("name", "fleet").Always("version", "v1");
  json.Always("title", "fleet API").Always("description", "Manage units across a cluster.");
  json.Always("protocol", "rest").Always("basePath", kBase).Always("rootUrl", "/");
  json.Always("servicePath", "fleet/v1/").Key("schemas").Raw(kSchemas);
  json.Key("resources").BeginObject();
  for (const auto& [resource, routes] : resources) {
    json.Key(resource).BeginObject().Key("methods").BeginObject();
    for (const Route* route : routes) WriteMethod(json, *route);
    json.EndObject().EndObject();
  }
  json.EndObject().EndObject();
  return json.Take();
}

}  // namespace

std::string_view DiscoverySchemas() { return kSchemas; }

void AddDiscoveryRoutes(ApiState& state) {
  state.router.Add({.method = "GET",
                    .pattern = "/fleet/v1/discovery",
                    .resource = "Discovery",
                    .name = "Get",
                    .description = "This document.",
                    .handler = [&state](const Request&, Responder respond) {
                      respond(JsonResponse(200, state.discovery));
                    }});
  state.discovery = Document(state.router);
}

}  // namespace fleet::api
