// POST /units/NAME/scale: how many instances of a template the engine keeps. DELETE: as many as its
// text says.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/api_state.h"
#include "api/conditional.h"
#include "api/entities.h"
#include "api/json_reader.h"
#include "api/json_writer.h"
#include "base/status.h"
#include "fmt/core.h"
#include "reconcile/rollout.h"

namespace fleet::api {
namespace {

absl::StatusOr<int64_t> ReadReplicas(const std::string& text) {
  ASSIGN_OR_RETURN(const auto body, ParseJson(text, "a scale"));
  const auto* replicas = body.is_object() ? FindMember(body, "replicas") : nullptr;
  if (replicas == nullptr || !replicas->is_number_integer() || replicas->get<int64_t>() < 0 ||
      replicas->get<int64_t>() > kMaxReplicas) {
    return absl::InvalidArgumentError(
        fmt::format("\"replicas\" must be a number from 0 to {}", kMaxReplicas));
  }
  return replicas->get<int64_t>();
}

// What is asked of the template: a number, or that the one of its text counts again.
absl::StatusOr<registry::UnitChange> ReadScale(const Request& request) {
  ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(request.path_parameter));
  if (!name.is_template()) {
    return absl::InvalidArgumentError(fmt::format("{} is not a template", name.full()));
  }
  registry::UnitChange change = {.name = name.full()};
  ASSIGN_OR_RETURN(change.condition, ParsePrecondition(request.if_match, request.if_none_match));
  if (request.method == "DELETE") {
    change.resets_replicas = true;
    return change;
  }
  ASSIGN_OR_RETURN(change.replicas, ReadReplicas(request.body));
  return change;
}

// Instances 1 to N, and those above that will go; neither if no number is kept.
std::string ScaleJson(const ClusterView& view, const std::string& unit,
                      std::optional<int64_t> replicas, int64_t revision) {
  const UnitName name = *UnitName::Parse(unit);
  JsonWriter body;
  body.BeginObject().Key("revision").Int(revision);
  if (replicas) body.Key("replicas").Int(*replicas);
  body.Key("units").BeginArray();
  for (int64_t number = 1; number <= replicas.value_or(0); ++number) {
    body.String(fmt::format("{}@{}.{}", name.prefix(), number, name.suffix()));
  }
  body.EndArray().Key("surplus").BeginArray();
  if (replicas) {
    for (const std::string& surplus : reconcile::SurplusReplicas(view, unit, *replicas)) {
      body.String(surplus);
    }
  }
  body.EndArray().EndObject();
  return body.Take();
}

// How a scale is answered: the instances, and the tag that the template has now.
struct ScaleAnswer {
  std::string body;
  std::string tag;

  Response ToResponse() const {
    Response response = JsonResponse(200, body);
    AddSettingsTag(response, tag);
    return response;
  }
};

// Those that exist and do not run are started; the engine makes the others.
void StartThoseThatExist(ApiState& state, std::vector<std::string> units, ScaleAnswer answer,
                         Responder respond) {
  std::vector<registry::UnitChange> changes;
  changes.reserve(units.size());
  for (std::string& unit : units) {
    changes.push_back({.name = std::move(unit), .desired = DesiredState::kLaunched});
  }
  state.changer.Apply(state.view, std::move(changes),
                      [&state, answer = std::move(answer), respond = std::move(respond)](
                          const std::vector<registry::UnitChangeResult>& results) mutable {
                        int64_t revision = 0;
                        for (const registry::UnitChangeResult& result : results) {
                          // One that was destroyed meanwhile is made anew.
                          if (!result.status.ok() && !absl::IsNotFound(result.status)) {
                            respond(WriteErrorResponse(result.status));
                            return;
                          }
                          revision = std::max(revision, result.revision);
                        }
                        WhenSeen(state, revision, std::move(respond),
                                 [answer = std::move(answer)] { return answer.ToResponse(); });
                      });
}

void AnswerScale(ApiState& state, const std::string& unit, const UnitRecord& record,
                 int64_t revision, Responder respond) {
  const ClusterView& view = *state.view;
  const auto replicas = ReplicasOf(view, *UnitName::Parse(unit), record);
  ScaleAnswer answer = {.body = ScaleJson(view, unit, replicas, revision), .tag = TagOf(record)};
  auto to_start = reconcile::ReplicasToStart(view, unit, replicas.value_or(0));
  if (!to_start.empty()) {
    StartThoseThatExist(state, std::move(to_start), std::move(answer), std::move(respond));
    return;
  }
  WhenSeen(state, revision, std::move(respond),
           [answer = std::move(answer)] { return answer.ToResponse(); });
}

void Scale(ApiState& state, const Request& request, Responder respond) {
  auto change = ReadScale(request);
  if (!change.ok()) {
    respond(ErrorResponse(change.status()));
    return;
  }
  const std::string& unit = request.path_parameter;
  std::vector<registry::UnitChange> changes;
  changes.push_back(*std::move(change));
  state.changer.Apply(
      state.view, std::move(changes),
      [&state, unit, respond = std::move(respond)](
          const std::vector<registry::UnitChangeResult>& results) mutable {
        const registry::UnitChangeResult& result = results[0];
        if (result.condition_failed && result.record) {
          return respond(
              PreconditionFailed(std::string(result.status.message()), TagOf(*result.record)));
        }
        if (result.condition_failed)
          return respond(ErrorResponse(404, std::string(result.status.message())));
        if (!result.status.ok()) return respond(WriteErrorResponse(result.status));
        const UnitRecord& record = *result.record;
        if (record.replicas || state.view->contents.Find(record.content_hash) != nullptr) {
          return AnswerScale(state, unit, record, result.revision, std::move(respond));
        }
        // The number is that of a text which has come in the same moment.
        WhenSeen(state, result.revision, std::move(respond),
                 [&state, unit, record, revision = result.revision](Responder answer) {
                   AnswerScale(state, unit, record, revision, std::move(answer));
                 });
      });
}

}  // namespace

void AddScaleRoutes(ApiState& state) {
  const auto add = [&](const char* method, const char* name, const char* description,
                       const char* schema) {
    AddWithView(state, {.method = method,
                        .pattern = "/fleet/v1/units/{unitName}/scale",
                        .resource = "Units",
                        .name = name,
                        .description = description,
                        .request_schema = schema,
                        .response_schema = "ScaleAnswer",
                        .conditional = true,
                        .handler = [&state](const Request& request, Responder respond) {
                          Scale(state, request, std::move(respond));
                        }});
  };
  add("POST", "Scale", "Keep instances 1 to N of a template Unit.", "ScaleRequest");
  add("DELETE", "ResetScale", "Keep as many instances of a template Unit as its text says.", "");
}

}  // namespace fleet::api
