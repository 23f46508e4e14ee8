// /units: lists, single units, PUT and DELETE.

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "api/api_state.h"
#include "api/conditional.h"
#include "api/entities.h"
#include "api/json_reader.h"
#include "api/page.h"
#include "base/status.h"
#include "fmt/core.h"
#include "model/unit_name.h"

namespace fleet::api {
namespace {

using nlohmann::json;
using registry::UnitChange;
using registry::UnitChangeResult;
using Effect = UnitChangeResult::Effect;

Response NoSuchUnit(std::string_view name) {
  return ErrorResponse(404, fmt::format("unit {} does not exist", name));
}

Response ListUnits(const ApiState& state, const Request& request) {
  const auto page = ReadPageRequest(request.query, "units", {"view"}, state.context.token_limit);
  if (!page.ok()) return ErrorResponse(page.status());
  const auto view_filter = page->filters.find("view");
  if (view_filter != page->filters.end() && view_filter->second != "summary" &&
      view_filter->second != "full") {
    return ErrorResponse(400,
                         fmt::format("view={} is unknown: summary or full", view_filter->second));
  }
  const bool summary = view_filter != page->filters.end() && view_filter->second == "summary";
  const ClusterView& view = *state.view;
  JsonWriter body;
  body.BeginObject().Key("units").BeginArray();
  auto it = view.units.lower_bound(page->next_unit);
  for (size_t n = 0; n < page->size && it != view.units.end(); ++n, ++it) {
    WriteUnit(body, view, it->first, summary ? Detail::kSummary : Detail::kFull);
  }
  body.EndArray();
  if (it != view.units.end()) {
    body.Always("nextPageToken", NextPageToken(*page, "units", it->first));
  }
  body.EndObject();
  Response response = JsonResponse(200, body.Take());
  AddEntityTag(response);
  return response;
}

Response GetUnit(const ApiState& state, const Request& request) {
  const std::string& name = request.path_parameter;
  const auto* stored = state.view->units.Find(name);
  if (stored == nullptr) return NoSuchUnit(name);
  JsonWriter body;
  WriteUnit(body, *state.view, name, Detail::kFull);
  Response response = JsonResponse(200, body.Take());
  AddEntityTag(response, TagOf(stored->value));
  return response;
}

absl::StatusOr<std::vector<UnitOption>> ReadOptions(const json& list) {
  if (!list.is_array()) return absl::InvalidArgumentError("\"options\" must be an array");
  std::vector<UnitOption> options;
  for (const json& element : list) {
    if (!element.is_object()) {
      return absl::InvalidArgumentError(
          "each of \"options\" must be an object of section, name and value");
    }
    ASSIGN_OR_RETURN(auto section, StringMember(element, "section"));
    ASSIGN_OR_RETURN(auto name, StringMember(element, "name"));
    ASSIGN_OR_RETURN(auto value, StringMember(element, "value"));
    options.push_back({section.value_or(""), name.value_or(""), value.value_or("")});
  }
  return options;
}

// Reads the change that a PUT asks for. Unlike a change of a batch it can only set.
absl::StatusOr<UnitChange> ReadPut(const Request& request) {
  const std::string& name = request.path_parameter;
  RETURN_IF_ERROR(UnitName::Parse(name).status());
  ASSIGN_OR_RETURN(const json body, ParseJson(request.body, "a unit"));
  ASSIGN_OR_RETURN(UnitChange change, ReadUnitChange(body));
  if (!change.name.empty() && change.name != name) {
    return absl::InvalidArgumentError(fmt::format(
        "the name in the body, {}, is not the one in the address, {}", change.name, name));
  }
  if (change.destroy || change.restart || change.start || change.stop) {
    return absl::InvalidArgumentError(
        "\"destroy\", \"restart\", \"start\" and \"stop\" are for POST /fleet/v1/batch; destroy "
        "with DELETE");
  }
  if (change.condition.IsSet()) {
    return absl::InvalidArgumentError(
        "\"ifMatch\" and \"ifNoneMatch\" are for POST /fleet/v1/batch; here they are headers");
  }
  ASSIGN_OR_RETURN(change.condition, ParsePrecondition(request.if_match, request.if_none_match));
  // What a template's text asks for is shown as its number, too; POST …/scale is what sets it.
  change.replicas.reset();
  change.made_by_replicas = false;
  change.name = name;
  change.replace = change.replace || request.query.IsTrue("replace");
  change.force = change.force || request.query.IsTrue("force");
  change.refuse_if_differs = true;
  return change;
}

Response PutAnswer(const UnitChangeResult& result) {
  Response response = JsonResponse(result.effect == Effect::kCreated ? 201 : 204, "");
  if (result.record) AddSettingsTag(response, TagOf(*result.record));
  return response;
}

Response ConditionFailed(const UnitChangeResult& result) {
  return PreconditionFailed(std::string(result.status.message()),
                            result.record ? std::optional(TagOf(*result.record)) : std::nullopt);
}

void PutUnit(ApiState& state, const Request& request, Responder respond) {
  auto change = ReadPut(request);
  if (!change.ok()) {
    respond(ErrorResponse(change.status()));
    return;
  }
  const bool has_file = change->file != nullptr;
  const bool empty = !has_file && !change->desired;
  // fleet 1.0's API makes no instances from templates; POST /batch does.
  change->needs_file = true;
  std::vector<UnitChange> changes;
  changes.push_back(*std::move(change));
  state.changer.Apply(
      state.view, std::move(changes),
      [&state, empty, respond = std::move(respond)](std::vector<UnitChangeResult> results) mutable {
        UnitChangeResult& result = results[0];
        if (result.condition_failed) {
          respond(ConditionFailed(result));
        } else if (absl::IsNotFound(result.status)) {
          respond(ErrorResponse(409, "unit does not exist and options field empty"));
        } else if (!result.status.ok()) {
          respond(WriteErrorResponse(result.status));
        } else if (empty) {
          respond(ErrorResponse(409, "must provide desiredState to update existing unit"));
        } else {
          const int64_t revision = result.revision;
          WhenSeen(state, revision, std::move(respond),
                   [result = std::move(result)] { return PutAnswer(result); });
        }
      });
}

void DeleteUnit(ApiState& state, const Request& request, Responder respond) {
  const std::string& name = request.path_parameter;
  if (!UnitName::Parse(name).ok()) {
    respond(NoSuchUnit(name));
    return;
  }
  auto condition = ParsePrecondition(request.if_match, request.if_none_match);
  if (!condition.ok()) {
    respond(ErrorResponse(condition.status()));
    return;
  }
  std::vector<UnitChange> changes(1);
  changes[0].name = name;
  changes[0].condition = *std::move(condition);
  changes[0].destroy = true;
  state.changer.Apply(
      state.view, std::move(changes),
      [&state, respond = std::move(respond)](std::vector<UnitChangeResult> results) mutable {
        if (results[0].condition_failed) {
          respond(ConditionFailed(results[0]));
          return;
        }
        if (!results[0].status.ok()) {
          respond(WriteErrorResponse(results[0].status));
          return;
        }
        WhenSeen(state, results[0].revision, std::move(respond),
                 [] { return JsonResponse(204, ""); });
      });
}

}  // namespace

absl::StatusOr<UnitChange> ReadUnitChange(const json& body) {
  if (!body.is_object()) return absl::InvalidArgumentError("a unit must be a JSON object");
  UnitChange change;
  ASSIGN_OR_RETURN(auto name, StringMember(body, "name"));
  change.name = name.value_or("");
  ASSIGN_OR_RETURN(const auto desired, StringMember(body, "desiredState"));
  if (desired && !desired->empty()) {
    change.desired = ParseDesiredState(*desired);
    if (!change.desired) {
      return absl::InvalidArgumentError(fmt::format(
          "invalid desiredState \"{}\": one of inactive, loaded and launched", *desired));
    }
  }
  ASSIGN_OR_RETURN(auto content, StringMember(body, "content"));
  if (content) {
    ASSIGN_OR_RETURN(UnitFile file, UnitFile::Parse(*std::move(content)));
    change.file = std::make_shared<const UnitFile>(std::move(file));
  }
  if (const json* list = FindMember(body, "options");
      list && !(list->is_array() && list->empty())) {
    ASSIGN_OR_RETURN(const auto options, ReadOptions(*list));
    ASSIGN_OR_RETURN(UnitFile file, UnitFile::FromOptions(options));
    if (!change.file) {
      change.file = std::make_shared<const UnitFile>(std::move(file));
      change.from_options = true;
    }
  }
  ASSIGN_OR_RETURN(change.replace, BoolMember(body, "replace"));
  ASSIGN_OR_RETURN(change.restart, BoolMember(body, "restart"));
  ASSIGN_OR_RETURN(change.start, BoolMember(body, "start"));
  ASSIGN_OR_RETURN(change.stop, BoolMember(body, "stop"));
  ASSIGN_OR_RETURN(change.destroy, BoolMember(body, "destroy"));
  if (change.destroy && (change.file || change.desired)) {
    return absl::InvalidArgumentError(
        "\"destroy\" takes no \"content\", \"options\" or \"desiredState\"");
  }
  ASSIGN_OR_RETURN(change.force, BoolMember(body, "force"));
  ASSIGN_OR_RETURN(const auto if_match, StringMember(body, "ifMatch"));
  ASSIGN_OR_RETURN(const auto if_none_match, StringMember(body, "ifNoneMatch"));
  ASSIGN_OR_RETURN(change.condition, ParsePrecondition(if_match, if_none_match));
  ASSIGN_OR_RETURN(change.replicas, IntegerMember(body, "replicas"));
  ASSIGN_OR_RETURN(change.made_by_replicas, BoolMember(body, "madeByReplicas"));
  return change;
}

void AddUnitRoutes(ApiState& state) {
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/units",
                      .resource = "Units",
                      .name = "List",
                      .description = "Retrieve a page of Unit objects.",
                      .parameters = {"nextPageToken", "limit", "view"},
                      .response_schema = "UnitPage",
                      .conditional = true,
                      .handler = [&state](const Request& request, Responder respond) {
                        respond(ListUnits(state, request));
                      }});
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/units/{unitName}",
                      .resource = "Units",
                      .name = "Get",
                      .description = "Retrieve a single Unit object.",
                      .response_schema = "Unit",
                      .conditional = true,
                      .handler = [&state](const Request& request, Responder respond) {
                        respond(GetUnit(state, request));
                      }});
  AddWithView(state, {.method = "PUT",
                      .pattern = "/fleet/v1/units/{unitName}",
                      .resource = "Units",
                      .name = "Set",
                      .description = "Create or update a Unit.",
                      .parameters = {"replace", "force"},
                      .request_schema = "UnitRequest",
                      .any_member = true,
                      .conditional = true,
                      .handler = [&state](const Request& request, Responder respond) {
                        PutUnit(state, request, std::move(respond));
                      }});
  AddWithView(state, {.method = "DELETE",
                      .pattern = "/fleet/v1/units/{unitName}",
                      .resource = "Units",
                      .name = "Delete",
                      .description = "Delete the referenced Unit object.",
                      .conditional = true,
                      .handler = [&state](const Request& request, Responder respond) {
                        DeleteUnit(state, request, std::move(respond));
                      }});
}

}  // namespace fleet::api
