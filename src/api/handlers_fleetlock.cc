// FleetLock, by which machines that update themselves ask whether they may reboot (Zincati and
// others): POST /v1/pre-reboot, /v1/steady-state. The request is noted in the machine's settings;
// the engine grants the slot and empties the machine, and the updater asks again until it has.

#include <algorithm>
#include <memory>
#include <utility>

#include "api/api_state.h"
#include "api/json_reader.h"
#include "api/json_writer.h"
#include "api/machine_settings.h"
#include "fmt/core.h"
#include "reconcile/planner.h"

namespace fleet::api {
namespace {

using nlohmann::json;

struct LockRequest {
  std::string id;
  std::string group;
};

// As the protocol has them: `kind` for programs, `value` for people.
Response LockError(int code, std::string_view kind, std::string_view value) {
  JsonWriter body;
  body.BeginObject().Always("kind", kind).Always("value", value).EndObject();
  return JsonResponse(code, body.Take());
}

bool IsGroup(std::string_view group) {
  return !group.empty() && group.size() <= 255 &&
         std::all_of(group.begin(), group.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-';
         });
}

absl::StatusOr<LockRequest> ReadLockRequest(const Request& request) {
  if (request.fleet_lock_protocol != "true") {
    return absl::InvalidArgumentError("the header \"fleet-lock-protocol: true\" is missing");
  }
  const auto body = ParseJson(request.body, "an object with client_params");
  if (!body.ok()) return body.status();
  if (!body->is_object()) return absl::InvalidArgumentError("the body must be an object");
  const json* params = FindMember(*body, "client_params");
  if (params == nullptr || !params->is_object()) {
    return absl::InvalidArgumentError("client_params, an object of id and group, is missing");
  }
  const auto id = StringMember(*params, "id");
  if (!id.ok()) return id.status();
  const auto group = StringMember(*params, "group");
  if (!group.ok()) return group.status();
  LockRequest read = {.id = id->value_or(""), .group = group->value_or("")};
  // Ids are written with and without dashes.
  std::erase(read.id, '-');
  if (read.id.empty()) return absl::InvalidArgumentError("client_params.id is missing");
  if (!IsGroup(read.group)) {
    return absl::InvalidArgumentError("client_params.group must match ^[a-zA-Z0-9.-]+$");
  }
  return read;
}

// A request is noted as repeated when the last one is so old.
constexpr absl::Duration kRepeatedEvery = absl::Minutes(1);

// The machine that has the id, or publishes it as the one that its updater derives from its own.
std::string FindAsker(const ClusterView& view, const std::string& id) {
  if (view.machines.Find(id) != nullptr || view.settings.Find(id) != nullptr) return id;
  for (const auto& [machine, record] : view.machines) {
    if (record.value.lock_id == id) return machine;
  }
  return "";
}

// What the machine still waits for; 200 once it may reboot. The view may be old: a slot counts only
// if the settings that grant it are still the machine's.
void AnswerPreReboot(ApiState& state, const std::string& machine, Responder respond) {
  const ClusterView& view = *state.view;
  const auto* stored = view.settings.Find(machine);
  if (stored == nullptr || !stored->value.lock_granted) {
    respond(LockError(409, "no_slot",
                      "the machine has asked for a slot to reboot and has not been granted it yet; "
                      "ask again"));
    return;
  }
  const auto left = reconcile::UnitsLeftOn(view, machine);
  if (!left.empty()) {
    respond(LockError(
        409, "draining",
        fmt::format("{} units have to leave the machine before it may reboot, {} is one of them "
                    "(fleetctl drain --status says what holds them); ask again",
                    left.size(), left.front())));
    return;
  }
  store::Txn txn;
  txn.compares = {{.key = state.context.keys.Settings(machine), .revision = stored->mod_revision}};
  state.context.store->Commit(
      std::move(txn),
      [respond = std::move(respond)](const absl::StatusOr<store::TxnResult>& result) mutable {
        if (!result.ok()) {
          respond(LockError(503, "unavailable", std::string(result.status().message())));
        } else if (!result->succeeded) {
          respond(LockError(409, "changed", "the machine's settings have just changed; ask again"));
        } else {
          respond(JsonResponse(200, "{}"));
        }
      });
}

// The errors of changing settings, in the protocol's words.
Responder InWordsOfTheProtocol(Responder respond) {
  return [respond = std::move(respond)](Response response) mutable {
    if (response.code < 400 || response.body.starts_with("{\"kind\"")) {
      respond(std::move(response));
      return;
    }
    std::string message = "the registry did not store it";
    if (const json body = json::parse(response.body, nullptr, /*allow_exceptions=*/false);
        body.is_object() && body.contains("error")) {
      message = body["error"].value("message", message);
    }
    respond(LockError(response.code, "unavailable", message));
  };
}

using Handler = void (*)(ApiState&, const std::string& machine, const LockRequest&, Responder);

// Settings that note a request at its time.
void NoteRequest(MachineSettings& settings, const LockRequest& request, absl::Time now) {
  if (settings.lock_granted) return;
  if (settings.lock_group != request.group) settings.lock_since = now;
  settings.lock_group = request.group;
  settings.lock_repeated = now;
}

void PreReboot(ApiState& state, const std::string& machine, const LockRequest& request,
               Responder respond) {
  const absl::Time now = state.context.executor->WallNow();
  const auto* stored = state.view->settings.Find(machine);
  if (stored != nullptr && stored->value.lock_group == request.group &&
      (stored->value.lock_granted || now - stored->value.lock_repeated < kRepeatedEvery)) {
    AnswerPreReboot(state, machine, std::move(respond));
    return;
  }
  if (stored != nullptr && stored->value.lock_granted) {
    respond(
        LockError(409, "other_group",
                  fmt::format("the machine has a slot of the group {}, which steady-state gives "
                              "back",
                              stored->value.lock_group)));
    return;
  }
  const auto ask = [request, now](MachineSettings& settings) {
    NoteRequest(settings, request, now);
  };
  auto responder = std::make_shared<Responder>(InWordsOfTheProtocol(std::move(respond)));
  ChangeSettings(
      state, {{machine, ask}},
      [responder](Response response) { (*responder)(std::move(response)); },
      [] {
        return LockError(409, "no_slot",
                         "the machine has asked for a slot to reboot; ask again until it has been "
                         "granted and the machine is empty");
      });
}

void SteadyState(ApiState& state, const std::string& machine, const LockRequest& /*request*/,
                 Responder respond) {
  // It would be the next one's turn although this one has not come up as it was.
  const auto* stored = state.view->settings.Find(machine);
  if (stored != nullptr && stored->value.lock_granted &&
      state.view->machines.Find(machine) == nullptr) {
    respond(
        LockError(409, "not_joined",
                  "the machine has not joined the cluster again, and keeps its slot; ask again"));
    return;
  }
  const auto give_back = [](MachineSettings& settings) { settings.GiveBackSlot(); };
  ChangeSettings(state, {{machine, give_back}}, InWordsOfTheProtocol(std::move(respond)),
                 [] { return JsonResponse(200, "{}"); });
}

void Add(ApiState& state, const char* path, const char* what, Handler handler) {
  state.router.Add(
      {.method = "POST",
       .pattern = path,
       .description = what,
       .request_schema = "LockRequest",
       .protocol_header = "fleet-lock-protocol",
       .response_schema = "LockAnswer",
       .error_schema = "LockError",
       .any_content_type = true,  // its own header is asked for
       .handler = [&state, handler](const Request& request, Responder respond) {
         const auto read = ReadLockRequest(request);
         if (!read.ok()) {
           respond(LockError(400, "bad_request", std::string(read.status().message())));
           return;
         }
         if (!state.view) {
           respond(LockError(503, "unavailable", "fleetd has not joined the cluster yet"));
           return;
         }
         const std::string machine = FindAsker(*state.view, read->id);
         if (machine.empty()) {
           respond(LockError(404, "unknown_machine",
                             fmt::format("no machine of the cluster has the id {}", read->id)));
           return;
         }
         handler(state, machine, *read, std::move(respond));
       }});
}

}  // namespace

void AddFleetLockRoutes(ApiState& state) {
  Add(state, "/v1/pre-reboot", "FleetLock: a Machine asks whether it may reboot.", PreReboot);
  Add(state, "/v1/steady-state", "FleetLock: a Machine is up again.", SteadyState);
}

}  // namespace fleet::api
