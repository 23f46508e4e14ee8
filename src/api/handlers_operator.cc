// The operator's word, which the engine acts on: POST /machines/ID/forget, POST /units/NAME/adopt,
// POST /hold/release.

#include <utility>

#include "api/api_state.h"
#include "base/status.h"
#include "fmt/core.h"
#include "model/features.h"
#include "model/machine_word.h"
#include "registry/codec.h"

namespace fleet::api {
namespace {

void Forget(ApiState& state, const Request& request, Responder respond) {
  const auto machine = FindKnownMachine(*state.view, request.path_parameter);
  if (!machine.ok()) {
    respond(ErrorResponse(machine.status()));
    return;
  }
  if (state.view->machines.Find(*machine) != nullptr) {
    respond(ErrorResponse(
        409, fmt::format("machine {} is a member of the cluster: only one that is gone can be "
                         "forgotten",
                         *machine)));
    return;
  }
  const auto* known = state.view->settings.Find(*machine);
  MachineSettings settings = known == nullptr ? MachineSettings{} : known->value;
  settings.forgotten = true;
  const auto& keys = state.context.keys;
  store::Txn txn;
  txn.compares = {
      {.target = store::Compare::Target::kCreateRevision,
       .key = keys.Machine(*machine),
       .revision = 0},
      {.key = keys.Settings(*machine), .revision = known == nullptr ? 0 : known->mod_revision}};
  txn.ops.emplace_back(
      store::Put{.key = keys.Settings(*machine), .value = registry::Encode(settings)});
  CommitAsDecided(
      state, std::move(txn),
      fmt::format("machine {} has come back, or others have changed its settings", *machine),
      std::move(respond));
}

// What a machine runs of a unit that is in no record.
absl::StatusOr<StateReport> FindOrphan(const ClusterView& view, const std::string& unit) {
  if (view.units.Find(unit) != nullptr || view.unreadable.Find("units/" + unit) != nullptr) {
    return absl::AlreadyExistsError(fmt::format("unit {} is registered", unit));
  }
  const StateReport* found = nullptr;
  for (auto it = FirstOf(view.states, unit); InUnit(it, view.states, unit); ++it) {
    if (it->second.value.gone || view.assignments.Find(it->first) != nullptr) continue;
    if (found != nullptr && found->uid != it->second.value.uid) {
      return absl::AlreadyExistsError(
          fmt::format("machines run different units of the name {}", unit));
    }
    found = &it->second.value;
  }
  if (found == nullptr) {
    return absl::NotFoundError(
        fmt::format("no machine runs a unit {} that is not registered", unit));
  }
  return *found;
}

// The engine adopts it where it runs, since it has the uid of the run.
void Adopt(ApiState& state, const Request& request, Responder respond) {
  const std::string& unit = request.path_parameter;
  const auto orphan = FindOrphan(*state.view, unit);
  if (!orphan.ok()) {
    respond(ErrorResponse(orphan.status()));
    return;
  }
  const auto* content = state.view->contents.Find(orphan->content_hash);
  const auto name = UnitName::Parse(unit);
  const auto requirements =
      content == nullptr || !name.ok()
          ? absl::StatusOr<Requirements>(absl::NotFoundError("its text is not in the registry"))
          : ParseRequirements(*content->value.file, *name);
  if (!requirements.ok()) {
    respond(ErrorResponse(
        409, fmt::format("unit {} cannot be adopted: {}; submit it instead, which restarts it",
                         unit, std::string(requirements.status().message()))));
    return;
  }
  const bool is_active = orphan->active_state == "active" || orphan->active_state == "activating" ||
                         orphan->active_state == "reloading";
  const auto& keys = state.context.keys;
  store::Txn txn;
  txn.compares = {{.key = keys.Unit(unit), .revision = 0},
                  {.target = store::Compare::Target::kCreateRevision,
                   .key = keys.Content(orphan->content_hash),
                   .revision = content->create_revision}};
  txn.ops.emplace_back(
      store::Put{.key = keys.Unit(unit),
                 .value = registry::Encode(UnitRecord{
                     .uid = orphan->uid,
                     .desired = is_active ? DesiredState::kLaunched : DesiredState::kLoaded,
                     .content_hash = orphan->content_hash,
                     .features = FeaturesOf(*requirements)})});
  CommitAsDecided(state, std::move(txn), fmt::format("unit {} has been registered meanwhile", unit),
                  std::move(respond));
}

void ReleaseHold(ApiState& state, const Request& /*request*/, Responder respond) {
  const auto& hold = state.view->hold;
  if (!hold || hold->value.released) {
    respond(ErrorResponse(404, "no hold is in force: units move off missing machines"));
    return;
  }
  HoldRecord released = hold->value;
  released.released = true;
  store::Txn txn;
  txn.compares = {{.key = state.context.keys.Cluster("hold"), .revision = hold->mod_revision}};
  txn.ops.emplace_back(
      store::Put{.key = state.context.keys.Cluster("hold"), .value = registry::Encode(released)});
  CommitAsDecided(state, std::move(txn), "the hold has just ended or is another one",
                  std::move(respond));
}

}  // namespace

void AddOperatorRoutes(ApiState& state) {
  AddWithView(state, {.method = "POST",
                      .pattern = "/fleet/v1/machines/{machineID}/forget",
                      .resource = "Machines",
                      .name = "Forget",
                      .description = "An absent Machine is gone for good: its Units have ended.",
                      .handler = [&state](const Request& request, Responder respond) {
                        Forget(state, request, std::move(respond));
                      }});
  AddWithView(state, {.method = "POST",
                      .pattern = "/fleet/v1/units/{unitName}/adopt",
                      .resource = "Units",
                      .name = "Adopt",
                      .description = "Register a Unit that runs and is in no record.",
                      .handler = [&state](const Request& request, Responder respond) {
                        Adopt(state, request, std::move(respond));
                      }});
  AddWithView(state, {.method = "POST",
                      .pattern = "/fleet/v1/hold/release",
                      .resource = "Hold",
                      .name = "Release",
                      .description = "Move Units off missing Machines although they are many.",
                      .handler = [&state](const Request& request, Responder respond) {
                        ReleaseHold(state, request, std::move(respond));
                      }});
}

}  // namespace fleet::api
