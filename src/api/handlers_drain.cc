// Machines that take nothing new, and machines that are emptied: POST /machines/ID/cordon, drain
// and uncordon, GET /machines/ID/drain. The engine carries it out.

#include <functional>
#include <utility>

#include "api/api_state.h"
#include "api/conditional.h"
#include "api/entities.h"
#include "api/json_reader.h"
#include "api/json_writer.h"
#include "api/machine_settings.h"
#include "api/run_planning.h"
#include "base/duration.h"
#include "base/status.h"
#include "fmt/core.h"
#include "model/features.h"
#include "model/machine_word.h"
#include "reconcile/planner.h"

namespace fleet::api {
namespace {

using SettingsChange = std::function<void(MachineSettings&)>;
// What a request asks for.
using ReadChange = absl::StatusOr<SettingsChange> (*)(const ApiState&, const Request&);

absl::StatusOr<SettingsChange> Cordon(const ApiState& /*state*/, const Request& /*request*/) {
  return [](MachineSettings& settings) { settings.cordoned = true; };
}

absl::StatusOr<SettingsChange> Uncordon(const ApiState& /*state*/, const Request& /*request*/) {
  return [](MachineSettings& settings) { settings.Open(); };
}

// A deadline counts from now on; a drain without one, though forced, has it now.
absl::StatusOr<SettingsChange> Drain(const ApiState& state, const Request& request) {
  absl::Time deadline = absl::InfiniteFuture();
  bool forces = false;
  if (!request.body.empty()) {
    ASSIGN_OR_RETURN(const auto body, ParseJson(request.body, "a drain"));
    if (!body.is_object()) return absl::InvalidArgumentError("a drain must be a JSON object");
    ASSIGN_OR_RETURN(const auto span, StringMember(body, "deadline"));
    ASSIGN_OR_RETURN(forces, BoolMember(body, "force"));
    const absl::Time now = state.context.executor->WallNow();
    if (forces) deadline = now;
    if (span) {
      const auto duration = ParseDuration(*span);
      if (!duration.ok()) {
        return absl::InvalidArgumentError(
            fmt::format("deadline: {}", std::string(duration.status().message())));
      }
      deadline = now + *duration;
    }
  }
  if (deadline != absl::InfiniteFuture()) {
    RETURN_IF_ERROR(CheckEnabled(*state.view, kDrainDeadlineFeature,
                                 forces ? "a drain that forces" : "a drain with a deadline"));
  }
  return [deadline, forces](MachineSettings& settings) { settings.Drain(deadline, forces); };
}

// One that is away, and of which nothing is set, is known by its whole id only: it is closed for
// when it comes back.
absl::StatusOr<std::string> FindEvenUnknown(const ClusterView& view, const std::string& word) {
  auto machine = FindKnownMachine(view, word);
  if (absl::IsNotFound(machine.status()) && IsMachineId(word)) return word;
  return machine;
}

void Change(ApiState& state, const Request& request, ReadChange read, Responder respond) {
  const auto find = read == Uncordon ? FindKnownMachine : FindEvenUnknown;
  const auto machine = find(*state.view, request.path_parameter);
  auto change = read(state, request);
  auto condition = ParsePrecondition(request.if_match, request.if_none_match);
  absl::Status status = machine.status();
  status.Update(change.status());
  status.Update(condition.status());
  if (!status.ok()) {
    respond(ErrorResponse(status));
    return;
  }
  ChangeSettingsOf(state, *machine, *std::move(change), std::move(respond), *std::move(condition));
}

std::string DrainJson(const ClusterView& view, const std::string& machine,
                      const std::vector<reconcile::HeldUnit>& left) {
  static const MachineSettings kNone;
  const auto* stored = view.settings.Find(machine);
  const MachineSettings& settings = stored == nullptr ? kNone : stored->value;
  JsonWriter json;
  json.BeginObject().Always("machineID", machine);
  json.Key("revision").Int(view.revision);
  json.Key("present").Bool(view.machines.Find(machine) != nullptr);
  json.Key("cordoned").Bool(settings.cordoned).Key("drained").Bool(settings.drained);
  WriteDeadline(json, settings);
  json.Member("lockGroup", settings.lock_group);
  json.Key("lockGranted").Bool(settings.lock_granted);
  json.Key("unitsLeft").Int(static_cast<int64_t>(left.size())).Key("left").BeginArray();
  for (const reconcile::HeldUnit& unit : left) {
    json.BeginObject().Always("unit", unit.unit).Always("reason", unit.reason);
    json.Key("cannotMove").Bool(unit.cannot_move).EndObject();
  }
  json.EndArray().EndObject();
  return json.Take();
}

void GetDrain(ApiState& state, const Request& request, Responder respond) {
  const auto machine = FindEvenUnknown(*state.view, request.path_parameter);
  if (!machine.ok()) {
    respond(ErrorResponse(machine.status()));
    return;
  }
  if (reconcile::UnitsLeftOn(*state.view, *machine).empty()) {
    respond(JsonResponse(200, DrainJson(*state.view, *machine, {})));
    return;
  }
  RunPlanning<std::vector<reconcile::HeldUnit>>(
      state,
      [view = state.view, settings = state.context.settings, id = *machine] {
        return reconcile::ExplainDrain(view, settings, id);
      },
      std::move(respond),
      [view = state.view, id = *machine](const std::vector<reconcile::HeldUnit>& left,
                                         Responder answer) {
        answer(JsonResponse(200, DrainJson(*view, id, left)));
      });
}

}  // namespace

void AddDrainRoutes(ApiState& state) {
  const auto add = [&](const char* verb, const char* name, const char* description, ReadChange read,
                       const char* schema = "") {
    AddWithView(state, {.method = "POST",
                        .pattern = std::string("/fleet/v1/machines/{machineID}/") + verb,
                        .resource = "Machines",
                        .name = name,
                        .description = description,
                        .request_schema = schema,
                        .body_optional = true,
                        .conditional = true,
                        .handler = [&state, read](const Request& request, Responder respond) {
                          Change(state, request, read, std::move(respond));
                        }});
  };
  add("cordon", "Cordon", "Nothing new is placed on a Machine.", Cordon);
  add("drain", "Drain", "The Units of a Machine move away, and nothing new comes.", Drain,
      "DrainRequest");
  add("uncordon", "Uncordon", "A Machine takes Units again.", Uncordon);
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/machines/{machineID}/drain",
                      .resource = "Machines",
                      .name = "GetDrain",
                      .description = "Which Units are left on a Machine, and why.",
                      .response_schema = "Drain",
                      .handler = [&state](const Request& request, Responder respond) {
                        GetDrain(state, request, std::move(respond));
                      }});
}

}  // namespace fleet::api
