// GET /openapi.yaml: an OpenAPI document of all methods that are served, made from their routes, so
// that it says neither more nor less than what there is.

#include <array>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "api/api_state.h"
#include "base/yaml.h"
#include "fmt/core.h"
#include "nlohmann/json.hpp"

namespace fleet::api {
namespace {

using Json = nlohmann::ordered_json;

struct Parameter {
  std::string_view name;
  std::string_view type;
  std::string_view description;
};

// What parameters mean, wherever they are. One that is not here is a string without a description.
constexpr auto kParameters = std::to_array<Parameter>({
    {"absent", "boolean", "Also machines that are away and of which something was set."},
    {"after", "string", "Only what comes after this: an event's id, or a journal's cursor."},
    {"follow", "boolean", "Go on with what comes, as server-sent events."},
    {"force", "boolean", "Unknown keys of [X-Fleet] are not refused."},
    {"forwarded", "boolean", "Another machine asks for its client: do not ask a third one."},
    {"limit", "integer", "How many entities a page has at most, 1 to 10000."},
    {"lines", "integer", "How many of the last lines, 0 to 10000."},
    {"machineID", "string",
     "A machine's id; for a journal also the beginning of one, or a host name."},
    {"machines", "boolean", "With the verdict on each machine."},
    {"nextPageToken", "string", "From the answer before; none for the first page."},
    {"replace", "boolean", "The text given replaces the one that is stored."},
    {"resource", "string", "What to watch, separated by commas: units, state, machines."},
    {"since", "integer", "The revision to go on from: the id of the last message read."},
    {"unit", "string", "Only this unit, or those that match this glob; repeatable."},
    {"unitName", "string", "A unit's name."},
    {"view", "string", "\"summary\" leaves out options and text."},
});

Json ParameterOf(const std::string& name, bool in_path) {
  Json parameter = {{"name", name}, {"in", in_path ? "path" : "query"}};
  std::string_view type = "string";
  for (const Parameter& known : kParameters) {
    if (known.name != name) continue;
    type = known.type;
    parameter["description"] = std::string(known.description);
  }
  if (in_path) parameter["required"] = true;
  parameter["schema"] = {{"type", std::string(type)}};
  return parameter;
}

// The discovery document's dialect of JSON Schema in OpenAPI's: references are paths, and what is
// required is a list beside the properties.
Json ConvertSchema(const Json& schema) {
  if (!schema.is_object()) return schema;
  Json converted = Json::object();
  for (const auto& [key, value] : schema.items()) {
    if (key == "id" && value.is_string()) continue;
    if (key == "required" && value.is_boolean()) continue;
    if (key == "$ref") {
      converted[key] = "#/components/schemas/" + value.get<std::string>();
    } else if (key == "properties") {
      Json properties = Json::object();
      Json required = Json::array();
      for (const auto& [name, property] : value.items()) {
        properties[name] = ConvertSchema(property);
        if (property.value("required", false)) required.push_back(name);
      }
      if (!properties.empty()) converted[key] = std::move(properties);
      if (!required.empty()) converted["required"] = std::move(required);
    } else {
      converted[key] = ConvertSchema(value);
    }
  }
  return converted;
}

Json Header(std::string_view description) {
  return {{"description", std::string(description)}, {"schema", {{"type", "string"}}}};
}

constexpr std::string_view kETag =
    "The version of this answer. Of a unit, a machine or a rollout also that of what clients set, "
    "up to the dash (of a rollout: which one it is, and its state): writes compare only that, so "
    "that a change of status does not make them fail.";

constexpr std::string_view kRetryAfter = "Of 503: in how many seconds it may be tried again.";

constexpr std::string_view kEventStream = "text/event-stream";

Json HeaderParameter(std::string name, std::string_view description) {
  Json parameter = {{"name", std::move(name)}, {"in", "header"}};
  parameter.update(Header(description));
  return parameter;
}

// The headers that a request may have, or has to.
void AddHeaders(const Route& route, Json& parameters) {
  if (!route.protocol_header.empty()) {
    Json header = HeaderParameter(route.protocol_header, "The protocol, so that no form asks it.");
    header["required"] = true;
    header["schema"]["enum"] = Json::array({"true"});
    parameters.push_back(std::move(header));
  }
  if (route.may_stream || route.response_type == kEventStream) {
    parameters.push_back(HeaderParameter(
        "Last-Event-ID", "The id of the last message of a stream that goes on with this one."));
  }
  if (!route.conditional) return;
  if (route.method == "GET") {
    parameters.push_back(HeaderParameter(
        "If-None-Match", "ETags that the client has the answers of: 304 if it is one of them."));
    return;
  }
  parameters.push_back(HeaderParameter(
      "If-Match", "ETags, or *: nothing is changed unless what there is has one of them."));
  parameters.push_back(
      HeaderParameter("If-None-Match",
                      "ETags, or *: nothing is changed if what there is has one of them; with * "
                      "nothing but what is new is stored."));
}

Json Reference(const std::string& schema) {
  return {{"schema", {{"$ref", "#/components/schemas/" + schema}}}};
}

Json Responses(const Route& route) {
  Json responses = Json::object();
  const bool has_body = route.method == "GET" || !route.response_schema.empty();
  if (has_body) {
    Json content = Json::object();
    content[route.response_type] =
        route.response_schema.empty() ? Json::object() : Reference(route.response_schema);
    if (route.may_stream) content[std::string(kEventStream)] = {{"schema", {{"type", "string"}}}};
    responses["200"] = {{"description", "It is as asked for."}, {"content", std::move(content)}};
  } else {
    if (route.method == "PUT") responses["201"] = {{"description", "It is created."}};
    responses["204"] = {{"description", "It is done."}};
  }
  // What is deleted has no version any more.
  if (route.has_tag || (route.conditional && (has_body || route.method != "DELETE"))) {
    for (Json& response : responses) response["headers"]["ETag"] = Header(kETag);
  }
  if (route.conditional && route.method == "GET") {
    responses["304"] = {{"description", "The client has it."}};
  } else if (route.conditional) {
    responses["412"] = {{"description",
                         "It has been changed since, or is not there: nothing is stored. The "
                         "message names the ETag that it has now."},
                        {"headers", {{"ETag", Header(kETag)}}},
                        {"content", {{"application/json", Reference(route.error_schema)}}}};
  }
  responses["default"] = {{"description", "It is not, and why."},
                          {"headers", {{"Retry-After", Header(kRetryAfter)}}},
                          {"content", {{"application/json", Reference(route.error_schema)}}}};
  return responses;
}

Json OperationOf(const Route& route) {
  Json operation = Json::object();
  if (!route.description.empty()) operation["summary"] = route.description;
  if (!route.resource.empty()) {
    operation["operationId"] = fmt::format("{}.{}", route.resource, route.name);
    operation["tags"] = Json::array({route.resource});
  }
  Json parameters = Json::array();
  if (const size_t brace = route.pattern.find('{'); brace != std::string::npos) {
    parameters.push_back(ParameterOf(
        route.pattern.substr(brace + 1, route.pattern.find('}') - brace - 1), /*in_path=*/true));
  }
  for (const std::string& name : route.parameters)
    parameters.push_back(ParameterOf(name, /*in_path=*/false));
  AddHeaders(route, parameters);
  if (!parameters.empty()) operation["parameters"] = std::move(parameters);
  if (!route.request_schema.empty()) {
    operation["requestBody"] = {
        {"required", !route.body_optional},
        {"content", {{"application/json", Reference(route.request_schema)}}}};
  }
  operation["responses"] = Responses(route);
  return operation;
}

std::string Document(const ApiState& state) {
  Json paths = Json::object();
  for (const Route& route : state.router.routes())
    paths[route.pattern][absl::AsciiStrToLower(route.method)] = OperationOf(route);
  Json schemas = ConvertSchema({{"properties", Json::parse(DiscoverySchemas())}})["properties"];
  schemas["Error"] = Json::parse(
      R"({"type":"object","required":["error"],"properties":{"error":{"type":"object",
          "required":["code","message"],
          "properties":{"code":{"type":"integer"},"message":{"type":"string"}}}}})");
  const Json document = {
      {"openapi", "3.0.3"},
      {"info",
       {{"title", "fleet API"},
        {"version", state.context.version},
        {"description", "Units on a cluster of machines with systemd; docs/api.md explains it."}}},
      {"servers", Json::array({{{"url", "/"}}})},
      {"paths", std::move(paths)},
      {"components", {{"schemas", std::move(schemas)}}}};
  return ToYaml(document);
}

}  // namespace

void AddOpenApiRoutes(ApiState& state) {
  state.router.Add({.method = "GET",
                    .pattern = "/openapi.yaml",
                    .description = "This document.",
                    .response_type = "application/yaml",
                    .handler = [&state](const Request&, Responder respond) {
                      // By the first request all routes are there.
                      if (state.openapi.empty()) state.openapi = Document(state);
                      Response response = JsonResponse(200, state.openapi);
                      response.content_type = "application/yaml";
                      respond(std::move(response));
                    }});
}

}  // namespace fleet::api
