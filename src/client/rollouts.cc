#include "client/rollouts.h"

#include "client/entities.h"
#include "nlohmann/json.hpp"

namespace fleet::client {

using nlohmann::json;

ScaleAnswer ScaleFromJson(const json& object) {
  ScaleAnswer answer{.revision = NumberAt(object, "revision"),
                     .units = TextsAt(object, "units"),
                     .surplus = TextsAt(object, "surplus")};
  if (object.contains("replicas")) answer.replicas = NumberAt(object, "replicas");
  return answer;
}

Rollout RolloutFromJson(const json& object) {
  Rollout rollout{.name = StringAt(object, "name"),
                  .id = StringAt(object, "id"),
                  .state = StringAt(object, "state"),
                  .restarts = FlagAt(object, "restarts"),
                  .hash = StringAt(object, "hash"),
                  .former_hash = StringAt(object, "formerHash"),
                  .max_unavailable = StringAt(object, "maxUnavailable"),
                  .reason = StringAt(object, "reason"),
                  .total = NumberAt(object, "total"),
                  .reached = NumberAt(object, "reached"),
                  .not_started = TextsAt(object, "notStarted"),
                  .together = TextsAt(object, "together"),
                  .json = object.dump(-1, ' ', false, json::error_handler_t::replace)};
  for (const json& former : ListAt(object, "history")) {
    rollout.history.push_back({.hash = StringAt(former, "hash"),
                               .since = StringAt(former, "since"),
                               .how = StringAt(former, "how")});
  }
  return rollout;
}

namespace {

json ToJson(const RolloutRequest& request) {
  json body = json::object();
  if (request.content) body["content"] = *request.content;
  if (request.restart) body["restart"] = true;
  if (!request.max_unavailable.empty()) body["maxUnavailable"] = request.max_unavailable;
  if (request.rolls_back) body["onFailure"] = "rollback";
  if (request.supersede) body["supersede"] = true;
  if (request.force) body["force"] = true;
  return body;
}

}  // namespace

std::string ToText(const RolloutRequest& request) { return ToJson(request).dump(); }

std::string ToText(const std::vector<RolledUnit>& units, const RolloutRequest& request) {
  json body = ToJson(request);
  for (const RolledUnit& unit : units) {
    json entry = {{"name", unit.name}};
    if (unit.content) entry["content"] = *unit.content;
    body["units"].push_back(std::move(entry));
  }
  return body.dump();
}

}  // namespace fleet::client
