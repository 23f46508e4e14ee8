#include "fleetctl/backup_document.h"

#include <utility>

#include "base/status.h"
#include "client/text.h"
#include "model/records.h"
#include "model/requirements.h"
#include "model/unit_file.h"
#include "model/unit_name.h"
#include "nlohmann/json.hpp"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFormat = "fleet backup";
constexpr int kVersion = 1;

// One object of the document. Members are asked for by name; what was not asked for is unknown: a
// misspelled member of an edited file must not be dropped without a word.
class Members {
 public:
  Members(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  absl::Status Check(bool fits, std::string_view name, std::string_view wanted) const {
    if (fits) return absl::OkStatus();
    return absl::InvalidArgumentError(Cat(where_, ": \"", name, "\" has to be ", wanted));
  }

  absl::StatusOr<std::string> Text(const std::string& name, bool required) {
    const json* member = Find(name);
    if (member == nullptr && !required) return std::string();
    RETURN_IF_ERROR(Check(member != nullptr && member->is_string(), name, "a text"));
    return member->get<std::string>();
  }

  absl::StatusOr<int64_t> Number(const std::string& name) {
    const json* member = Find(name);
    if (member == nullptr) return 0;
    RETURN_IF_ERROR(Check(member->is_number_integer(), name, "a whole number"));
    return member->get<int64_t>();
  }

  absl::StatusOr<std::optional<int64_t>> OptionalNumber(const std::string& name) {
    const json* member = Find(name);
    if (member == nullptr) return std::nullopt;
    RETURN_IF_ERROR(Check(member->is_number_integer(), name, "a whole number"));
    return member->get<int64_t>();
  }

  absl::StatusOr<bool> Flag(const std::string& name) {
    const json* member = Find(name);
    if (member == nullptr) return false;
    RETURN_IF_ERROR(Check(member->is_boolean(), name, "true or false"));
    return member->get<bool>();
  }

  // Empty if it is not there and not required.
  absl::StatusOr<json::array_t> Array(const std::string& name, bool required) {
    const json* member = Find(name);
    if (member == nullptr && !required) return json::array_t();
    RETURN_IF_ERROR(Check(member != nullptr && member->is_array(), name, "an array"));
    return member->get_ref<const json::array_t&>();
  }

  absl::StatusOr<std::vector<std::string>> Texts(const std::string& name) {
    ASSIGN_OR_RETURN(const json::array_t elements, Array(name, false));
    std::vector<std::string> texts;
    for (const json& element : elements) {
      RETURN_IF_ERROR(Check(element.is_string(), name, "an array of texts"));
      texts.push_back(element.get<std::string>());
    }
    return texts;
  }

  absl::StatusOr<std::map<std::string, std::string>> TextMap(const std::string& name) {
    std::map<std::string, std::string> texts;
    const json* member = Find(name);
    if (member == nullptr) return texts;
    RETURN_IF_ERROR(Check(member->is_object(), name, "an object"));
    for (const auto& [key, value] : member->items()) {
      RETURN_IF_ERROR(Check(value.is_string(), name, "an object of texts"));
      texts[key] = value.get<std::string>();
    }
    return texts;
  }

  absl::Status NoOthers() const {
    for (const auto& [key, value] : object_.items()) {
      if (!asked_.contains(key))
        return absl::InvalidArgumentError(Cat(where_, ": unknown member \"", key, "\""));
    }
    return absl::OkStatus();
  }

 private:
  const json* Find(const std::string& name) {
    asked_.insert(name);
    const auto it = object_.find(name);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }

  const json& object_;
  std::string where_;
  std::set<std::string> asked_;
};

absl::Status CheckUnit(const BackupUnit& unit, std::string_view where) {
  const auto refuse = [&](std::string_view why) {
    return absl::InvalidArgumentError(Cat(where, ": ", why));
  };
  const auto name = UnitName::Parse(unit.name);
  if (!name.ok()) return refuse(MessageOf(name.status()));
  const auto desired = ParseDesiredState(unit.desired_state);
  if (!desired)
    return refuse(Cat("\"desiredState\" has to be inactive, loaded or launched, not \"",
                      unit.desired_state, "\""));
  if (name->is_template() && *desired != DesiredState::kInactive)
    return refuse(Cat("a template cannot be ", unit.desired_state));
  if (unit.replicas &&
      (!name->is_template() || *unit.replicas < 0 || *unit.replicas > kMaxReplicas))
    return refuse(Cat("\"replicas\" is of a template, and a number from 0 to ", kMaxReplicas));
  const auto file = UnitFile::Parse(unit.content);
  if (!file.ok()) return refuse(MessageOf(file.status()));
  return absl::OkStatus();
}

absl::StatusOr<BackupUnit> UnitFrom(const json& element, std::string_view origin, size_t number) {
  std::string where = Cat(origin, ": unit number ", number);
  if (!element.is_object()) return absl::InvalidArgumentError(Cat(where, " has to be an object"));
  if (const auto name = element.find("name"); name != element.end() && name->is_string())
    where = Cat(origin, ": unit ", name->get_ref<const std::string&>());
  Members members(element, where);
  BackupUnit unit;
  ASSIGN_OR_RETURN(unit.name, members.Text("name", true));
  ASSIGN_OR_RETURN(unit.desired_state, members.Text("desiredState", true));
  ASSIGN_OR_RETURN(unit.content, members.Text("content", true));
  ASSIGN_OR_RETURN(unit.replicas, members.OptionalNumber("replicas"));
  ASSIGN_OR_RETURN(unit.made_by_replicas, members.Flag("madeByReplicas"));
  RETURN_IF_ERROR(members.NoOthers());
  RETURN_IF_ERROR(CheckUnit(unit, where));
  return unit;
}

absl::StatusOr<BackupMachine> MachineFrom(const json& element, std::string_view origin,
                                          size_t number) {
  const std::string where = Cat(origin, ": machine number ", number);
  if (!element.is_object()) return absl::InvalidArgumentError(Cat(where, " has to be an object"));
  Members members(element, where);
  BackupMachine machine;
  ASSIGN_OR_RETURN(machine.id, members.Text("id", true));
  ASSIGN_OR_RETURN(machine.metadata, members.TextMap("metadata"));
  ASSIGN_OR_RETURN(const auto removed, members.Texts("removedMetadata"));
  ASSIGN_OR_RETURN(machine.cordoned, members.Flag("cordoned"));
  ASSIGN_OR_RETURN(machine.drained, members.Flag("drained"));
  RETURN_IF_ERROR(members.NoOthers());
  for (const std::string& key : removed) {
    if (machine.metadata.contains(key))
      return absl::InvalidArgumentError(Cat(where, ": metadata ", key, " is both set and removed"));
    machine.removed_metadata.insert(key);
  }
  return machine;
}

absl::StatusOr<BackupHistory> HistoryFrom(const json& element, std::string_view origin,
                                          size_t number) {
  const std::string where = Cat(origin, ": rollout number ", number);
  if (!element.is_object()) return absl::InvalidArgumentError(Cat(where, " has to be an object"));
  Members members(element, where);
  BackupHistory history;
  ASSIGN_OR_RETURN(history.name, members.Text("name", true));
  ASSIGN_OR_RETURN(const json::array_t texts, members.Array("history", true));
  RETURN_IF_ERROR(members.NoOthers());
  for (const json& entry : texts) {
    if (!entry.is_object())
      return absl::InvalidArgumentError(Cat(where, ": each text has to be an object"));
    Members its(entry, where);
    BackupText text;
    ASSIGN_OR_RETURN(text.content, its.Text("content", true));
    ASSIGN_OR_RETURN(text.since, its.Text("since", false));
    ASSIGN_OR_RETURN(text.how, its.Text("how", false));
    RETURN_IF_ERROR(its.NoOthers());
    history.texts.push_back(std::move(text));
  }
  return history;
}

absl::Status NotABackup(const std::string& text, std::string_view origin) {
  const std::string_view stripped = Strip(text);
  if (stripped.empty()) return absl::InvalidArgumentError(Cat(origin, " is empty"));
  if (stripped.front() == '{' && stripped.back() != '}')
    return absl::InvalidArgumentError(
        Cat(origin, " is cut short: it ends in the middle of a backup"));
  return absl::InvalidArgumentError(
      Cat(origin, " is damaged, or not made by \"fleetctl backup\": it is not JSON"));
}

absl::Status CheckFormat(const json& document, std::string_view origin) {
  const auto format = document.find("format");
  if (format == document.end() || *format != std::string(kFormat))
    return absl::InvalidArgumentError(
        Cat(origin, " is not a backup of fleet: it lacks \"format\": \"", kFormat, "\""));
  const auto version = document.find("version");
  if (version == document.end() || !version->is_number_integer() || version->get<int64_t>() < 1)
    return absl::InvalidArgumentError(Cat(origin, ": \"version\" has to be a number from 1"));
  if (version->get<int64_t>() > kVersion)
    return absl::InvalidArgumentError(
        Cat(origin, " is a backup of version ", version->get<int64_t>(), ", made by a newer fleet",
            "; this fleetctl reads version ", kVersion, ". Use a newer fleetctl"));
  return absl::OkStatus();
}

ordered_json ToJson(const BackupHistory& history) {
  ordered_json texts = ordered_json::array();
  for (const BackupText& text : history.texts) {
    ordered_json element = {{"content", text.content}};
    if (!text.since.empty()) element["since"] = text.since;
    if (!text.how.empty()) element["how"] = text.how;
    texts.push_back(std::move(element));
  }
  return texts;
}

}  // namespace

std::string FormatHistory(const BackupHistory& history) { return ToJson(history).dump(); }

absl::StatusOr<BackupDocument> ParseBackup(const std::string& text, std::string_view origin) {
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return NotABackup(text, origin);
  if (!parsed.is_object())
    return absl::InvalidArgumentError(Cat(origin, " is not a backup of fleet"));
  RETURN_IF_ERROR(CheckFormat(parsed, origin));
  Members members(parsed, std::string(origin));
  BackupDocument document;
  RETURN_IF_ERROR(members.Text("format", true).status());
  RETURN_IF_ERROR(members.Number("version").status());
  ASSIGN_OR_RETURN(document.created, members.Text("created", false));
  ASSIGN_OR_RETURN(document.fleet_version, members.Text("fleetVersion", false));
  ASSIGN_OR_RETURN(document.revision, members.Number("revision"));
  ASSIGN_OR_RETURN(document.unreadable, members.Texts("unreadable"));
  std::set<std::string> seen;
  ASSIGN_OR_RETURN(const json::array_t units, members.Array("units", true));
  for (const json& element : units) {
    ASSIGN_OR_RETURN(BackupUnit unit, UnitFrom(element, origin, document.units.size() + 1));
    if (!seen.insert(unit.name).second)
      return absl::InvalidArgumentError(Cat(origin, ": unit ", unit.name, " is there twice"));
    document.units.push_back(std::move(unit));
  }
  seen.clear();
  ASSIGN_OR_RETURN(const json::array_t machines, members.Array("machines", true));
  for (const json& element : machines) {
    ASSIGN_OR_RETURN(BackupMachine machine,
                     MachineFrom(element, origin, document.machines.size() + 1));
    if (!seen.insert(machine.id).second)
      return absl::InvalidArgumentError(Cat(origin, ": machine ", machine.id, " is there twice"));
    document.machines.push_back(std::move(machine));
  }
  seen.clear();
  ASSIGN_OR_RETURN(const json::array_t rollouts, members.Array("rollouts", false));
  for (const json& element : rollouts) {
    ASSIGN_OR_RETURN(BackupHistory history,
                     HistoryFrom(element, origin, document.rollouts.size() + 1));
    if (!seen.insert(history.name).second)
      return absl::InvalidArgumentError(
          Cat(origin, ": the rollout of ", history.name, " is there twice"));
    document.rollouts.push_back(std::move(history));
  }
  RETURN_IF_ERROR(members.NoOthers());
  return document;
}

std::string FormatBackup(const BackupDocument& document) {
  ordered_json units = ordered_json::array();
  for (const BackupUnit& unit : document.units) {
    ordered_json element = {
        {"name", unit.name}, {"desiredState", unit.desired_state}, {"content", unit.content}};
    if (unit.replicas) element["replicas"] = *unit.replicas;
    if (unit.made_by_replicas) element["madeByReplicas"] = true;
    units.push_back(std::move(element));
  }
  ordered_json machines = ordered_json::array();
  for (const BackupMachine& machine : document.machines) {
    ordered_json element = {{"id", machine.id},
                            {"metadata", machine.metadata},
                            {"removedMetadata", machine.removed_metadata}};
    if (machine.cordoned) element["cordoned"] = true;
    if (machine.drained) element["drained"] = true;
    machines.push_back(std::move(element));
  }
  ordered_json rollouts = ordered_json::array();
  for (const BackupHistory& history : document.rollouts) {
    rollouts.push_back({{"name", history.name}, {"history", ToJson(history)}});
  }
  ordered_json whole = {{"format", kFormat},
                        {"version", kVersion},
                        {"created", document.created},
                        {"fleetVersion", document.fleet_version},
                        {"revision", document.revision},
                        {"units", std::move(units)},
                        {"machines", std::move(machines)}};
  if (!document.rollouts.empty()) whole["rollouts"] = std::move(rollouts);
  if (!document.unreadable.empty()) whole["unreadable"] = document.unreadable;
  return whole.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace fleet::fleetctl
