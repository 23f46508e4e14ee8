#include "api/planning_json.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "api/json_reader.h"
#include "base/status.h"
#include "fmt/core.h"
#include "model/machine_word.h"
#include "model/requirements.h"
#include "model/unit_file.h"
#include "model/unit_name.h"

namespace fleet::api {
namespace {

using nlohmann::json;
using reconcile::PlannedChange;
using reconcile::PlannedUnit;
using reconcile::PlanRequest;
using reconcile::UnitExplanation;
using Verb = PlanRequest::Verb;

constexpr size_t kMaxUnits = 10'000;
constexpr int64_t kMaxCount = 10'000;

std::string_view ToString(UnitExplanation::State state) {
  switch (state) {
    case UnitExplanation::State::kNotWanted:
      return "notWanted";
    case UnitExplanation::State::kPlaced:
      return "placed";
    case UnitExplanation::State::kMoving:
      return "moving";
    case UnitExplanation::State::kWaiting:
      return "waiting";
    case UnitExplanation::State::kGlobal:
      return "global";
  }
  return "";
}

std::string_view ToString(scheduler::Remedy::Kind kind) {
  using Kind = scheduler::Remedy::Kind;
  switch (kind) {
    case Kind::kMetadata:
      return "metadata";
    case Kind::kMachineId:
      return "machineID";
    case Kind::kMachineOf:
      return "machineOf";
    case Kind::kCollocate:
      return "collocateWithin";
    case Kind::kWithoutUnit:
      return "withoutUnit";
    case Kind::kReserveCpu:
      return "reserveCPU";
    case Kind::kReserveMemory:
      return "reserveMemory";
    case Kind::kUncordon:
      return "uncordon";
  }
  return "";
}

std::string_view ToString(PlannedChange::Kind kind) {
  switch (kind) {
    case PlannedChange::Kind::kPlace:
      return "place";
    case PlannedChange::Kind::kMove:
      return "move";
    case PlannedChange::Kind::kStop:
      return "stop";
    case PlannedChange::Kind::kWait:
      return "wait";
    case PlannedChange::Kind::kStay:
      return "stay";
  }
  return "";
}

void WriteTexts(JsonWriter& out, std::string_view key, const std::vector<std::string>& texts) {
  out.Key(key).BeginArray();
  for (const std::string& text : texts) out.String(text);
  out.EndArray();
}

void WriteRuledOut(JsonWriter& out, const scheduler::RuledOut& ruled_out) {
  out.BeginObject().Always("constraint", ruled_out.constraint);
  out.Key("machines").Int(ruled_out.machines).Key("inAll").Int(ruled_out.in_all);
  out.Key("alone").Int(ruled_out.alone).EndObject();
}

void WriteRemedy(JsonWriter& out, const scheduler::Remedy& remedy) {
  using Kind = scheduler::Remedy::Kind;
  out.BeginObject().Always("kind", ToString(remedy.kind)).Always("change", remedy.text);
  out.Key("machines").Int(remedy.machines);
  out.Member("of", remedy.of).Member("name", remedy.name).Member("key", remedy.key);
  if (remedy.kind == Kind::kReserveCpu || remedy.kind == Kind::kReserveMemory) {
    out.Key("amount").Int(remedy.amount);
  }
  out.EndObject();
}

void WriteVerdict(JsonWriter& out, const scheduler::Verdict& verdict) {
  out.BeginObject().Always("machineID", verdict.machine);
  out.Key("eligible").Bool(verdict.ruled_out_by.empty());
  WriteTexts(out, "ruledOutBy", verdict.ruled_out_by);
  const scheduler::Score& score = verdict.score;
  out.Key("score").BeginObject();
  if (score.spread_value) {
    out.Always("spreadValue", *score.spread_value).Key("spread").Int(score.spread);
  }
  out.Key("load").Int(score.load).Key("byShare").Bool(score.by_share);
  out.Key("runsThere").Bool(score.runs_there).EndObject().EndObject();
}

absl::StatusOr<std::optional<int64_t>> NumberMember(const json& object, std::string_view name,
                                                    int64_t least, int64_t most) {
  const json* member = FindMember(object, name);
  if (!member) return std::nullopt;
  if (!member->is_number_integer() || *member < least || *member > most) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" must be a number from {} to {}", name, least, most));
  }
  return member->get<int64_t>();
}

absl::StatusOr<std::optional<size_t>> MaxMovesMember(const json& object) {
  ASSIGN_OR_RETURN(const auto moves, NumberMember(object, "maxMoves", 0, INT32_MAX));
  if (!moves) return std::nullopt;
  return static_cast<size_t>(*moves);
}

absl::StatusOr<PlannedUnit> ReadPlannedUnit(const json& element) {
  if (!element.is_object()) {
    return absl::InvalidArgumentError("each of \"units\" must be an object with a \"name\"");
  }
  PlannedUnit planned;
  ASSIGN_OR_RETURN(auto name, StringMember(element, "name"));
  ASSIGN_OR_RETURN(const UnitName unit, UnitName::Parse(name.value_or("")));
  planned.name = unit.full();
  ASSIGN_OR_RETURN(auto content, StringMember(element, "content"));
  ASSIGN_OR_RETURN(const bool force, BoolMember(element, "force"));
  if (content) {
    ASSIGN_OR_RETURN(UnitFile file, UnitFile::Parse(*std::move(content)));
    RETURN_IF_ERROR(CheckForSubmit(file, unit, force));
    RETURN_IF_ERROR(ParseRequirements(file, unit).status());
    planned.file = std::make_shared<const UnitFile>(std::move(file));
  }
  return planned;
}

absl::StatusOr<std::vector<PlannedUnit>> ReadPlannedUnits(const json& body) {
  std::vector<PlannedUnit> units;
  const json* list = FindMember(body, "units");
  if (!list) return units;
  if (!list->is_array() || list->size() > kMaxUnits) {
    return absl::InvalidArgumentError(
        fmt::format("\"units\" must be an array of at most {} units", kMaxUnits));
  }
  std::set<std::string> names;
  for (const json& element : *list) {
    ASSIGN_OR_RETURN(PlannedUnit planned, ReadPlannedUnit(element));
    if (!names.insert(planned.name).second) {
      return absl::InvalidArgumentError(fmt::format("unit {} is named twice", planned.name));
    }
    units.push_back(std::move(planned));
  }
  return units;
}

struct VerbName {
  std::string_view name;
  Verb verb;
  bool units = false;    // needs them
  bool machine = false;  // needs one
};
constexpr std::array<VerbName, 7> kVerbs = {
    {{.name = "start", .verb = Verb::kStart, .units = true},
     {.name = "destroy", .verb = Verb::kDestroy, .units = true},
     {.name = "drain", .verb = Verb::kDrain, .machine = true},
     {.name = "scale", .verb = Verb::kScale, .units = true},
     {.name = "rebalance", .verb = Verb::kRebalance},
     {.name = "lose", .verb = Verb::kLose, .machine = true},
     {.name = "add", .verb = Verb::kAdd, .machine = true}}};

absl::StatusOr<VerbName> ReadVerb(const json& body) {
  ASSIGN_OR_RETURN(const auto given, StringMember(body, "verb"));
  std::string names;
  for (const VerbName& verb : kVerbs) {
    if (verb.name == given) return verb;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", verb.name);
  }
  return absl::InvalidArgumentError(
      fmt::format("invalid verb \"{}\": one of {}", given.value_or(""), names));
}

}  // namespace

std::string ExplanationJson(const UnitExplanation& explanation, bool verdicts) {
  const scheduler::Explanation& why = explanation.explanation;
  JsonWriter out;
  out.BeginObject().Key("revision").Int(explanation.revision);
  out.Always("unit", explanation.unit).Always("state", ToString(explanation.state));
  WriteTexts(out, "machines", explanation.machines);
  out.Always("reason", explanation.reason);
  WriteTexts(out, "together", explanation.together);
  out.Key("total").Int(why.machines).Key("ruledOut").BeginArray();
  for (const auto* list : {&why.ruled_out, &why.also}) {
    for (const scheduler::RuledOut& ruled_out : *list) WriteRuledOut(out, ruled_out);
  }
  out.EndArray().Key("remedies").BeginArray();
  for (const scheduler::Remedy& remedy : why.remedies) WriteRemedy(out, remedy);
  out.EndArray();
  WriteTexts(out, "conflicts", why.conflicts);
  WriteTexts(out, "notes", why.notes);
  if (verdicts) {
    out.Key("verdicts").BeginArray();
    for (const scheduler::Verdict& verdict : explanation.verdicts) WriteVerdict(out, verdict);
    out.EndArray();
  }
  out.EndObject();
  return out.Take();
}

std::string PlanJson(int64_t revision, const std::vector<PlannedChange>& changes,
                     const std::vector<std::string>& skipped) {
  JsonWriter out;
  out.BeginObject().Key("revision").Int(revision).Key("changes").BeginArray();
  for (const PlannedChange& change : changes) {
    out.BeginObject().Always("change", ToString(change.kind)).Always("unit", change.unit);
    out.Member("from", change.from).Member("machine", change.machine);
    out.Member("reason", change.reason).EndObject();
  }
  out.EndArray();
  if (!skipped.empty()) WriteTexts(out, "skipped", skipped);
  out.EndObject();
  return out.Take();
}

absl::StatusOr<PlanRequest> ReadPlanRequest(const std::string& body, const ClusterView& view) {
  ASSIGN_OR_RETURN(const json parsed, ParseJson(body, "an object with a \"verb\""));
  if (!parsed.is_object()) {
    return absl::InvalidArgumentError("the body must be an object with a \"verb\"");
  }
  ASSIGN_OR_RETURN(const VerbName verb, ReadVerb(parsed));
  PlanRequest request{.verb = verb.verb};
  ASSIGN_OR_RETURN(request.units, ReadPlannedUnits(parsed));
  if (verb.units && request.units.empty()) {
    return absl::InvalidArgumentError(fmt::format("a plan of {} needs \"units\"", verb.name));
  }
  if (verb.verb == Verb::kScale && request.units.size() > 1) {
    return absl::InvalidArgumentError("a plan of scale is of one template");
  }
  ASSIGN_OR_RETURN(const auto machine, StringMember(parsed, "machine"));
  if (verb.machine) {
    if (!machine || machine->empty()) {
      return absl::InvalidArgumentError(fmt::format("a plan of {} needs a \"machine\"", verb.name));
    }
    ASSIGN_OR_RETURN(request.machine, FindPresentMachine(view, *machine));
  }
  const bool may_be_none = verb.verb == Verb::kScale;
  ASSIGN_OR_RETURN(const auto count, NumberMember(parsed, "count", may_be_none ? 0 : 1, kMaxCount));
  ASSIGN_OR_RETURN(request.resets, BoolMember(parsed, "reset"));
  if (verb.verb == Verb::kScale && request.resets == count.has_value()) {
    return absl::InvalidArgumentError("a plan of scale needs a \"count\", or \"reset\": true");
  }
  if (count) request.count = static_cast<size_t>(*count);
  ASSIGN_OR_RETURN(request.max_moves, MaxMovesMember(parsed));
  return request;
}

absl::StatusOr<std::optional<size_t>> ReadMaxMoves(const std::string& body) {
  if (body.empty()) return std::nullopt;
  ASSIGN_OR_RETURN(const json parsed, ParseJson(body, "an object"));
  if (!parsed.is_object()) return absl::InvalidArgumentError("the body must be an object");
  return MaxMovesMember(parsed);
}

}  // namespace fleet::api
