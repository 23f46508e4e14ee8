// /machines: the list, single machines with their settings, and PATCH of metadata in fleet 1.0's
// dialect of RFC 6902.

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "api/api_state.h"
#include "api/conditional.h"
#include "api/entities.h"
#include "api/json_reader.h"
#include "api/machine_settings.h"
#include "api/page.h"
#include "base/status.h"
#include "fmt/core.h"
#include "model/machine_word.h"

namespace fleet::api {
namespace {

using nlohmann::json;

struct MetadataChange {
  std::string key;
  std::optional<std::string> value;  // unset: remove
};
using Patch = std::map<std::string, std::vector<MetadataChange>>;  // by machine, in their order

// At most `most` ids from `first` on, of the machines that are there; with `absent`, also of those
// that are away and of which something was set.
std::vector<std::string> IdsFrom(const ClusterView& view, const std::string& first, size_t most,
                                 bool absent) {
  std::vector<std::string> ids;
  const auto add = [&](const auto& records) {
    size_t count = 0;
    for (auto it = records.lower_bound(first); it != records.end() && count < most; ++it, ++count) {
      ids.push_back(it->first);
    }
  };
  add(view.machines);
  if (!absent) return ids;
  add(view.settings);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.size() > most) ids.resize(most);
  return ids;
}

Response ListMachines(const ApiState& state, const Request& request) {
  const auto page =
      ReadPageRequest(request.query, "machines", {"absent"}, state.context.token_limit);
  if (!page.ok()) return ErrorResponse(page.status());
  // Of a later page the token says it.
  const auto absent = page->filters.find("absent");
  const bool with_absent =
      request.query.IsTrue("absent") ||
      (absent != page->filters.end() && (absent->second == "true" || absent->second == "1"));
  const ClusterView& view = *state.view;
  const std::vector<std::string> ids = IdsFrom(view, page->next_unit, page->size + 1, with_absent);
  JsonWriter body;
  body.BeginObject().Key("machines").BeginArray();
  for (size_t n = 0; n < std::min(page->size, ids.size()); ++n) {
    WriteMachine(body, view, ids[n], state.counts.Of(ids[n]));
  }
  body.EndArray();
  if (ids.size() > page->size) {
    body.Always("nextPageToken", NextPageToken(*page, "machines", ids.back()));
  }
  body.EndObject();
  Response response = JsonResponse(200, body.Take());
  AddEntityTag(response);
  return response;
}

Response GetMachine(const ApiState& state, const Request& request) {
  const auto id = FindKnownMachine(*state.view, request.path_parameter);
  if (!id.ok()) return ErrorResponse(id.status());
  JsonWriter body;
  WriteMachineWithSettings(body, *state.view, *id, state.counts.Of(*id));
  Response response = JsonResponse(200, body.Take());
  const auto* settings = state.view->settings.Find(*id);
  AddEntityTag(response, TagOf(settings == nullptr ? MachineSettings{} : settings->value));
  return response;
}

// Metadata is listed as k=v,k=v and matched as k=v: what would make that ambiguous is refused.
bool IsMetadataKey(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '=' && c != ',' && c != '"' && c != '\'' &&
           c != 0x7F;
  });
}

// As long as a unit's name may be: keys stay in every mirror for ever.
constexpr size_t kLongestName = 255;
constexpr size_t kLongestValue = 4096;

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7F; });
}

absl::Status AddOperation(const json& operation, Patch& patch) {
  if (!operation.is_object()) {
    return absl::InvalidArgumentError("each operation must be an object of op, path and value");
  }
  ASSIGN_OR_RETURN(const auto op, StringMember(operation, "op"));
  ASSIGN_OR_RETURN(const auto path, StringMember(operation, "path"));
  if (op != "add" && op != "replace" && op != "remove") {
    return absl::InvalidArgumentError(
        fmt::format("invalid op \"{}\": one of add, replace and remove", op.value_or("")));
  }
  std::vector<std::string> parts = absl::StrSplit(path.value_or(""), '/');
  for (std::string& part : parts) part = absl::StrReplaceAll(part, {{"~1", "/"}, {"~0", "~"}});
  if (parts.size() != 4 || !parts[0].empty() || parts[1].empty() || HasControl(parts[1]) ||
      parts[1].find('/') != std::string::npos || parts[2] != "metadata" ||
      !IsMetadataKey(parts[3])) {
    return absl::InvalidArgumentError(
        fmt::format("invalid path \"{}\": expected /MACHINE/metadata/NAME", path.value_or("")));
  }
  if (parts[1].size() > kLongestName || parts[3].size() > kLongestName) {
    return absl::InvalidArgumentError(fmt::format(
        "invalid path: the machine's id and the name have at most {} bytes each", kLongestName));
  }
  MetadataChange change{.key = parts[3]};
  if (op != "remove") {
    const json* value = FindMember(operation, "value");
    if (value && value->is_object()) value = FindMember(*value, "value");
    if (!value || !value->is_string() || value->get_ref<const std::string&>().empty() ||
        HasControl(value->get_ref<const std::string&>())) {
      return absl::InvalidArgumentError(
          fmt::format("invalid value for {}: a string that is not empty is needed", *path));
    }
    change.value = value->get<std::string>();
    if (change.value->size() > kLongestValue) {
      return absl::InvalidArgumentError(
          fmt::format("invalid value for {}: more than {} bytes", *path, kLongestValue));
    }
  }
  patch[parts[1]].push_back(std::move(change));
  return absl::OkStatus();
}

absl::StatusOr<Patch> ReadPatch(const std::string& body) {
  ASSIGN_OR_RETURN(const json operations, ParseJson(body, "an array of operations"));
  if (!operations.is_array()) {
    return absl::InvalidArgumentError("the body must be an array of operations");
  }
  Patch patch;
  for (const json& operation : operations) RETURN_IF_ERROR(AddOperation(operation, patch));
  if (patch.size() > store::kMaxTxnSize) {
    return absl::InvalidArgumentError(
        fmt::format("one request can change at most {} machines", store::kMaxTxnSize));
  }
  return patch;
}

void Apply(const std::vector<MetadataChange>& changes, MachineSettings& settings) {
  for (const MetadataChange& change : changes) {
    auto& removed = settings.removed_metadata;
    const auto at = std::lower_bound(removed.begin(), removed.end(), change.key);
    const bool is_removed = at != removed.end() && *at == change.key;
    if (change.value) {
      settings.set_metadata[change.key] = *change.value;
      if (is_removed) removed.erase(at);
    } else {
      settings.set_metadata.erase(change.key);
      if (!is_removed) removed.insert(at, change.key);
    }
  }
}

void PatchMachines(ApiState& state, const Request& request, Responder respond) {
  auto patch = ReadPatch(request.body);
  auto condition = ParsePrecondition(request.if_match, request.if_none_match);
  if (!patch.ok() || !condition.ok()) {
    respond(ErrorResponse(patch.ok() ? condition.status() : patch.status()));
  } else if (condition->IsSet() && patch->size() != 1) {
    respond(ErrorResponse(
        400, "If-Match and If-None-Match are for a request that changes one machine's settings"));
  } else if (patch->empty()) {
    respond(JsonResponse(204, ""));
  } else if (patch->size() == 1) {
    auto& [machine, of_machine] = *patch->begin();
    ChangeSettingsOf(
        state, machine,
        [of = std::move(of_machine)](MachineSettings& settings) { Apply(of, settings); },
        std::move(respond), *std::move(condition));
  } else {
    SettingsChanges changes;
    for (auto& [machine, of_machine] : *patch) {
      changes[machine] = [of = std::move(of_machine)](MachineSettings& settings) {
        Apply(of, settings);
      };
    }
    ChangeSettings(state, std::move(changes), std::move(respond),
                   [] { return JsonResponse(204, ""); });
  }
}

}  // namespace

void AddMachineRoutes(ApiState& state) {
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/machines",
                      .resource = "Machines",
                      .name = "List",
                      .description = "Retrieve a page of Machine objects.",
                      .parameters = {"nextPageToken", "limit", "absent"},
                      .response_schema = "MachinePage",
                      .conditional = true,
                      .handler = [&state](const Request& request, Responder respond) {
                        respond(ListMachines(state, request));
                      }});
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/machines/{machineID}",
                      .resource = "Machines",
                      .name = "Get",
                      .description = "Retrieve a single Machine object, with its settings.",
                      .response_schema = "Machine",
                      .conditional = true,
                      .handler = [&state](const Request& request, Responder respond) {
                        respond(GetMachine(state, request));
                      }});
  AddWithView(state, {.method = "PATCH",
                      .pattern = "/fleet/v1/machines",
                      .resource = "Machines",
                      .name = "Patch",
                      .description = "Set and remove metadata of machines.",
                      .request_schema = "MachinePatch",
                      .any_member = true,
                      .conditional = true,
                      .handler = [&state](const Request& request, Responder respond) {
                        PatchMachines(state, request, std::move(respond));
                      }});
}

}  // namespace fleet::api
