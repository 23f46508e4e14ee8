// POST /units/NAME/scale: how many instances of a template the engine keeps.

#include <utility>
#include <vector>

#include "api/api_state.h"
#include "api/json_reader.h"
#include "api/json_writer.h"
#include "base/status.h"
#include "fmt/core.h"
#include "reconcile/rollout.h"
#include "registry/codec.h"

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

// The template's record with so many replicas, and the revision it was decided on.
absl::StatusOr<Stored<UnitRecord>> Scaled(const ClusterView& view, const std::string& unit,
                                          int64_t replicas) {
  ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(unit));
  if (!name.is_template()) {
    return absl::InvalidArgumentError(fmt::format("{} is not a template", unit));
  }
  const auto* stored = view.units.Find(unit);
  if (stored == nullptr) return absl::NotFoundError(fmt::format("unit {} does not exist", unit));
  const auto* content = view.contents.Find(stored->value.content_hash);
  if (content != nullptr) {
    ASSIGN_OR_RETURN(const Requirements requirements,
                     ParseRequirements(*content->value.file, name));
    if (requirements.global) {
      return absl::FailedPreconditionError(
          fmt::format("{} is global: it has one instance on each machine", unit));
    }
  }
  Stored<UnitRecord> scaled = *stored;
  scaled.value.replicas = replicas;
  return scaled;
}

// Instances 1 to N, and those above that will go.
std::string ScaleJson(const ClusterView& view, const std::string& unit, int64_t replicas,
                      int64_t revision) {
  const UnitName name = *UnitName::Parse(unit);
  JsonWriter body;
  body.BeginObject().Key("revision").Int(revision).Key("units").BeginArray();
  for (int64_t number = 1; number <= replicas; ++number) {
    body.String(fmt::format("{}@{}.{}", name.prefix(), number, name.suffix()));
  }
  body.EndArray().Key("surplus").BeginArray();
  for (const std::string& surplus : reconcile::SurplusReplicas(view, unit, replicas)) {
    body.String(surplus);
  }
  body.EndArray().EndObject();
  return body.Take();
}

// Those that exist and do not run are started; the engine makes the others.
void StartThoseThatExist(ApiState& state, std::vector<std::string> units, std::string answer,
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
                        WhenSeen(state, revision, std::move(respond), [answer = std::move(answer)] {
                          return JsonResponse(200, answer);
                        });
                      });
}

void Scale(ApiState& state, const Request& request, Responder respond) {
  const std::string& unit = request.path_parameter;
  const auto replicas = ReadReplicas(request.body);
  const auto scaled = replicas.ok() ? Scaled(*state.view, unit, *replicas)
                                    : absl::StatusOr<Stored<UnitRecord>>(replicas.status());
  if (!scaled.ok()) {
    respond(ErrorResponse(scaled.status()));
    return;
  }
  const std::string key = state.context.keys.Unit(unit);
  store::Txn txn;
  txn.compares = {{.key = key, .revision = scaled->mod_revision}};
  txn.ops.emplace_back(store::Put{.key = key, .value = registry::Encode(scaled->value)});
  state.context.store->Commit(
      std::move(txn), [&state, unit, replicas = *replicas, respond = std::move(respond)](
                          absl::StatusOr<store::TxnResult> result) mutable {
        if (!result.ok()) return respond(WriteErrorResponse(result.status()));
        if (!result->succeeded) {
          return respond(
              ErrorResponse(409, fmt::format("others have changed {}; look, and try again", unit)));
        }
        auto to_start = reconcile::ReplicasToStart(*state.view, unit, replicas);
        std::string answer = ScaleJson(*state.view, unit, replicas, result->revision);
        if (!to_start.empty()) {
          StartThoseThatExist(state, std::move(to_start), std::move(answer), std::move(respond));
          return;
        }
        WhenSeen(state, result->revision, std::move(respond),
                 [answer = std::move(answer)] { return JsonResponse(200, answer); });
      });
}

}  // namespace

void AddScaleRoutes(ApiState& state) {
  AddWithView(state, {.method = "POST",
                      .pattern = "/fleet/v1/units/{unitName}/scale",
                      .resource = "Units",
                      .name = "Scale",
                      .description = "Keep instances 1 to N of a template Unit.",
                      .request_schema = "ScaleRequest",
                      .response_schema = "ScaleAnswer",
                      .handler = [&state](const Request& request, Responder respond) {
                        Scale(state, request, std::move(respond));
                      }});
}

}  // namespace fleet::api
