#include "api/entities.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "model/requirements.h"
#include "model/unit_name.h"
#include "model/unit_status.h"

namespace fleet::api {
namespace {

void WriteOptions(JsonWriter& json, const UnitFile& file) {
  json.Key("options").BeginArray();
  for (const UnitOption& option : file.options()) {
    json.BeginObject();
    json.Always("section", option.section).Always("name", option.name);
    json.Always("value", option.value).EndObject();
  }
  json.EndArray();
}

void WriteReport(JsonWriter& json, const StateReport* report) {
  if (report == nullptr) return;
  json.Member("systemdLoadState", report->load_state);
  json.Member("systemdActiveState", report->active_state);
  json.Member("systemdSubState", report->sub_state);
}

// A global unit as a whole: as far as its slowest machine; failed if one has failed.
UnitStatus Combine(const UnitRecord& record, const std::vector<UnitStatus>& parts) {
  UnitStatus whole;
  whole.reason = record.refusal;
  if (parts.empty()) {
    whole.progress = record.desired == DesiredState::kInactive ? Progress::kReached
                     : record.refusal.empty()                  ? Progress::kPending
                                                               : Progress::kWaiting;
    return whole;
  }
  whole.current = std::min_element(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
                    return a.current < b.current;
                  })->current;
  whole.progress = Progress::kReached;
  for (const UnitStatus& part : parts) {
    if (part.progress == Progress::kFailed && whole.progress != Progress::kFailed) {
      whole.progress = Progress::kFailed;
      whole.reason = part.reason;
      whole.log_tail = part.log_tail;
    } else if (part.progress != Progress::kReached && whole.progress != Progress::kFailed) {
      whole.progress = Progress::kPending;
      if (whole.reason.empty()) whole.reason = part.reason;
    }
  }
  return whole;
}

void WriteProgress(JsonWriter& json, const UnitStatus& status) {
  json.Always("progress", ToString(status.progress)).Member("reason", status.reason);
  WriteReport(json, status.report);
  if (status.report != nullptr) json.Member("drift", status.report->drift);
  json.Member("logTail", status.log_tail);
}

void WriteGlobalStatus(JsonWriter& json, const ClusterView& view, const UnitName& name,
                       const UnitRecord& record) {
  const std::vector<std::string> machines = AssignedTo(view, name.full());
  std::vector<UnitStatus> parts;
  parts.reserve(machines.size());
  for (const std::string& machine : machines) parts.push_back(StatusOn(view, name, machine));
  const UnitStatus whole = Combine(record, parts);
  json.Always("currentState", ToString(whole.current)).Key("global").Bool(true);
  WriteProgress(json, whole);
  json.Key("machines").BeginArray();
  for (size_t i = 0; i < machines.size(); ++i) {
    json.BeginObject().Always("machineID", machines[i]);
    json.Always("currentState", ToString(parts[i].current));
    WriteProgress(json, parts[i]);
    json.EndObject();
  }
  json.EndArray();
}

void WritePlacedStatus(JsonWriter& json, const ClusterView& view, const UnitName& name) {
  const UnitStatus status = StatusOf(view, name);
  json.Always("currentState", ToString(status.current));
  json.Member("machineID", status.machine);
  const std::vector<std::string> machines = AssignedTo(view, name.full());
  if (!machines.empty()) json.Always("target", machines[0]);
  json.Member("moveTo", view.units.Find(name.full())->value.move_to);
  WriteProgress(json, status);
}

}  // namespace

std::optional<int64_t> ReplicasOf(const ClusterView& view, const UnitName& name,
                                  const UnitRecord& record) {
  const auto* content = view.contents.Find(record.content_hash);
  if (record.replicas || content == nullptr) return record.replicas;
  const auto requirements = ParseRequirements(*content->value.file, name);
  return requirements.ok() ? requirements->replicas : std::nullopt;
}

std::vector<std::string> AssignedTo(const ClusterView& view, const std::string& name) {
  const std::string& uid = view.units.Find(name)->value.uid;
  std::vector<std::string> machines;
  const auto& map = view.assignments;
  for (auto it = FirstOf(map, name); InUnit(it, map, name); ++it) {
    const Assignment& assignment = it->second.value;
    if (assignment.uid != uid || assignment.state == AssignmentState::kGone) continue;
    machines.push_back(it->first.machine);
  }
  return machines;
}

bool IsGlobal(const UnitFile& file) {
  // The last one counts, as in ParseRequirements; read here without making requirements of it all.
  const auto& options = file.options();
  for (auto it = options.rbegin(); it != options.rend(); ++it) {
    if (it->section != "X-Fleet" || it->name != "Global") continue;
    const std::string value = absl::AsciiStrToLower(it->value);
    return value == "true" || value == "yes" || value == "1" || value == "on" || value == "t";
  }
  return false;
}

void WriteUnit(JsonWriter& json, const ClusterView& view, const std::string& name, Detail detail) {
  const UnitRecord& record = view.units.Find(name)->value;
  const Stored<Content>* content = view.contents.Find(record.content_hash);
  const UnitFile* file = content ? content->value.file.get() : nullptr;
  json.BeginObject().Always("name", name);
  if (detail == Detail::kFull && file != nullptr) WriteOptions(json, *file);
  json.Always("desiredState", ToString(record.desired));
  json.Member("uid", record.uid).Member("hash", record.content_hash);
  if (detail == Detail::kFull && file != nullptr) json.Always("content", file->text());
  if (file != nullptr) json.Member("description", file->Description());
  if (record.made_by_replicas) json.Key("madeByReplicas").Bool(true);
  if (const auto parsed = UnitName::Parse(name); parsed.ok()) {
    const auto replicas =
        parsed->is_template() ? ReplicasOf(view, *parsed, record) : std::optional<int64_t>();
    if (replicas) json.Key("replicas").Int(*replicas);
    if (file != nullptr && IsGlobal(*file)) {
      WriteGlobalStatus(json, view, *parsed, record);
    } else {
      WritePlacedStatus(json, view, *parsed);
    }
  }
  json.EndObject();
}

bool IsListed(const StateReport& report) { return !report.gone; }

void WriteState(JsonWriter& json, const UnitOnMachine& where, const StateReport& report) {
  json.BeginObject().Always("name", where.unit).Always("hash", report.content_hash);
  json.Always("machineID", where.machine);
  json.Always("systemdLoadState", report.load_state);
  json.Always("systemdActiveState", report.active_state);
  json.Always("systemdSubState", report.sub_state);
  json.Member("drift", report.drift).EndObject();
}

std::string_view StateOf(const MachineRecord& machine, const Stored<MachineSettings>* settings,
                         int64_t units) {
  if (machine.leaving) return "leaving";
  if (settings == nullptr || !settings->value.IsClosed()) return "ready";
  if (!settings->value.IsEmptied()) {
    return settings->value.drained ? "drain-expired" : "cordoned";
  }
  return units > 0 ? "draining" : "drained";
}

void WriteDeadline(JsonWriter& json, const MachineSettings& settings) {
  if (!settings.drained || settings.drain_deadline == absl::InfiniteFuture()) return;
  json.Always("deadline",
              absl::FormatTime(absl::RFC3339_sec, settings.drain_deadline, absl::UTCTimeZone()));
  json.Key("forces").Bool(settings.drain_forces).Key("expired").Bool(settings.drain_expired);
}

namespace {

void WriteMap(JsonWriter& json, std::string_view key,
              const std::map<std::string, std::string>& of) {
  json.Key(key).BeginObject();
  for (const auto& [name, value] : of) json.Always(name, value);
  json.EndObject();
}

// What FleetLock has of the machine, if it has asked for a slot.
void WriteLock(JsonWriter& json, const MachineSettings& settings) {
  if (settings.lock_group.empty()) return;
  json.Always("lockGroup", settings.lock_group);
  json.Key("lockGranted").Bool(settings.lock_granted);
}

// `machine` may be absent.
void WriteMachineMembers(JsonWriter& json, const std::string& id, const MachineRecord* record,
                         const Stored<MachineSettings>* settings, int64_t units) {
  static const MachineRecord kAbsent;
  const MachineRecord& machine = record == nullptr ? kAbsent : *record;
  json.Always("id", id).Always("primaryIP", machine.address);
  WriteMap(json, "metadata", EffectiveMetadata(machine, settings ? &settings->value : nullptr));
  json.Member("hostname", machine.hostname).Member("version", machine.version);
  json.Always("state", record == nullptr ? "absent" : StateOf(machine, settings, units));
  json.Key("units").Int(units);
  if (settings != nullptr && settings->value.cordoned) json.Key("cordoned").Bool(true);
  if (settings != nullptr && settings->value.drained) json.Key("drained").Bool(true);
  if (settings != nullptr) {
    WriteDeadline(json, settings->value);
    WriteLock(json, settings->value);
  }
  if (!machine.api_endpoints.empty()) {
    json.Key("apiEndpoints").BeginArray();
    for (const std::string& endpoint : machine.api_endpoints) json.String(endpoint);
    json.EndArray();
  }
  json.Member("systemdUser", machine.systemd_user);
}

}  // namespace

void WriteMachine(JsonWriter& json, const ClusterView& view, const std::string& id, int64_t units) {
  const auto* record = view.machines.Find(id);
  json.BeginObject();
  WriteMachineMembers(json, id, record == nullptr ? nullptr : &record->value,
                      view.settings.Find(id), units);
  json.EndObject();
}

void WriteMachineWithSettings(JsonWriter& json, const ClusterView& view, const std::string& id,
                              int64_t units) {
  static const MachineSettings kNone;
  const auto* record = view.machines.Find(id);
  const auto* stored = view.settings.Find(id);
  const MachineSettings& settings = stored == nullptr ? kNone : stored->value;
  json.BeginObject();
  WriteMachineMembers(json, id, record == nullptr ? nullptr : &record->value, stored, units);
  json.Key("settings").BeginObject();
  WriteMap(json, "metadata", settings.set_metadata);
  json.Key("removedMetadata").BeginArray();
  for (const std::string& name : settings.removed_metadata) json.String(name);
  json.EndArray();
  json.Key("cordoned").Bool(settings.cordoned).Key("drained").Bool(settings.drained);
  json.Member("lockGroup", settings.lock_group);
  json.Key("lockGranted").Bool(settings.lock_granted);
  json.EndObject().EndObject();
}

void WriteRemoved(JsonWriter& json, std::string_view name, std::string_view machine) {
  json.BeginObject().Member("name", name).Member("machineID", machine).EndObject();
}

}  // namespace fleet::api
