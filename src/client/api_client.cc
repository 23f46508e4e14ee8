#include "client/api_client.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/status.h"
#include "client/api_caller.h"
#include "client/text.h"
#include "nlohmann/json.hpp"

namespace fleet::client {
namespace {

using nlohmann::json;

constexpr size_t kMaxFilterBytes = 4 << 10;  // servers limit the head of a request to 8 KiB
constexpr size_t kMaxChanges = 10'000;
constexpr size_t kMaxBatchBytes = 32 << 20;
constexpr size_t kMaxPatchChanges = 100;
constexpr size_t kMaxPatchBytes = 512 << 10;
// All texts of a cluster take longer to send than a page of a list.
constexpr absl::Duration kTimeForBackup = absl::Seconds(30);
// A plan goes through what the whole cluster would do.
constexpr absl::Duration kTimeForPlans = absl::Seconds(30);
// What a registry may take for one change; a big batch gets more time than a small request.
constexpr absl::Duration kTimePerChange = absl::Milliseconds(3);

std::string ToText(const UnitChange& change) {
  json object = {{"name", change.name}};
  if (!change.desired_state.empty()) object["desiredState"] = change.desired_state;
  if (change.content) object["content"] = *change.content;
  if (change.replace) object["replace"] = true;
  if (change.force) object["force"] = true;
  if (change.restart) object["restart"] = true;
  if (change.start) object["start"] = true;
  if (change.stop) object["stop"] = true;
  if (change.destroy) object["destroy"] = true;
  if (change.replicas) object["replicas"] = *change.replicas;
  if (change.made_by_replicas) object["madeByReplicas"] = true;
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

// A part of a JSON pointer (RFC 6901).
std::string PointerPart(std::string_view text) {
  std::string part;
  for (const char c : text) {
    if (c == '~') {
      part += "~0";
    } else if (c == '/') {
      part += "~1";
    } else {
      part += c;
    }
  }
  return part;
}

std::string ToText(const MetadataChange& change) {
  json object = {
      {"op", change.value ? "add" : "remove"},
      {"path", Cat("/", PointerPart(change.machine_id), "/metadata/", PointerPart(change.key))}};
  if (change.value) object["value"] = *change.value;
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<std::string> EventFilters(const std::string& unit, const std::string& machine,
                                      const std::string& after) {
  std::vector<std::string> filters;
  if (!unit.empty()) filters.push_back(Cat("unitName=", UrlEncode(unit)));
  if (!machine.empty()) filters.push_back(Cat("machineID=", UrlEncode(machine)));
  if (!after.empty()) filters.push_back(Cat("after=", UrlEncode(after)));
  return filters;
}

// A glob for all names that begin with `prefix`.
std::string PrefixGlob(std::string_view prefix) {
  std::string glob;
  for (const char c : prefix) {
    if (c == '\\' || c == '*' || c == '?' || c == '[') glob += '\\';
    glob += c;
  }
  return glob + '*';
}

std::string FilterParameters(const WatchOptions& options) {
  std::string parameters;
  for (const std::string& glob : options.globs) Append(parameters, "&unit=", UrlEncode(glob));
  if (parameters.size() > kMaxFilterBytes / 2) return "";
  if (options.names.empty()) return parameters;
  for (const std::string& glob : CoverByGlobs(options.names, kMaxFilterBytes / 2))
    Append(parameters, "&unit=", UrlEncode(glob));
  return parameters;
}

}  // namespace

std::vector<std::string> CoverByGlobs(const std::vector<std::string>& names, size_t max_bytes) {
  size_t longest = 0;
  for (const std::string& name : names) longest = std::max(longest, name.size());
  for (size_t length = longest;; --length) {
    std::set<std::string> globs;
    size_t bytes = 0;
    for (const std::string& name : names) {
      std::string glob =
          name.size() > length ? PrefixGlob(std::string_view(name).substr(0, length)) : name;
      const auto [it, added] = globs.insert(std::move(glob));
      if (added) bytes += it->size();
    }
    if (bytes <= max_bytes || length == 0) return {globs.begin(), globs.end()};
  }
}

ApiClient::ApiClient(ClientOptions options)
    : caller_(std::make_unique<ApiCaller>(std::move(options))) {}

ApiClient::~ApiClient() = default;

absl::StatusOr<std::vector<Unit>> ApiClient::ListUnits(View view, bool keep_json) {
  std::vector<std::string> filters;
  if (view == View::kSummary) filters.emplace_back("view=summary");
  return caller_->List<Unit>("/fleet/v1/units", "units", filters, keep_json, UnitFromJson);
}

absl::StatusOr<std::vector<UnitState>> ApiClient::ListStates(const std::string& unit,
                                                             const std::string& machine,
                                                             bool keep_json) {
  std::vector<std::string> filters;
  if (!machine.empty()) filters.push_back(Cat("machineID=", UrlEncode(machine)));
  if (!unit.empty()) filters.push_back(Cat("unitName=", UrlEncode(unit)));
  return caller_->List<UnitState>("/fleet/v1/state", "states", filters, keep_json, StateFromJson);
}

absl::StatusOr<std::vector<Machine>> ApiClient::ListMachines(bool keep_json, bool absent) {
  std::vector<std::string> filters;
  if (absent) filters.emplace_back("absent=true");
  return caller_->List<Machine>("/fleet/v1/machines", "machines", filters, keep_json,
                                MachineFromJson);
}

absl::StatusOr<Unit> ApiClient::GetUnit(const std::string& name, bool keep_json) {
  ASSIGN_OR_RETURN(const json entity,
                   caller_->CallJson({.target = "/fleet/v1/units/" + UrlEncode(name)}));
  Unit unit = UnitFromJson(entity);
  if (keep_json) unit.json = entity.dump(-1, ' ', false, json::error_handler_t::replace);
  return unit;
}

absl::StatusOr<BatchAnswer> ApiClient::Batch(const std::vector<UnitChange>& changes) {
  BatchAnswer answer;
  for (size_t begin = 0; begin < changes.size();) {
    std::string body = "{\"changes\":[";
    size_t end = begin;
    for (; end < changes.size() && end - begin < kMaxChanges; ++end) {
      const std::string text = ToText(changes[end]);
      if (end > begin && body.size() + text.size() > kMaxBatchBytes) break;
      if (end > begin) body += ',';
      body += text;
    }
    body += "]}";
    auto page = caller_->CallJson({.method = "POST", .target = "/fleet/v1/batch", .body = body},
                                  kTimePerChange * static_cast<int64_t>(end - begin));
    if (!page.ok()) {
      if (begin == 0) return page.status();
      return absl::Status(page.status().code(), Cat(page.status().message(), " (the first ", begin,
                                                    " of ", changes.size(), " changes were made)"));
    }
    answer.revision = std::max(answer.revision, NumberAt(*page, "revision"));
    const auto results = page->find("results");
    if (results == page->end() || !results->is_array() || results->size() != end - begin) {
      return absl::InternalError("POST /fleet/v1/batch: the answer has not one result per change");
    }
    for (const json& result : *results) {
      answer.results.push_back({.name = StringAt(result, "name"),
                                .code = static_cast<int>(NumberAt(result, "code")),
                                .message = StringAt(result, "message"),
                                .differs = FlagAt(result, "differs"),
                                .same = FlagAt(result, "same")});
    }
    begin = end;
  }
  return answer;
}

absl::StatusOr<std::string> ApiClient::GetBackup() {
  return caller_->Call({.target = "/fleet/v1/backup"}, kTimeForBackup);
}

absl::StatusOr<UnitExplanation> ApiClient::Explain(const std::string& unit, bool each_machine,
                                                   bool patient) {
  ASSIGN_OR_RETURN(
      const json answer,
      caller_->CallJson({.target = Cat("/fleet/v1/units/", UrlEncode(unit), "/explain",
                                       each_machine ? "?machines=true" : "")},
                        patient ? caller_->Beyond(kTimeForPlans) : absl::ZeroDuration()));
  return ExplanationFromJson(answer);
}

absl::StatusOr<Plan> ApiClient::MakePlan(const PlanRequest& request) {
  ASSIGN_OR_RETURN(
      const json answer,
      caller_->CallJson({.method = "POST", .target = "/fleet/v1/plan", .body = ToText(request)},
                        caller_->Beyond(kTimeForPlans)));
  return PlanFromJson(answer);
}

absl::StatusOr<Plan> ApiClient::Rebalance(std::optional<int64_t> max_moves) {
  json body = json::object();
  if (max_moves) body["maxMoves"] = *max_moves;
  ASSIGN_OR_RETURN(
      const json answer,
      caller_->CallJson({.method = "POST", .target = "/fleet/v1/rebalance", .body = body.dump()},
                        caller_->Beyond(kTimeForPlans)));
  return PlanFromJson(answer);
}

absl::StatusOr<ScaleAnswer> ApiClient::Scale(const std::string& template_name, int64_t replicas) {
  ASSIGN_OR_RETURN(
      const json answer,
      caller_->CallJson({.method = "POST",
                         .target = Cat("/fleet/v1/units/", UrlEncode(template_name), "/scale"),
                         .body = json{{"replicas", replicas}}.dump()}));
  return ScaleFromJson(answer);
}

absl::StatusOr<ScaleAnswer> ApiClient::ResetScale(const std::string& template_name) {
  ASSIGN_OR_RETURN(
      const json answer,
      caller_->CallJson({.method = "DELETE",
                         .target = Cat("/fleet/v1/units/", UrlEncode(template_name), "/scale")}));
  return ScaleFromJson(answer);
}

absl::StatusOr<Rollout> ApiClient::StartRollout(const std::string& unit,
                                                const RolloutRequest& request) {
  ASSIGN_OR_RETURN(
      const json answer,
      caller_->CallJson({.method = "POST",
                         .target = Cat("/fleet/v1/units/", UrlEncode(unit), "/rollout"),
                         .body = ToText(request)}));
  return RolloutFromJson(answer);
}

absl::StatusOr<Rollout> ApiClient::StartRollout(const std::vector<RolledUnit>& units,
                                                const RolloutRequest& request) {
  ASSIGN_OR_RETURN(const json answer, caller_->CallJson({.method = "POST",
                                                         .target = "/fleet/v1/rollouts",
                                                         .body = ToText(units, request)}));
  return RolloutFromJson(answer);
}

absl::StatusOr<std::vector<Rollout>> ApiClient::ListRollouts() {
  ASSIGN_OR_RETURN(const json answer, caller_->CallJson({.target = "/fleet/v1/rollouts"}));
  std::vector<Rollout> rollouts;
  for (const json& rollout : ListAt(answer, "rollouts")) {
    rollouts.push_back(RolloutFromJson(rollout));
  }
  return rollouts;
}

absl::StatusOr<Rollout> ApiClient::GetRollout(const std::string& unit) {
  ASSIGN_OR_RETURN(const json answer,
                   caller_->CallJson({.target = Cat("/fleet/v1/rollouts/", UrlEncode(unit))}));
  return RolloutFromJson(answer);
}

absl::Status ApiClient::SetHistory(const std::string& unit, const std::string& history) {
  return caller_
      ->Call({.method = "PUT",
              .target = Cat("/fleet/v1/rollouts/", UrlEncode(unit)),
              .body = Cat("{\"history\":", history, "}")})
      .status();
}

absl::StatusOr<Rollout> ApiClient::ChangeRollout(const std::string& unit, const std::string& verb,
                                                 const std::string& hash) {
  const json body = hash.empty() ? json::object() : json{{"hash", hash}};
  ASSIGN_OR_RETURN(
      const json answer,
      caller_->CallJson({.method = "POST",
                         .target = Cat("/fleet/v1/rollouts/", UrlEncode(unit), "/", verb),
                         .body = body.dump()}));
  return RolloutFromJson(answer);
}

absl::StatusOr<std::vector<Event>> ApiClient::ListEvents(const std::string& unit,
                                                         const std::string& machine,
                                                         const std::string& after, bool keep_json) {
  return caller_->List<Event>("/fleet/v1/events", "events", EventFilters(unit, machine, after),
                              keep_json, EventFromJson);
}

absl::Status ApiClient::ForgetMachine(const std::string& machine) {
  return caller_->CallMachine(machine, "/forget");
}

absl::Status ApiClient::CordonMachine(const std::string& machine) {
  return caller_->CallMachine(machine, "/cordon");
}

absl::Status ApiClient::DrainMachine(const std::string& machine, const DrainRequest& request) {
  json body = json::object();
  if (!request.deadline.empty()) body["deadline"] = request.deadline;
  if (request.force) body["force"] = true;
  return caller_->CallMachine(machine, "/drain", body.empty() ? "" : body.dump());
}

absl::Status ApiClient::UncordonMachine(const std::string& machine) {
  return caller_->CallMachine(machine, "/uncordon");
}

absl::StatusOr<Drain> ApiClient::GetDrain(const std::string& machine) {
  ASSIGN_OR_RETURN(
      const json answer,
      caller_->CallJson({.target = Cat("/fleet/v1/machines/", UrlEncode(machine), "/drain")},
                        caller_->Beyond(kTimeForPlans)));
  return DrainFromJson(answer);
}

absl::Status ApiClient::AdoptUnit(const std::string& unit) {
  return caller_
      ->Call({.method = "POST", .target = Cat("/fleet/v1/units/", UrlEncode(unit), "/adopt")})
      .status();
}

absl::StatusOr<std::vector<Feature>> ApiClient::ListFeatures() {
  ASSIGN_OR_RETURN(const json answer, caller_->CallJson({.target = "/fleet/v1/features"}));
  std::vector<Feature> features;
  for (const json& feature : ListAt(answer, "features")) {
    features.push_back({.name = StringAt(feature, "name"),
                        .enabled = FlagAt(feature, "enabled"),
                        .unknown_to = TextsAt(feature, "unknownTo"),
                        .json = feature.dump(-1, ' ', false, json::error_handler_t::replace)});
  }
  return features;
}

absl::Status ApiClient::ReleaseHold() {
  return caller_->Call({.method = "POST", .target = "/fleet/v1/hold/release"}).status();
}

absl::Status ApiClient::PatchMetadata(const std::vector<MetadataChange>& changes) {
  for (size_t begin = 0; begin < changes.size();) {
    std::string body = "[";
    size_t end = begin;
    for (; end < changes.size() && end - begin < kMaxPatchChanges; ++end) {
      const std::string text = ToText(changes[end]);
      if (end > begin && body.size() + text.size() > kMaxPatchBytes) break;
      if (end > begin) body += ',';
      body += text;
    }
    body += ']';
    auto done = caller_->Call({.method = "PATCH", .target = "/fleet/v1/machines", .body = body});
    if (!done.ok()) {
      if (begin == 0) return done.status();
      return absl::Status(done.status().code(), Cat(done.status().message(), " (the first ", begin,
                                                    " of ", changes.size(), " changes were made)"));
    }
    begin = end;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<WatchStream>> ApiClient::Watch(const WatchOptions& options) {
  std::vector<std::string> resources;
  if (options.units) resources.emplace_back("units");
  if (options.states) resources.emplace_back("state");
  if (options.machines) resources.emplace_back("machines");
  std::string target = Cat("/fleet/v1/watch?resource=", Join(resources, ","));
  target += FilterParameters(options);
  if (options.since) Append(target, "&since=", *options.since);
  ASSIGN_OR_RETURN(SseStream stream, caller_->OpenStream(target));
  return std::make_unique<WatchStream>(std::move(stream));
}

absl::StatusOr<std::unique_ptr<JournalStream>> ApiClient::OpenJournal(
    const JournalOptions& options) {
  std::string target =
      Cat("/fleet/v1/units/", UrlEncode(options.unit), "/journal?lines=", options.lines);
  if (!options.machine_id.empty()) Append(target, "&machineID=", UrlEncode(options.machine_id));
  if (options.follow) target += "&follow=true";
  if (!options.after.empty()) Append(target, "&after=", UrlEncode(options.after));
  ASSIGN_OR_RETURN(SseStream stream, caller_->OpenStream(target));
  return std::make_unique<JournalStream>(std::move(stream), options.after);
}

absl::StatusOr<std::unique_ptr<EventStream>> ApiClient::FollowEvents(const std::string& unit,
                                                                     const std::string& machine,
                                                                     const std::string& after) {
  std::vector<std::string> query = EventFilters(unit, machine, after);
  query.emplace_back("follow=true");
  ASSIGN_OR_RETURN(SseStream stream,
                   caller_->OpenStream(Cat("/fleet/v1/events?", Join(query, "&"))));
  return std::make_unique<EventStream>(std::move(stream), after);
}

}  // namespace fleet::client
