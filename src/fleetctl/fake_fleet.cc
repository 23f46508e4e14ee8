#include "fleetctl/fake_fleet.h"

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "client/text.h"

namespace fleet::fleetctl {
namespace {

using client::FakeRequest;
using client::FakeResponse;
using nlohmann::json;

constexpr int kRevision = 7;

FakeResponse Error(int code, const std::string& message) {
  return {.code = code, .body = json{{"error", {{"code", code}, {"message", message}}}}.dump()};
}

std::string Event(std::string_view kind, const json& data) {
  return Cat("id: ", kRevision, "\nevent: ", kind, "\ndata: ", data.dump(), "\n\n");
}

std::string Decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      decoded += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

}  // namespace

FakeFleet::FakeFleet()
    : machines(json::array({{{"id", kMachine},
                             {"primaryIP", "10.0.0.1"},
                             {"metadata", {{"zone", "a"}, {"disk", "ssd"}}},
                             {"hostname", "node1"},
                             {"state", "ready"},
                             {"units", 2},
                             {"version", "2.0.0"}}})) {
  char name[] = "/tmp/fleetctl-test-XXXXXX";
  if (mkdtemp(name) == nullptr) std::abort();
  directory_ = Cat(name, "/");
  server_ = std::make_unique<client::FakeServer>(
      directory_ + "sock", [this](const FakeRequest& request) { return Handle(request); });
}

FakeFleet::~FakeFleet() {
  server_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void FakeFleet::Add(const std::string& name, const std::string& desired,
                    const std::string& content) {
  json unit = {{"name", name},       {"desiredState", desired},    {"currentState", desired},
               {"content", content}, {"hash", "0123456789abcdef"}, {"progress", "reached"}};
  if (desired != "inactive") {
    unit["machineID"] = kMachine;
    unit["target"] = kMachine;
  }
  units[name] = std::move(unit);
}

std::string FakeFleet::Write(const std::string& name, const std::string& content) const {
  std::ofstream(directory_ + name) << content;
  return directory_ + name;
}

Environment FakeFleet::EnvironmentOf(std::istream& in, std::ostream& out, std::ostream& err) const {
  Write("machine-id", local_machine_id + "\n");
  Environment environment{.variables = variables,
                          .in = &in,
                          .out = &out,
                          .err = &err,
                          .err_terminal = err_terminal,
                          .terminal_device = directory_ + "no-terminal",
                          .machine_id_file = directory_ + "machine-id"};
  environment.variables.try_emplace("FLEETCTL_ENDPOINT", server_->endpoint());
  environment.variables.try_emplace("FLEETCTL_REQUEST_TIMEOUT", "20");
  return environment;
}

Result FakeFleet::Run(const std::vector<std::string>& arguments, const std::string& input) {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  Result result;
  result.code = fleetctl::Run(arguments, EnvironmentOf(in, out, err));
  result.out = out.str();
  result.err = err.str();
  return result;
}

std::vector<json> FakeFleet::Changes() const { return changes_; }

FakeResponse FakeFleet::Handle(const FakeRequest& request) {
  if (answers_first) {
    if (auto answer = answers_first(request)) return *std::move(answer);
  }
  const std::string path = Decode(request.target.substr(0, request.target.find('?')));
  if (path == "/fleet/v1/batch") return Batch(json::parse(request.body));
  if (path == "/fleet/v1/watch") return Watch();
  if (path == "/fleet/v1/backup") return Backup();
  if (path == "/fleet/v1/plan" || path == "/fleet/v1/rebalance")
    return Plan(path.substr(std::string_view("/fleet/v1").size()), json::parse(request.body));
  if (path == "/fleet/v1/machines" && request.method == "PATCH")
    return Patch(json::parse(request.body));
  if (path == "/fleet/v1/machines") {
    json list = json::array();
    for (const json& machine : machines) {
      const bool is_away = machine.value("state", "") == "absent";
      if (!is_away || request.target.find("absent=true") != std::string::npos)
        list.push_back(machine);
    }
    return {.body = json{{"machines", list}}.dump()};
  }
  if (path == "/fleet/v1/state") return {.body = json{{"states", states}}.dump()};
  if (path == "/fleet/v1/units") {
    json list = json::array();
    for (const auto& [name, unit] : units) list.push_back(unit);
    return {.body = json{{"units", list}}.dump()};
  }
  if (path == "/fleet/v1/machines/" + absent_machine + "/forget") return {.code = 204};
  if (path == "/fleet/v1/events" && request.target.find("follow=true") != std::string::npos) {
    if (request.target.find("after=") != std::string::npos) return Error(503, "no more");
    std::vector<std::string> chunks;
    for (const json& event : events)
      chunks.push_back(
          Cat("id: ", event.value("id", ""), "\nevent: event\ndata: ", event.dump(), "\n\n"));
    return {.chunks = std::move(chunks)};
  }
  if (constexpr std::string_view kMachines = "/fleet/v1/machines/";
      path.starts_with(kMachines) && !path.ends_with("/forget")) {
    if (request.method == "POST") {
      machine_posts.push_back(
          Cat(path.substr(kMachines.size()), request.body.empty() ? "" : " ", request.body));
      if (refuses_drains && path.ends_with("/drain")) return Error(409, "not yet");
      return path.starts_with(std::string(kMachines) + "none")
                 ? Error(404, "nothing is known of it")
                 : FakeResponse{.code = 204};
    }
    const std::string word = path.substr(kMachines.size(), path.rfind('/') - kMachines.size());
    std::vector<json>& answers = drains_of.contains(word) ? drains_of[word] : drains;
    if (answers.empty()) return Error(404, "no such machine");
    json drain = answers.front();
    if (answers.size() > 1) answers.erase(answers.begin());
    if (!drain.contains("machineID")) drain["machineID"] = word;
    return {.body = drain.dump()};
  }
  if (path == "/fleet/v1/events") {
    json list = json::array();
    const bool again = request.target.find("after=") != std::string::npos;
    if (!again) list = events;
    return {.body = json{{"events", list}}.dump()};
  }
  if (path == "/fleet/v1/features") return {.body = json{{"features", features}}.dump()};
  if (path == "/fleet/v1/hold/release") {
    return std::exchange(holds, false) ? FakeResponse{.code = 204}
                                       : Error(404, "no hold is in force");
  }
  if (path.starts_with("/fleet/v1/rollouts") || path.ends_with("/rollout") ||
      path.ends_with("/scale")) {
    return Rollout(path.substr(std::string_view("/fleet/v1").size()), request);
  }
  if (!path.starts_with("/fleet/v1/units/")) return Error(404, "no such path");
  std::string name = path.substr(std::string_view("/fleet/v1/units/").size());
  if (constexpr std::string_view kExplain = "/explain"; name.ends_with(kExplain)) {
    name.resize(name.size() - kExplain.size());
    const auto explanation = explanations.find(name);
    if (explanation == explanations.end()) return Error(404, "no explanation");
    return {.body = explanation->second.dump()};
  }
  if (constexpr std::string_view kJournal = "/journal"; name.ends_with(kJournal)) {
    name.resize(name.size() - kJournal.size());
    return Journal(name, request.target);
  }
  const auto unit = units.find(name);
  if (unit == units.end()) return Error(404, "unit does not exist");
  return {.body = unit->second.dump()};
}

FakeResponse FakeFleet::Journal(const std::string& name, const std::string& target) const {
  const auto journal = journals.find(name);
  if (journal == journals.end()) return Error(409, "its API listens for itself only");
  std::vector<std::string> chunks;
  const bool again = target.find("after=") != std::string::npos;
  for (const json& entry : journal->second) {
    if (!again) chunks.push_back(Cat("id: c\nevent: entry\ndata: ", entry.dump(), "\n\n"));
  }
  if (const auto broken = unreadable_journals.find(name); broken != unreadable_journals.end()) {
    chunks.push_back(Cat("event: failed\ndata: ", json{{"reason", broken->second}}.dump(), "\n\n"));
  } else {
    chunks.emplace_back("event: end\ndata: {}\n\n");
  }
  return {.chunks = std::move(chunks)};
}

std::vector<std::pair<std::string, json>> FakeFleet::PlanRequests() const { return plan_requests_; }

std::vector<std::pair<std::string, json>> FakeFleet::RolloutRequests() const {
  return rollout_requests_;
}

// Does at once what the engine would.
FakeResponse FakeFleet::Scale(const std::string& unit, const json& body) {
  json made = json::array();
  const size_t at = unit.find('@') + 1;
  for (int number = 1; number <= body["replicas"].get<int>(); ++number) {
    const std::string name = unit.substr(0, at) + std::to_string(number) + unit.substr(at);
    Add(name, "launched");
    made.push_back(name);
  }
  return {.body = json{{"revision", kRevision},
                       {"replicas", body["replicas"]},
                       {"units", made},
                       {"surplus", json::array()}}
                      .dump()};
}

FakeResponse FakeFleet::Rollout(const std::string& path, const FakeRequest& request) {
  const std::vector<std::string> parts = SplitList(path, '/');
  if (request.method == "POST") {
    rollout_requests_.emplace_back(path, json::parse(request.body));
    if (parts.size() == 1) {
      const std::string first = rollout_requests_.back().second["units"][0]["name"];
      return {.body = rollouts.at(first).front().dump()};
    }
    if (parts[2] == "scale") return Scale(parts[1], rollout_requests_.back().second);
  }
  if (request.method == "DELETE") {
    rollout_requests_.emplace_back(path, json());
    const json& its = units.at(parts[1]);
    return its.contains("replicas") ? Scale(parts[1], {{"replicas", its["replicas"]}})
                                    : FakeResponse{.body = json{{"revision", kRevision}}.dump()};
  }
  if (parts.size() == 1) {
    json list = json::array();
    for (const auto& [unit, answers] : rollouts) list.push_back(answers.front());
    return {.body = json{{"rollouts", list}}.dump()};
  }
  const auto found = rollouts.find(parts[1]);
  if (found == rollouts.end()) return Error(404, "there has been no rollout of " + parts[1]);
  const json answer = found->second.front();
  if (found->second.size() > 1) found->second.erase(found->second.begin());
  return {.body = answer.dump()};
}

FakeResponse FakeFleet::Plan(const std::string& path, const json& body) {
  plan_requests_.emplace_back(path, body);
  if (plan.contains("error")) return {.code = plan["error"]["code"], .body = plan.dump()};
  return {.body = plan.dump()};
}

FakeResponse FakeFleet::Backup() const {
  json list = json::array();
  for (const auto& [name, unit] : units) {
    list.push_back(
        {{"name", name}, {"desiredState", unit["desiredState"]}, {"content", unit["content"]}});
    if (unit.contains("replicas")) list.back()["replicas"] = unit["replicas"];
  }
  json its_machines = json::array();
  for (const auto& [id, machine] : settings) its_machines.push_back(machine);
  return {.body = json{{"format", "fleet backup"},
                       {"version", 1},
                       {"created", "2026-01-02T03:04:05Z"},
                       {"fleetVersion", "2.0.0"},
                       {"revision", kRevision},
                       {"units", list},
                       {"machines", its_machines},
                       {"unreadable", unreadable}}
                      .dump()};
}

// REQUIRES: operations that the API would take.
FakeResponse FakeFleet::Patch(const json& operations) {
  for (const json& operation : operations) {
    const std::vector<std::string> parts =
        SplitList(operation["path"].get<std::string>(), '/');  // machine, "metadata", key
    auto& machine = settings
                        .try_emplace(parts[0], json{{"id", parts[0]},
                                                    {"metadata", json::object()},
                                                    {"removedMetadata", json::array()}})
                        .first->second;
    json removed = json::array();
    for (const json& key : machine["removedMetadata"]) {
      if (key != parts[2]) removed.push_back(key);
    }
    machine["metadata"].erase(parts[2]);
    if (operation["op"] == "remove") {
      removed.push_back(parts[2]);
    } else {
      machine["metadata"][parts[2]] = operation["value"];
    }
    machine["removedMetadata"] = std::move(removed);
  }
  return {.code = 204};
}

FakeResponse FakeFleet::Batch(const json& body) {
  if (batches_until_503 == 0) return Error(503, "the registry is away");
  if (batches_until_503 > 0) --batches_until_503;
  json results = json::array();
  for (const json& change : body["changes"]) {
    changes_.push_back(change);
    const std::string name = change["name"];
    const bool known = units.contains(name);
    if (const auto why = refused.find(name); why != refused.end()) {
      results.push_back({{"name", name}, {"code", 400}, {"message", why->second}});
      continue;
    }
    json result = {{"name", name}, {"code", known ? 204 : 201}};
    if (change.contains("destroy")) {
      units.erase(name);
      result["code"] = known ? 204 : 404;
      results.push_back(result);
      continue;
    }
    if (known && change.contains("content")) {
      const bool same = units[name]["content"] == change["content"];
      result[same ? "same" : "differs"] = true;
    }
    const std::string desired =
        change.value("desiredState", known ? std::string(units[name]["desiredState"]) : "inactive");
    const bool keep = known && !change.value("replace", false);
    const std::string content =
        keep ? std::string(units[name]["content"]) : change.value("content", std::string());
    const bool global = known && units[name].value("global", false);
    Add(name, desired, content);
    if (global) units[name]["global"] = true;
    if (after_change) after_change(units[name]);
    results.push_back(result);
  }
  return {.body = json{{"revision", kRevision}, {"results", results}}.dump()};
}

FakeResponse FakeFleet::Watch() {
  if (broken_watches > 0) {
    --broken_watches;
    return {.chunks = {{": nothing yet\n\n"}}};
  }
  std::vector<std::string> chunks = Snapshot();
  chunks.insert(chunks.end(), later_events.begin(), later_events.end());
  return {.chunks = std::move(chunks), .keep_open = true};
}

std::vector<std::string> FakeFleet::Snapshot() const {
  std::vector<std::string> chunks;
  chunks.reserve(units.size() + states.size() + 1);
  for (const auto& [name, unit] : units) chunks.push_back(Event("unit", unit));
  for (const json& state : states) chunks.push_back(Event("state", state));
  chunks.push_back(Event("sync", {{"revision", kRevision}}));
  return chunks;
}

}  // namespace fleet::fleetctl
