#include "client/planning.h"

#include <string_view>

#include "client/entities.h"
#include "nlohmann/json.hpp"

namespace fleet::client {
namespace {

using nlohmann::json;

std::string Dump(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Verdict VerdictFromJson(const json& object) {
  Verdict verdict{.machine_id = StringAt(object, "machineID"),
                  .eligible = FlagAt(object, "eligible"),
                  .ruled_out_by = TextsAt(object, "ruledOutBy")};
  const json score = object.value("score", json::object());
  verdict.score = {.spread_value = StringAt(score, "spreadValue"),
                   .spread = NumberAt(score, "spread"),
                   .load = NumberAt(score, "load"),
                   .by_share = FlagAt(score, "byShare"),
                   .runs_there = FlagAt(score, "runsThere")};
  return verdict;
}

}  // namespace

UnitExplanation ExplanationFromJson(const json& object) {
  UnitExplanation explanation{.revision = NumberAt(object, "revision"),
                              .unit = StringAt(object, "unit"),
                              .state = StringAt(object, "state"),
                              .machines = TextsAt(object, "machines"),
                              .reason = StringAt(object, "reason"),
                              .together = TextsAt(object, "together"),
                              .total = NumberAt(object, "total"),
                              .conflicts = TextsAt(object, "conflicts"),
                              .notes = TextsAt(object, "notes"),
                              .json = Dump(object)};
  for (const json& element : ListAt(object, "ruledOut")) {
    explanation.ruled_out.push_back({.constraint = StringAt(element, "constraint"),
                                     .machines = NumberAt(element, "machines"),
                                     .in_all = NumberAt(element, "inAll"),
                                     .alone = NumberAt(element, "alone")});
  }
  for (const json& element : ListAt(object, "remedies")) {
    explanation.remedies.push_back({.kind = StringAt(element, "kind"),
                                    .change = StringAt(element, "change"),
                                    .machines = NumberAt(element, "machines")});
  }
  for (const json& element : ListAt(object, "verdicts")) {
    if (element.is_object()) explanation.verdicts.push_back(VerdictFromJson(element));
  }
  return explanation;
}

Drain DrainFromJson(const json& object) {
  Drain drain{.machine_id = StringAt(object, "machineID"),
              .revision = NumberAt(object, "revision"),
              .present = !object.contains("present") || FlagAt(object, "present"),
              .cordoned = FlagAt(object, "cordoned"),
              .drained = FlagAt(object, "drained"),
              .expired = FlagAt(object, "expired"),
              .forces = FlagAt(object, "forces"),
              .deadline = StringAt(object, "deadline"),
              .lock_group = StringAt(object, "lockGroup"),
              .lock_granted = FlagAt(object, "lockGranted"),
              .units_left = NumberAt(object, "unitsLeft"),
              .left = {},
              .json = Dump(object)};
  for (const json& element : ListAt(object, "left")) {
    drain.left.push_back({.unit = StringAt(element, "unit"),
                          .reason = StringAt(element, "reason"),
                          .cannot_move = FlagAt(element, "cannotMove")});
  }
  return drain;
}

Plan PlanFromJson(const json& object) {
  Plan plan{.revision = NumberAt(object, "revision"),
            .skipped = TextsAt(object, "skipped"),
            .json = Dump(object)};
  for (const json& element : ListAt(object, "changes")) {
    plan.changes.push_back({.change = StringAt(element, "change"),
                            .unit = StringAt(element, "unit"),
                            .from = StringAt(element, "from"),
                            .machine = StringAt(element, "machine"),
                            .reason = StringAt(element, "reason")});
  }
  return plan;
}

std::string ToText(const PlanRequest& request) {
  json object = {{"verb", request.verb}};
  if (!request.units.empty()) {
    json units = json::array();
    for (const PlannedUnit& planned : request.units) {
      json unit = {{"name", planned.name}};
      if (planned.content) unit["content"] = *planned.content;
      if (planned.force) unit["force"] = true;
      units.push_back(std::move(unit));
    }
    object["units"] = std::move(units);
  }
  if (!request.machine.empty()) object["machine"] = request.machine;
  if (request.count) object["count"] = *request.count;
  // A number that is not set is taken back.
  if (request.verb == "scale" && !request.count) object["reset"] = true;
  if (request.max_moves) object["maxMoves"] = *request.max_moves;
  return Dump(object);
}

}  // namespace fleet::client
