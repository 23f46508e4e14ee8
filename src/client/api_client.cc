#include "client/api_client.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/cord.h"
#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "nlohmann/json.hpp"

namespace fleet::client {
namespace {

using nlohmann::json;

constexpr absl::string_view kNotConnectedPayload = "fleet/not-connected";
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

absl::StatusCode CodeOf(int http) {
  switch (http) {
    case 400:
    case 413:
    case 415:
      return absl::StatusCode::kInvalidArgument;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
    case 410:
      return absl::StatusCode::kNotFound;
    case 405:
    case 501:
      return absl::StatusCode::kUnimplemented;
    case 409:
      return absl::StatusCode::kFailedPrecondition;
    case 412:
      return absl::StatusCode::kAborted;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    case 502:
    case 503:
      return absl::StatusCode::kUnavailable;
    case 504:
      return absl::StatusCode::kDeadlineExceeded;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status ErrorOf(const HttpResponse& response) {
  const json body = json::parse(response.body, nullptr, false);
  std::string message;
  if (body.is_object() && body.contains("error")) message = StringAt(body["error"], "message");
  if (message.empty()) message = Cat("the server answered HTTP ", response.head.code);
  return {CodeOf(response.head.code), message};
}

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

bool IsNotConnected(const absl::Status& status) {
  return status.GetPayload(kNotConnectedPayload).has_value();
}

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

struct ApiClient::Impl {
  ClientOptions options;
  size_t current = 0;  // the endpoint used last
  std::unique_ptr<HttpConnection> connection;
  std::set<std::string> warned;  // codes of the warnings that were told

  absl::Time DeadlineFrom(absl::Duration extra = absl::ZeroDuration()) const {
    return MonotonicNow() + options.request_timeout + extra;
  }

  // What a request that may take `time` has more than others.
  absl::Duration Beyond(absl::Duration time) const {
    return std::max(time - options.request_timeout, absl::ZeroDuration());
  }

  void Trace(std::string_view line) const {
    if (options.trace) options.trace(line);
  }

  void Warn(const HttpHead& head) {
    for (const Warning& warning : head.warnings) {
      if (warned.insert(warning.code).second && options.warn) options.warn(warning.text);
    }
  }

  absl::StatusOr<std::unique_ptr<HttpConnection>> Open(const Endpoint& endpoint) const {
    const absl::Time deadline = DeadlineFrom();
    ASSIGN_OR_RETURN(auto stream, options.dial ? options.dial(endpoint, deadline)
                                               : Dial(endpoint, options.tls, deadline));
    return std::make_unique<HttpConnection>(std::move(stream), endpoint.Authority());
  }

  absl::StatusOr<std::unique_ptr<HttpConnection>> Connect(const Endpoint& endpoint) const {
    ASSIGN_OR_RETURN(auto opened, Open(endpoint));
    // With TLS 1.3 a server refuses a client's certificate when the client takes the connection for
    // made already.
    if (!options.probe && endpoint.scheme != Endpoint::Scheme::kHttps) return opened;
    RETURN_IF_ERROR(opened->Exchange({.target = "/healthz"}, DeadlineFrom()).status());
    if (opened->Reusable()) return opened;
    return Open(endpoint);
  }

  // Calls `use` on a connection to the first endpoint that answers, beginning with the last one
  // used. A request that may have been carried out is not sent again unless `repeatable`.
  template <typename Result, typename Use>
  absl::StatusOr<Result> WithConnection(bool repeatable, Use use) {
    if (connection && connection->Reusable()) {
      absl::StatusOr<Result> result = use(connection);
      if (result.ok() || !repeatable) return Named(std::move(result), current);
    }
    connection = nullptr;
    std::vector<std::string> errors;
    bool connected = false;
    for (size_t i = 0; i < options.endpoints.size(); ++i) {
      const size_t index = (current + i) % options.endpoints.size();
      const Endpoint& endpoint = options.endpoints[index];
      auto fresh = Connect(endpoint);
      if (!fresh.ok()) {
        errors.push_back(Cat(endpoint.text, ": ", fresh.status().message()));
        Trace(Cat("cannot connect to ", errors.back()));
        continue;
      }
      Trace(Cat("connected to ", endpoint.text));
      connected = true;
      connection = *std::move(fresh);
      absl::StatusOr<Result> result = use(connection);
      if (result.ok() || !repeatable) {
        current = index;
        return Named(std::move(result), index);
      }
      errors.push_back(Cat(endpoint.text, ": ", result.status().message()));
      connection = nullptr;
    }
    if (connected) return absl::UnavailableError(Join(errors, "; "));
    absl::Status status = absl::UnavailableError(
        Cat("cannot connect to ", Join(errors, "; "), " (", options.hint, ")"));
    status.SetPayload(kNotConnectedPayload, absl::Cord("1"));
    return status;
  }

  template <typename Result>
  absl::StatusOr<Result> Named(absl::StatusOr<Result> result, size_t index) const {
    if (result.ok()) return result;
    return absl::Status(result.status().code(),
                        Cat(options.endpoints[index].text, ": ", result.status().message()));
  }

  // The body of an answer below 300.
  absl::StatusOr<std::string> Call(const HttpRequest& request,
                                   absl::Duration extra = absl::ZeroDuration()) {
    ASSIGN_OR_RETURN(HttpResponse response,
                     WithConnection<HttpResponse>(
                         request.method == "GET", [&](std::unique_ptr<HttpConnection>& used) {
                           return used->Exchange(request, DeadlineFrom(extra));
                         }));
    Trace(Cat(request.method, " ", request.target, ": ", response.head.code, ", ",
              response.body.size(), " bytes"));
    Warn(response.head);
    if (response.head.code >= 300) return ErrorOf(response);
    return std::move(response.body);
  }

  absl::StatusOr<json> CallJson(const HttpRequest& request,
                                absl::Duration extra = absl::ZeroDuration()) {
    ASSIGN_OR_RETURN(const std::string body, Call(request, extra));
    json parsed = json::parse(body, nullptr, false);
    if (!parsed.is_object())
      return absl::InternalError(Cat(request.target, ": the answer is not a JSON object"));
    return parsed;
  }

  // The stream that is served at `target`, or the error that is instead.
  absl::StatusOr<SseStream> OpenStream(const std::string& target) {
    const HttpRequest request{.target = target};
    std::unique_ptr<HttpConnection> stream;
    ASSIGN_OR_RETURN(HttpHead head,
                     WithConnection<HttpHead>(true, [&](std::unique_ptr<HttpConnection>& used) {
                       auto opened = used->Open(request, DeadlineFrom());
                       if (opened.ok()) stream = std::move(used);
                       return opened;
                     }));
    Trace(Cat("GET ", target, ": ", head.code));
    Warn(head);
    if (head.code == 200) return SseStream(std::move(stream));
    HttpResponse response{.head = std::move(head), .body = {}};
    for (;;) {
      auto bytes = stream->ReadSome(DeadlineFrom());
      if (!bytes.ok() || !*bytes) break;
      response.body += **bytes;
    }
    return ErrorOf(response);
  }

  absl::Status CallMachine(const std::string& machine, std::string_view what) {
    return Call({.method = "POST", .target = Cat("/fleet/v1/machines/", UrlEncode(machine), what)})
        .status();
  }

  // All elements of the pages of a list.
  template <typename Entity>
  absl::StatusOr<std::vector<Entity>> List(const std::string& path, const std::string& member,
                                           const std::vector<std::string>& filters, bool keep_json,
                                           Entity (*from_json)(const json&)) {
    std::vector<Entity> entities;
    std::string token;
    do {
      std::vector<std::string> query = filters;
      query.push_back("limit=10000");
      if (!token.empty()) query.push_back(Cat("nextPageToken=", UrlEncode(token)));
      ASSIGN_OR_RETURN(const json page, CallJson({.target = Cat(path, "?", Join(query, "&"))}));
      const auto elements = page.find(member);
      if (elements != page.end() && elements->is_array()) {
        entities.reserve(entities.size() + elements->size());
        for (const json& element : *elements) {
          entities.push_back(from_json(element));
          if (keep_json)
            entities.back().json = element.dump(-1, ' ', false, json::error_handler_t::replace);
        }
      }
      token = StringAt(page, "nextPageToken");
    } while (!token.empty());
    return entities;
  }
};

ApiClient::ApiClient(ClientOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
}

ApiClient::~ApiClient() = default;

absl::StatusOr<std::vector<Unit>> ApiClient::ListUnits(View view, bool keep_json) {
  std::vector<std::string> filters;
  if (view == View::kSummary) filters.emplace_back("view=summary");
  return impl_->List<Unit>("/fleet/v1/units", "units", filters, keep_json, UnitFromJson);
}

absl::StatusOr<std::vector<UnitState>> ApiClient::ListStates(const std::string& unit,
                                                             const std::string& machine,
                                                             bool keep_json) {
  std::vector<std::string> filters;
  if (!machine.empty()) filters.push_back(Cat("machineID=", UrlEncode(machine)));
  if (!unit.empty()) filters.push_back(Cat("unitName=", UrlEncode(unit)));
  return impl_->List<UnitState>("/fleet/v1/state", "states", filters, keep_json, StateFromJson);
}

absl::StatusOr<std::vector<Machine>> ApiClient::ListMachines(bool keep_json) {
  return impl_->List<Machine>("/fleet/v1/machines", "machines", {}, keep_json, MachineFromJson);
}

absl::StatusOr<Unit> ApiClient::GetUnit(const std::string& name, bool keep_json) {
  ASSIGN_OR_RETURN(const json entity,
                   impl_->CallJson({.target = "/fleet/v1/units/" + UrlEncode(name)}));
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
    auto page = impl_->CallJson({.method = "POST", .target = "/fleet/v1/batch", .body = body},
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
  return impl_->Call({.target = "/fleet/v1/backup"}, kTimeForBackup);
}

absl::StatusOr<UnitExplanation> ApiClient::Explain(const std::string& unit, bool each_machine,
                                                   bool patient) {
  ASSIGN_OR_RETURN(const json answer,
                   impl_->CallJson({.target = Cat("/fleet/v1/units/", UrlEncode(unit), "/explain",
                                                  each_machine ? "?machines=true" : "")},
                                   patient ? impl_->Beyond(kTimeForPlans) : absl::ZeroDuration()));
  return ExplanationFromJson(answer);
}

absl::StatusOr<Plan> ApiClient::MakePlan(const PlanRequest& request) {
  ASSIGN_OR_RETURN(
      const json answer,
      impl_->CallJson({.method = "POST", .target = "/fleet/v1/plan", .body = ToText(request)},
                      impl_->Beyond(kTimeForPlans)));
  return PlanFromJson(answer);
}

absl::StatusOr<Plan> ApiClient::Rebalance(std::optional<int64_t> max_moves) {
  json body = json::object();
  if (max_moves) body["maxMoves"] = *max_moves;
  ASSIGN_OR_RETURN(
      const json answer,
      impl_->CallJson({.method = "POST", .target = "/fleet/v1/rebalance", .body = body.dump()},
                      impl_->Beyond(kTimeForPlans)));
  return PlanFromJson(answer);
}

absl::StatusOr<ScaleAnswer> ApiClient::Scale(const std::string& template_name, int64_t replicas) {
  ASSIGN_OR_RETURN(
      const json answer,
      impl_->CallJson({.method = "POST",
                       .target = Cat("/fleet/v1/units/", UrlEncode(template_name), "/scale"),
                       .body = json{{"replicas", replicas}}.dump()}));
  return ScaleFromJson(answer);
}

absl::StatusOr<Rollout> ApiClient::StartRollout(const std::string& unit,
                                                const RolloutRequest& request) {
  ASSIGN_OR_RETURN(const json answer,
                   impl_->CallJson({.method = "POST",
                                    .target = Cat("/fleet/v1/units/", UrlEncode(unit), "/rollout"),
                                    .body = ToText(request)}));
  return RolloutFromJson(answer);
}

absl::StatusOr<std::vector<Rollout>> ApiClient::ListRollouts() {
  ASSIGN_OR_RETURN(const json answer, impl_->CallJson({.target = "/fleet/v1/rollouts"}));
  std::vector<Rollout> rollouts;
  for (const json& rollout : ListAt(answer, "rollouts")) {
    rollouts.push_back(RolloutFromJson(rollout));
  }
  return rollouts;
}

absl::StatusOr<Rollout> ApiClient::GetRollout(const std::string& unit) {
  ASSIGN_OR_RETURN(const json answer,
                   impl_->CallJson({.target = Cat("/fleet/v1/rollouts/", UrlEncode(unit))}));
  return RolloutFromJson(answer);
}

absl::StatusOr<Rollout> ApiClient::ChangeRollout(const std::string& unit, const std::string& verb,
                                                 const std::string& hash) {
  const json body = hash.empty() ? json::object() : json{{"hash", hash}};
  ASSIGN_OR_RETURN(
      const json answer,
      impl_->CallJson({.method = "POST",
                       .target = Cat("/fleet/v1/rollouts/", UrlEncode(unit), "/", verb),
                       .body = body.dump()}));
  return RolloutFromJson(answer);
}

absl::StatusOr<std::vector<Event>> ApiClient::ListEvents(const std::string& unit,
                                                         const std::string& machine,
                                                         const std::string& after, bool keep_json) {
  return impl_->List<Event>("/fleet/v1/events", "events", EventFilters(unit, machine, after),
                            keep_json, EventFromJson);
}

absl::Status ApiClient::ForgetMachine(const std::string& machine) {
  return impl_->CallMachine(machine, "/forget");
}

absl::Status ApiClient::CordonMachine(const std::string& machine) {
  return impl_->CallMachine(machine, "/cordon");
}

absl::Status ApiClient::DrainMachine(const std::string& machine) {
  return impl_->CallMachine(machine, "/drain");
}

absl::Status ApiClient::UncordonMachine(const std::string& machine) {
  return impl_->CallMachine(machine, "/uncordon");
}

absl::StatusOr<Drain> ApiClient::GetDrain(const std::string& machine) {
  ASSIGN_OR_RETURN(
      const json answer,
      impl_->CallJson({.target = Cat("/fleet/v1/machines/", UrlEncode(machine), "/drain")},
                      impl_->Beyond(kTimeForPlans)));
  return DrainFromJson(answer);
}

absl::Status ApiClient::AdoptUnit(const std::string& unit) {
  return impl_
      ->Call({.method = "POST", .target = Cat("/fleet/v1/units/", UrlEncode(unit), "/adopt")})
      .status();
}

absl::Status ApiClient::ReleaseHold() {
  return impl_->Call({.method = "POST", .target = "/fleet/v1/hold/release"}).status();
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
    auto done = impl_->Call({.method = "PATCH", .target = "/fleet/v1/machines", .body = body});
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
  ASSIGN_OR_RETURN(SseStream stream, impl_->OpenStream(target));
  return std::make_unique<WatchStream>(std::move(stream));
}

absl::StatusOr<std::unique_ptr<JournalStream>> ApiClient::OpenJournal(
    const JournalOptions& options) {
  std::string target =
      Cat("/fleet/v1/units/", UrlEncode(options.unit), "/journal?lines=", options.lines);
  if (!options.machine_id.empty()) Append(target, "&machineID=", UrlEncode(options.machine_id));
  if (options.follow) target += "&follow=true";
  if (!options.after.empty()) Append(target, "&after=", UrlEncode(options.after));
  ASSIGN_OR_RETURN(SseStream stream, impl_->OpenStream(target));
  return std::make_unique<JournalStream>(std::move(stream), options.after);
}

absl::StatusOr<std::unique_ptr<EventStream>> ApiClient::FollowEvents(const std::string& unit,
                                                                     const std::string& machine,
                                                                     const std::string& after) {
  std::vector<std::string> query = EventFilters(unit, machine, after);
  query.emplace_back("follow=true");
  ASSIGN_OR_RETURN(SseStream stream, impl_->OpenStream(Cat("/fleet/v1/events?", Join(query, "&"))));
  return std::make_unique<EventStream>(std::move(stream), after);
}

}  // namespace fleet::client
