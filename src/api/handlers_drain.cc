// Machines that take nothing new, and machines that are emptied: POST /machines/ID/cordon, drain
// and uncordon, GET /machines/ID/drain. The engine carries it out.

#include <utility>

#include "api/api_state.h"
#include "api/json_writer.h"
#include "api/machine_settings.h"
#include "api/run_planning.h"
#include "reconcile/planner.h"

namespace fleet::api {
namespace {

void Cordon(MachineSettings& settings) { settings.cordoned = true; }

void Drain(MachineSettings& settings) { settings.drained = true; }

// It takes units again, whatever kept them away.
void Uncordon(MachineSettings& settings) {
  settings.cordoned = settings.drained = settings.lock_granted = false;
  settings.lock_group.clear();
}

void Change(ApiState& state, const Request& request, void (*change)(MachineSettings&),
            Responder respond) {
  const auto machine = FindKnownMachine(*state.view, request.path_parameter);
  if (!machine.ok()) {
    respond(ErrorResponse(machine.status()));
    return;
  }
  ChangeSettings(state, {{*machine, change}}, std::move(respond),
                 [] { return JsonResponse(204, ""); });
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
  const auto machine = FindKnownMachine(*state.view, request.path_parameter);
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
  const auto add = [&](const char* verb, const char* name, const char* description,
                       void (*change)(MachineSettings&)) {
    AddWithView(state, {.method = "POST",
                        .pattern = std::string("/fleet/v1/machines/{machineID}/") + verb,
                        .resource = "Machines",
                        .name = name,
                        .description = description,
                        .handler = [&state, change](const Request& request, Responder respond) {
                          Change(state, request, change, std::move(respond));
                        }});
  };
  add("cordon", "Cordon", "Nothing new is placed on a Machine.", Cordon);
  add("drain", "Drain", "The Units of a Machine move away, and nothing new comes.", Drain);
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
