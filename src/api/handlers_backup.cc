// GET /backup: what users have asked of the cluster, all of one view, as the document that
// docs/backup.md describes.

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "api/api_state.h"
#include "api/json_writer.h"
#include "fmt/core.h"

namespace fleet::api {
namespace {

constexpr int kVersion = 1;

bool IsUserRecord(std::string_view name) {
  return name.starts_with("units/") || name.starts_with("settings/") ||
         name.starts_with("rollouts/");
}

void WriteUnits(JsonWriter& json, const ClusterView& view) {
  json.Key("units").BeginArray();
  for (auto it = view.units.begin(); it != view.units.end(); ++it) {
    const UnitRecord& record = it->second.value;
    const auto* content = view.contents.Find(record.content_hash);
    if (content == nullptr) continue;  // told as unreadable
    json.BeginObject().Always("name", it->first);
    json.Always("desiredState", ToString(record.desired));
    json.Always("content", content->value.file->text());
    if (record.replicas) json.Key("replicas").Int(*record.replicas);
    if (record.made_by_replicas) json.Key("madeByReplicas").Bool(true);
    json.EndObject();
  }
  json.EndArray();
}

void WriteMachines(JsonWriter& json, const ClusterView& view) {
  json.Key("machines").BeginArray();
  for (auto it = view.settings.begin(); it != view.settings.end(); ++it) {
    const MachineSettings& settings = it->second.value;
    // A drain that has expired goes on as what is left of it.
    const bool is_drained = settings.drained && !settings.drain_expired;
    const bool is_cordoned = settings.cordoned || (settings.drained && settings.drain_expired);
    if (settings.set_metadata.empty() && settings.removed_metadata.empty() && !is_drained &&
        !is_cordoned) {
      continue;
    }
    json.BeginObject().Always("id", it->first);
    json.Key("metadata").BeginObject();
    for (const auto& [key, value] : settings.set_metadata) json.Always(key, value);
    json.EndObject().Key("removedMetadata").BeginArray();
    for (const std::string& key : settings.removed_metadata) json.String(key);
    json.EndArray();
    if (is_cordoned) json.Key("cordoned").Bool(true);
    if (is_drained) json.Key("drained").Bool(true);
    json.EndObject();
  }
  json.EndArray();
}

// The texts that were rolled out, the latest first, as far as the registry still has them.
void WriteRollouts(JsonWriter& json, const ClusterView& view) {
  json.Key("rollouts").BeginArray();
  for (const auto& [name, stored] : view.rollouts) {
    json.BeginObject().Always("name", name).Key("history").BeginArray();
    for (const FormerContent& former : stored.value.history) {
      const auto* content = view.contents.Find(former.content_hash);
      if (content == nullptr) continue;
      json.BeginObject().Always("content", content->value.file->text());
      if (former.since != absl::UnixEpoch()) {
        json.Always("since",
                    absl::FormatTime(absl::RFC3339_sec, former.since, absl::UTCTimeZone()));
      }
      json.Always("how", former.how).EndObject();
    }
    json.EndArray().EndObject();
  }
  json.EndArray();
}

// What a complete backup would have: nobody is to take the rest for all of it.
void WriteUnreadable(JsonWriter& json, const ClusterView& view) {
  json.Key("unreadable").BeginArray();
  for (auto it = view.unreadable.begin(); it != view.unreadable.end(); ++it) {
    if (IsUserRecord(it->first)) json.String(it->first);
  }
  for (auto it = view.units.begin(); it != view.units.end(); ++it) {
    const std::string& hash = it->second.value.content_hash;
    if (view.contents.Find(hash) == nullptr) {
      json.String(fmt::format("contents/{} of {}", hash, it->first));
    }
  }
  json.EndArray();
}

Response GetBackup(const ApiState& state) {
  const ClusterView& view = *state.view;
  JsonWriter body;
  body.BeginObject().Always("format", "fleet backup").Key("version").Int(kVersion);
  body.Always("created", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", state.context.executor->WallNow(),
                                          absl::UTCTimeZone()));
  body.Always("fleetVersion", state.context.version).Key("revision").Int(view.revision);
  WriteUnits(body, view);
  WriteMachines(body, view);
  WriteRollouts(body, view);
  WriteUnreadable(body, view);
  body.EndObject();
  return JsonResponse(200, body.Take());
}

}  // namespace

void AddBackupRoutes(ApiState& state) {
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/backup",
                      .resource = "Backup",
                      .name = "Get",
                      .description = "All texts, desired states, machine settings and histories "
                                     "of texts, at one revision.",
                      .response_schema = "Backup",
                      .handler = [&state](const Request&, Responder respond) {
                        respond(GetBackup(state));
                      }});
}

}  // namespace fleet::api
