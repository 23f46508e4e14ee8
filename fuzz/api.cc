// The HTTP API's handlers, over a registry in memory. Input: requests, divided by lines of "---":
//
//   PUT /fleet/v1/units/a.service
//   content-type: application/json
//
//   {"desiredState":"launched","content":"[Service]\n"}
//
// The header `fault` is the fuzzer's: what the registry does to this request. unavailable, timeout
// and stored (as timeout, but it takes effect) fail its next call, conflict has somebody else write
// first, late keeps the view as it was before.

#include "api/api.h"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/router.h"
#include "fmt/format.h"
#include "fuzz/check.h"
#include "fuzz/watcher.h"
#include "nlohmann/json.hpp"
#include "registry/codec.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"
#include "registry/view_builder.h"

namespace fleet::fuzz {
namespace {

using nlohmann::json;

constexpr std::string_view kUnits = "/fleet/v1/units/";
constexpr size_t kMostRequests = 20;

struct Exchange {
  api::Request request;
  std::string fault;
  int64_t revision_before = 0;
  bool existed = false;  // the unit of its path
  std::optional<api::Response> response;
};

Exchange ReadRequest(std::string_view text) {
  Exchange exchange;
  const auto [head, body] = SplitAt(text, "\n\n");
  auto [first, headers] = SplitAt(head, "\n");
  const auto [method, target] = SplitAt(first, " ");
  exchange.request.method = method;
  exchange.request.target = target;
  exchange.request.body = body;
  exchange.request.host = "localhost";
  while (!headers.empty()) {
    const auto [line, rest] = SplitAt(headers, "\n");
    const auto [name, value] = SplitAt(line, ": ");
    if (name == "content-type") exchange.request.content_type = value;
    if (name == "origin") exchange.request.origin = value;
    if (name == "last-event-id") exchange.request.last_event_id = value;
    if (name == "host") exchange.request.host = value;
    if (name == "fault") exchange.fault = value;
    headers = rest;
  }
  return exchange;
}

json ParseBody(const std::string& body) {
  return json::parse(body, nullptr, /*allow_exceptions=*/false);
}

// The unit that the target is about; empty if it is not about one.
std::string UnitOf(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  if (!target.starts_with(kUnits)) return "";
  return api::PercentDecode(target.substr(kUnits.size()), false).value_or("");
}

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  for (const char c : text)
    absl::StrAppend(&encoded, fmt::format("%{:02x}", static_cast<unsigned char>(c)));
  return encoded;
}

std::string Show(const Exchange& exchange) {
  return fmt::format("{} {}\n{}\n{} {}", exchange.request.method, exchange.request.target,
                     exchange.request.body, exchange.response ? exchange.response->code : 0,
                     exchange.response ? exchange.response->body : "not answered");
}

class Cluster {
 public:
  Cluster()
      : api_({.executor = &executor_,
              .store = &store_,
              .keys = keys_,
              .version = "2.0.0",
              .token_limit = 3,
              .unavailable_cause = [] { return "no endpoint"; }}) {
    Populate();
    ShowView();
  }

  // Sends a request; a fault makes the registry fail it.
  void Run(Exchange& exchange) {
    exchange.revision_before = store_.revision();
    exchange.existed = Exists(UnitOf(exchange.request.target));
    Inject(exchange);
    Check(api_.MaxBody(exchange.request.method, exchange.request.target) > 0, "a body may be sent");
    api_.Handle(exchange.request, [this, &exchange](api::Response response) {
      Check(!exchange.response, "a request is answered once", exchange.request.target);
      if (response.events) {
        auto watcher = std::make_shared<Watcher>();
        response.events(watcher);
        // What it is told of is only comparable with what it asked for.
        const bool all = exchange.request.target.find_first_of("%&#+") == std::string::npos &&
                         exchange.request.target.find("unit=") == std::string::npos;
        if (all) watchers_.push_back(watcher);
        sinks_.push_back(std::move(watcher));
      }
      exchange.response = std::move(response);
    });
    executor_.RunUntilIdle();
    Heal();
    if (exchange.fault != "late") ShowView();
    for (const auto& sink : sinks_) {
      while (sink->Drain()) executor_.RunUntilIdle();
    }
  }

  // The mirror's next step, and everything that follows from it.
  void ShowView() {
    if (shown_ == store_.revision()) return;
    shown_ = store_.revision();
    registry::ViewBuilder builder(keys_);
    for (const auto& [key, kv] : store_.contents()) builder.Put(kv);
    api_.OnViewChange({.view = builder.Snapshot(store_.revision()), .reset = true});
    executor_.RunUntilIdle();
  }

  void Advance(absl::Duration span) { executor_.Advance(span); }

  // Sends a request that nothing keeps from being answered with `code`.
  api::Response Must(int code, std::string method, std::string target) {
    Exchange exchange;
    exchange.request.method = std::move(method);
    exchange.request.target = std::move(target);
    Run(exchange);
    Check(exchange.response && exchange.response->code == code,
          fmt::format("this is answered {}", code), Show(exchange));
    return std::move(*exchange.response);
  }

  std::vector<json> List(const std::string& what, const std::string& query) {
    std::vector<json> entities;
    std::string target = fmt::format("/fleet/v1/{}?{}", what, query);
    while (true) {
      const json page = ParseBody(Must(200, "GET", target).body);
      for (const auto& [name, value] : page.items()) {
        if (value.is_array()) entities.insert(entities.end(), value.begin(), value.end());
      }
      if (!page.contains("nextPageToken")) return entities;
      target = fmt::format("/fleet/v1/{}?nextPageToken={}", what,
                           page["nextPageToken"].get<std::string>());
    }
  }

  bool Exists(const std::string& unit) const {
    return store_.contents().contains(keys_.Unit(unit));
  }
  int64_t revision() const { return store_.revision(); }
  const std::vector<std::shared_ptr<Watcher>>& watchers() const { return watchers_; }

 private:
  void Populate() {
    const auto file = std::make_shared<const UnitFile>(
        UnitFile::Parse("[Service]\nExecStart=/bin/a\n\n[X-Fleet]\nMachineOf=old.socket\n")
            .value());
    const auto global = std::make_shared<const UnitFile>(
        UnitFile::Parse("[Service]\nExecStart=/bin/b\n[X-Fleet]\nGlobal=true\n").value());
    store_.Set(keys_.Machine("m1"),
               registry::Encode(MachineRecord{.address = "10.0.0.1", .metadata = {{"zone", "a"}}}));
    store_.Set(keys_.Machine("m2"), registry::Encode(MachineRecord{.leaving = true}));
    store_.Set(keys_.Settings("m2"),
               registry::Encode(MachineSettings{.set_metadata = {{"disk", "ssd"}}}));
    for (const auto& [name, text] : {std::pair("old.service", file), {"all.service", global}}) {
      store_.Set(keys_.Content(text->hash()), registry::Encode(Content{.file = text}));
      store_.Set(keys_.Unit(name), registry::Encode(UnitRecord{.uid = "1",
                                                               .desired = DesiredState::kLaunched,
                                                               .content_hash = text->hash()}));
      store_.Set(keys_.Assignment("m1", name),
                 registry::Encode(Assignment{.uid = "1",
                                             .generation = 1,
                                             .content_hash = text->hash(),
                                             .state = AssignmentState::kLaunched}));
      store_.Set(keys_.State("m1", name), registry::Encode(StateReport{.uid = "1",
                                                                       .generation = 1,
                                                                       .content_hash = text->hash(),
                                                                       .load_state = "loaded",
                                                                       .active_state = "active",
                                                                       .sub_state = "running",
                                                                       .settled = true}));
    }
  }

  void Inject(const Exchange& exchange) {
    if (exchange.fault == "unavailable") store_.FailNext(absl::UnavailableError("gone"));
    if (exchange.fault == "timeout") store_.FailNext(absl::DeadlineExceededError("slow"));
    if (exchange.fault == "stored") store_.FailNext(absl::DeadlineExceededError("slow"), true);
    if (exchange.fault == "conflict") {
      conflicting_ = true;
      store_.BeforeCommit([this] {
        if (!conflicting_) return;
        store_.Set(keys_.Unit("old.service"),
                   store_.contents().contains(keys_.Unit("old.service"))
                       ? std::string(store_.contents().at(keys_.Unit("old.service")).value)
                       : registry::Encode(UnitRecord{.uid = "2"}));
        store_.Set(keys_.Settings("m1"),
                   registry::Encode(MachineSettings{.removed_metadata = {"zone"}}));
      });
    }
  }

  // A fault that the request did not meet is not met by another one.
  void Heal() {
    conflicting_ = false;
    store_.Range({.range = {.key = keys_.Leader(), .end = ""}}, [](const auto&) {});
    executor_.RunUntilIdle();
  }

  registry::Keys keys_{"/fleet/"};
  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  api::Api api_;
  int64_t shown_ = 0;  // revision
  bool conflicting_ = false;
  std::vector<std::shared_ptr<Watcher>> sinks_;
  std::vector<std::shared_ptr<Watcher>> watchers_;  // of those, who are told of all units
};

// What holds for each answer.
void CheckAnswer(const Exchange& exchange) {
  const api::Response& response = *exchange.response;
  const std::string shown = Show(exchange);
  const bool faulty = !exchange.fault.empty();
  Check(response.code >= 200 && response.code < 600, "the code is one of HTTP", shown);
  Check(response.code < 500 || faulty, "a request breaks nothing", shown);
  for (const auto& [name, value] : response.headers) {
    Check((name + value).find_first_of("\r\n") == std::string::npos, "a header is one line", shown);
  }
  if (response.content_type == "application/json" && response.code != 204 && !response.events &&
      response.code != 201) {
    const json body = ParseBody(response.body);
    Check(body.is_object(), "the body is JSON", shown);
    if (response.code >= 400) {
      Check(body["error"]["code"] == response.code && body["error"]["message"].is_string() &&
                !body["error"]["message"].get_ref<const std::string&>().empty(),
            "an error says what is wrong", shown);
    }
  }
  if (response.code == 204) Check(response.body.empty(), "204 has no body", shown);
  if (response.code == 405 || exchange.request.method == "OPTIONS") {
    const bool allowed = !response.headers.empty() && response.headers[0].first == "Allow";
    Check(allowed || response.code == 404, "Allow says what is served", shown);
  }
}

// What a request did to the registry, where nobody else did anything to it.
void CheckEffect(Cluster& cluster, const Exchange& exchange) {
  const std::string shown = Show(exchange);
  const api::Response& response = *exchange.response;
  const std::string& method = exchange.request.method;
  const bool writes =
      method == "PUT" || method == "DELETE" || method == "PATCH" || method == "POST";
  const std::string unit = UnitOf(exchange.request.target);
  if (!writes || response.code >= 400) {
    Check(cluster.revision() == exchange.revision_before,
          "what is refused, and what only asks, stores nothing", shown);
    return;
  }
  const bool is_unit = !unit.empty() && unit.find('/') == std::string::npos;  // no …/scale
  if (method == "DELETE" && is_unit) {
    Check(response.code == 204 && exchange.existed && !cluster.Exists(unit), "DELETE removes",
          shown);
  }
  if (method == "POST" && exchange.request.target == "/fleet/v1/batch") {
    const json changes = ParseBody(exchange.request.body);
    const json results = ParseBody(response.body)["results"];
    Check(!changes.contains("changes") || changes["changes"].is_null() ||
              results.size() == changes["changes"].size(),
          "each change has a result", shown);
    for (const json& result : results) {
      Check(result.value("code", 500) < 500, "a change breaks nothing", shown);
    }
  }
  if (method != "PUT" || !is_unit) return;
  Check(response.code == (exchange.existed ? 204 : 201) && cluster.Exists(unit),
        "PUT creates or changes", shown);
  const json stored =
      ParseBody(cluster.Must(200, "GET", std::string(kUnits) + PercentEncode(unit)).body);
  const json sent = ParseBody(exchange.request.body);
  Check(stored["name"] == unit, "a unit has its name", shown);
  if (sent.contains("desiredState") && sent["desiredState"].is_string() &&
      sent["desiredState"] != "") {
    Check(stored["desiredState"] == sent["desiredState"], "the desired state is stored", shown);
  }
  if (sent.contains("content") && sent["content"].is_string()) {
    Check(stored["content"] == sent["content"], "the text is kept byte for byte",
          shown + "\n" + stored.dump());
  }
}

// What holds of whatever has been stored: it is listed, streamed, and can be removed.
void CheckCluster(Cluster& cluster) {
  cluster.ShowView();
  cluster.Advance(absl::Seconds(1));
  cluster.ShowView();
  const std::vector<json> units = cluster.List("units", "limit=10000&view=summary");
  Check(cluster.List("units", "view=summary&limit=1") == units, "pages have all of the list");
  cluster.List("state", "limit=1");
  cluster.List("machines", "limit=1");
  std::map<std::string, json> by_name;
  for (const json& unit : units) by_name.emplace(unit.at("name").get<std::string>(), unit);
  for (const auto& watcher : cluster.watchers()) {
    if (!watcher->complete() || watcher->units().empty()) continue;  // it may watch machines only
    Check(watcher->units() == by_name, "a stream says what the list says",
          json(watcher->units()).dump(1) + "\ninstead of\n" + json(by_name).dump(1));
  }
  for (const auto& [name, unit] : by_name) {
    cluster.Must(204, "DELETE", std::string(kUnits) + PercentEncode(name));
  }
  Check(cluster.List("units", "").empty(), "every unit can be removed");
}

void Run(std::string_view script) {
  Cluster cluster;
  std::vector<std::unique_ptr<Exchange>> exchanges;
  bool alone = true;  // nothing is under way that may change the registry later
  while (!script.empty() && exchanges.size() < kMostRequests) {
    const auto [text, rest] = SplitAt(script, "\n---\n");
    script = rest;
    Exchange& exchange = *exchanges.emplace_back(std::make_unique<Exchange>(ReadRequest(text)));
    cluster.Run(exchange);
    alone = alone && exchange.fault.empty();
    if (exchange.response && alone) CheckEffect(cluster, exchange);
  }
  CheckCluster(cluster);
  for (const auto& exchange : exchanges) {
    Check(exchange->response.has_value(), "every request is answered", Show(*exchange));
    CheckAnswer(*exchange);
  }
}

}  // namespace
}  // namespace fleet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fleet::fuzz::Run(fleet::fuzz::Text(data, size));
  return 0;
}
