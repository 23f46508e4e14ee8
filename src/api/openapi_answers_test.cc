// /openapi.yaml against answers: each method is asked, and what it answers has to be what the
// document says, without a member more. With the API in a loop and a thread of its own, as in
// fleetd, because it plans in another one.

#include <yaml-cpp/yaml.h>

#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "api/api.h"
#include "base/loop.h"
#include "fmt/core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/features.h"
#include "nlohmann/json.hpp"
#include "registry/codec.h"
#include "registry/mirror.h"
#include "registry/testing/fake_store.h"

namespace fleet::api {
namespace {

using nlohmann::json;

// The first thing in which `value` is not as `schema` has it; empty: none. Of JSON Schema what the
// document uses. A member that the schema does not name is wrong, too.
class Validator {
 public:
  explicit Validator(YAML::Node document) : document_(std::move(document)) {}

  std::string Wrong(const json& value, const YAML::Node& schema, const std::string& where) const {
    if (schema["$ref"]) {
      const std::vector<std::string> path = absl::StrSplit(schema["$ref"].as<std::string>(), '/');
      return Wrong(value, document_["components"]["schemas"][path.back()], where);
    }
    const auto type = schema["type"].as<std::string>("");
    const bool right = type == "object"    ? value.is_object()
                       : type == "array"   ? value.is_array()
                       : type == "string"  ? value.is_string()
                       : type == "integer" ? value.is_number_integer()
                       : type == "boolean" ? value.is_boolean()
                                           : false;
    if (!right) return fmt::format("{} is no {}: {}", where, type, value.dump());
    if (schema["enum"]) {
      for (const auto& allowed : schema["enum"]) {
        if (allowed.as<std::string>() == value) return "";
      }
      return fmt::format("{} is none of the enum: {}", where, value.dump());
    }
    if (value.is_array()) return WrongElement(value, schema, where);
    return value.is_object() ? WrongMember(value, schema, where) : "";
  }

 private:
  std::string WrongElement(const json& value, const YAML::Node& schema,
                           const std::string& where) const {
    for (size_t i = 0; i < value.size(); ++i) {
      std::string wrong = Wrong(value[i], schema["items"], fmt::format("{}[{}]", where, i));
      if (!wrong.empty()) return wrong;
    }
    return "";
  }

  std::string WrongMember(const json& value, const YAML::Node& schema,
                          const std::string& where) const {
    for (const auto& required : schema["required"]) {
      if (!value.contains(required.as<std::string>()))
        return fmt::format("{} has no {}", where, required.as<std::string>());
    }
    for (const auto& [name, member] : value.items()) {
      const YAML::Node properties = schema["properties"];
      const bool named = properties && properties[name];
      if (!named && !schema["additionalProperties"])
        return fmt::format("{}.{} is not documented", where, name);
      std::string wrong = Wrong(member, named ? properties[name] : schema["additionalProperties"],
                                where + "." + name);
      if (!wrong.empty()) return wrong;
    }
    return "";
  }

  const YAML::Node document_;
};

const char* const kOne = "11111111111111111111111111111111";
const char* const kTwo = "22222222222222222222222222222222";
const char* const kAway = "33333333333333333333333333333333";
const char* const kText = "[Service]\nExecStart=/bin/sleep 1d\n";

struct Call {
  std::string method;
  std::string pattern;
  std::string target;  // below /fleet/v1 if it begins with no slash
  json body = nullptr;
  int code = 200;
};

class OpenApiAnswers : public ::testing::Test {
 protected:
  OpenApiAnswers() : thread_([this] { loop_.Run(); }) {
    Do([&] { Populate(); });
    auto shown = std::make_shared<std::promise<void>>();
    Do([&] {
      api_ = std::make_unique<Api>(ApiContext{.executor = &loop_,
                                              .store = &store_,
                                              .keys = keys_,
                                              .version = "2.0.0",
                                              .machine_id = kOne,
                                              .metrics = &metrics_});
      mirror_ = std::make_unique<registry::Mirror>(&store_, &loop_, keys_,
                                                   [this, shown](const ViewChange& change) mutable {
                                                     api_->OnViewChange(change);
                                                     if (shown) shown->set_value();
                                                     shown = nullptr;
                                                   });
      mirror_->Start();
    });
    shown->get_future().wait();
    document_ = YAML::Load(Send("GET", "/openapi.yaml", nullptr).body);
  }

  void TearDown() override {
    Do([&] {
      mirror_.reset();
      api_.reset();
      loop_.Stop();
    });
    thread_.join();
  }

  template <typename What>
  void Do(What what) {
    std::promise<void> done;
    loop_.Post([&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }

  void PutUnit(const std::string& name, const std::string& text, UnitRecord record,
               const std::vector<std::string>& machines = {},
               const std::string& active = "active") {
    const auto file = std::make_shared<const UnitFile>(*UnitFile::Parse(text));
    record.uid = "uid";
    record.content_hash = file->hash();
    store_.Set(keys_.Content(file->hash()), registry::Encode(Content{file}));
    store_.Set(keys_.Unit(name), registry::Encode(record));
    for (const std::string& machine : machines) {
      store_.Set(keys_.Assignment(machine, name),
                 registry::Encode(Assignment{.uid = "uid",
                                             .generation = 1,
                                             .content_hash = file->hash(),
                                             .state = AssignmentState::kLaunched}));
      store_.Set(keys_.State(machine, name),
                 registry::Encode(StateReport{.uid = "uid",
                                              .generation = 1,
                                              .content_hash = file->hash(),
                                              .load_state = "loaded",
                                              .active_state = active,
                                              .sub_state = "running",
                                              .settled = true,
                                              .result = "exit-code",
                                              .log_tail = "it said so",
                                              .drift = "its file was edited"}));
    }
  }

  // Whatever has members of its own: units that run, wait, fail and are everywhere, machines that
  // are drained, ask for a slot and are away, rollouts.
  void Populate() {
    const auto launched = DesiredState::kLaunched;
    PutUnit("run.service", kText, {.desired = launched, .move_to = kTwo}, {kOne});
    PutUnit("failed.service", kText, {.desired = launched}, {kOne}, "failed");
    PutUnit("waiting.service", "[Service]\nExecStart=/bin/a\n[X-Fleet]\nMachineMetadata=zone=z\n",
            {.desired = launched});
    PutUnit("idle.service", kText, {});
    PutUnit("all.service", "[Unit]\nDescription=All\n[X-Fleet]\nGlobal=true\n",
            {.desired = launched}, {kOne, kTwo}, "failed");
    PutUnit("web@.service", "[Service]\nExecStart=/bin/a\n[X-Fleet]\nReplicas=2\n", {});
    PutUnit("web@1.service", "[Service]\nExecStart=/bin/a\n[X-Fleet]\nReplicas=2\n",
            {.desired = launched, .made_by_replicas = true}, {kTwo});
    store_.Set(keys_.Machine(kOne),
               registry::Encode(MachineRecord{.address = "10.0.0.1",
                                              .hostname = "one",
                                              .metadata = {{"zone", "a"}},
                                              .version = "2.0.0",
                                              .api_endpoints = {"http://10.0.0.1:49153"},
                                              .systemd_user = "alice",
                                              .features = KnownFeatures()}));
    store_.Set(keys_.Machine(kTwo), registry::Encode(MachineRecord{}));
    MachineSettings settings{.set_metadata = {{"disk", "ssd"}}, .removed_metadata = {"zone"}};
    settings.cordoned = true;
    settings.lock_group = "web";
    store_.Set(keys_.Settings(kOne), registry::Encode(settings));
    MachineSettings drained;
    drained.Drain(absl::FromUnixSeconds(1'700'000'000), true);
    store_.Set(keys_.Settings(kAway), registry::Encode(drained));
    store_.Set(keys_.Rollout("idle.service"),
               registry::Encode(RolloutRecord{.uid = "r",
                                              .state = RolloutState::kDone,
                                              .content_hash = UnitFile::Parse(kText)->hash(),
                                              .max_unavailable = "1",
                                              .reason = "why",
                                              .history = {{UnitFile::Parse(kText)->hash(),
                                                           absl::FromUnixSeconds(1), "update"}},
                                              .together = {"idle.service", "run.service"}}));
    for (int i = 1; i <= 3; ++i) {
      store_.Set(keys_.Event("e", i),
                 registry::Encode(EventRecord{absl::FromUnixSeconds(i),
                                              {{"placed", "run.service", kOne, "why"}}}));
    }
    store_.Set(keys_.Cluster("features"),
               registry::Encode(FeaturesRecord{.enabled = KnownFeatures()}));
  }

  Response Send(const std::string& method, const std::string& target, const json& body) {
    auto answer = std::make_shared<std::promise<Response>>();
    auto future = answer->get_future();
    Do([&] {
      Request request;
      request.method = method;
      request.target = target.starts_with('/') ? target : "/fleet/v1/" + target;
      request.fleet_lock_protocol = "true";
      if (!body.is_null()) request.body = body.dump();
      api_->Handle(std::move(request),
                   [answer](Response response) { answer->set_value(std::move(response)); });
    });
    return future.get();
  }

  void CheckBody(const YAML::Node& operation, const Call& call, const std::string& what) {
    const YAML::Node documented = operation["requestBody"];
    if (call.body.is_null()) {
      EXPECT_FALSE(documented && documented["required"].as<bool>()) << what;
    } else if (!documented) {
      ADD_FAILURE() << what << " takes no body";
    } else {
      EXPECT_EQ(Validator(document_).Wrong(
                    call.body, documented["content"]["application/json"]["schema"], "request"),
                "")
          << what;
    }
  }

  void CheckAnswer(const YAML::Node& operation, const Response& response, const std::string& what) {
    const YAML::Node responses = operation["responses"];
    const std::string code = std::to_string(response.code);
    const YAML::Node documented = responses[code] ? responses[code] : responses["default"];
    EXPECT_TRUE(response.code >= 400 || responses[code]) << what;
    for (const auto& [name, value] : response.headers) {
      if (name != "ETag") continue;
      EXPECT_TRUE(documented["headers"] && documented["headers"][name]) << what;
    }
    const std::string type = response.content_type.substr(0, response.content_type.find(';'));
    if (!documented["content"]) {
      EXPECT_EQ(response.body, "") << what;
      return;
    }
    const YAML::Node content = documented["content"][type];
    ASSERT_TRUE(content.IsDefined()) << what << " answers " << type;
    if (response.events || type != "application/json" || !content["schema"]) return;
    EXPECT_EQ(Validator(document_).Wrong(json::parse(response.body), content["schema"], "answer"),
              "")
        << what;
  }

  const registry::Keys keys_{"/fleet/"};
  Loop loop_{"api-test"};
  registry::testing::FakeStore store_{&loop_};
  metrics::Registry metrics_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<registry::Mirror> mirror_;
  YAML::Node document_;
  std::thread thread_;
};

TEST_F(OpenApiAnswers, AreWhatTheDocumentSays) {
  const std::string other = "[Service]\nExecStart=/bin/sleep 2d\n";
  const std::string one = std::string("machines/") + kOne;
  const json lock = {{"client_params", {{"id", kTwo}, {"group", "web"}}}};
  const json verb = {{"verb", "start"}, {"units", {{{"name", "idle.service"}}}}};
  const std::string kUnit = "/fleet/v1/units/{unitName}";
  const std::string kMachine = "/fleet/v1/machines/{machineID}";
  const std::string kRollout = "/fleet/v1/rollouts/{unitName}";
  const std::vector<Call> calls = {
      {"GET", "/openapi.yaml", "/openapi.yaml"},
      {"GET", "/healthz", "/healthz"},
      {"GET", "/readyz", "/readyz"},
      {"GET", "/metrics", "/metrics"},
      {"GET", "/sd/prometheus", "/sd/prometheus"},
      {"GET", "/fleet/v1/discovery", "discovery"},
      {"GET", "/fleet/v1/features", "features"},
      {"GET", "/fleet/v1/backup", "backup"},
      {"GET", "/fleet/v1/watch", "watch"},
      {"GET", "/fleet/v1/events", "events?limit=2"},
      {"GET", "/fleet/v1/events", "events?follow=true"},
      {"GET", "/fleet/v1/events", "events?limit=x", nullptr, 400},
      {"GET", "/fleet/v1/units", "units?limit=3"},
      {"GET", "/fleet/v1/units", "units"},
      {"GET", kUnit, "units/run.service"},
      {"GET", kUnit, "units/failed.service"},
      {"GET", kUnit, "units/waiting.service"},
      {"GET", kUnit, "units/idle.service"},
      {"GET", kUnit, "units/all.service"},
      {"GET", kUnit, "units/web@.service"},
      {"GET", kUnit, "units/none.service", nullptr, 404},
      {"GET", kUnit + "/explain", "units/waiting.service/explain?machines=true"},
      {"GET", kUnit + "/journal", "units/run.service/journal", nullptr, 501},
      {"GET", "/fleet/v1/state", "state?limit=1"},
      {"GET", "/fleet/v1/machines", "machines?absent=true"},
      {"GET", "/fleet/v1/machines", "machines?limit=1"},
      {"GET", kMachine, one},
      {"GET", kMachine, std::string("machines/") + kAway},
      {"GET", kMachine + "/drain", one + "/drain"},
      {"GET", "/fleet/v1/rollouts", "rollouts?limit=1"},
      {"GET", kRollout, "rollouts/idle.service"},
      {"PUT", kUnit, "units/new.service", {{"desiredState", "loaded"}, {"content", kText}}, 201},
      {"PUT", kUnit, "units/new.service", {{"desiredState", "inactive"}}, 204},
      {"DELETE", kUnit, "units/new.service", nullptr, 204},
      {"POST",
       "/fleet/v1/batch",
       "batch",
       {{"changes",
         {{{"name", "b.service"}, {"content", kText}}, {{"name", "b"}, {"destroy", true}}}}}},
      {"POST", "/fleet/v1/plan", "plan", verb},
      {"POST", "/fleet/v1/rebalance", "rebalance", {{"maxMoves", 1}}},
      {"POST", "/fleet/v1/rebalance", "rebalance"},
      {"POST", kUnit + "/scale", "units/web@.service/scale", {{"replicas", 1}}},
      {"DELETE", kUnit + "/scale", "units/web@.service/scale"},
      {"POST",
       kUnit + "/rollout",
       "units/web@.service/rollout",
       {{"content", other}, {"maxUnavailable", "1"}, {"onFailure", "rollback"}}},
      {"POST", kRollout + "/pause", "rollouts/web@.service/pause"},
      {"POST", kRollout + "/resume", "rollouts/web@.service/resume"},
      {"POST", kRollout + "/undo", "rollouts/web@.service/undo"},
      {"POST",
       "/fleet/v1/rollouts",
       "rollouts",
       {{"units",
         {{{"name", "run.service"}, {"content", other}},
          {{"name", "failed.service"}, {"content", other}}}}}},
      {"PUT",
       kRollout,
       "rollouts/waiting.service",
       {{"history", {{{"content", kText}, {"how", "update"}}}}}},
      {"PATCH", "/fleet/v1/machines", "machines",
       json::array({{{"op", "add"}, {"path", "/m9/metadata/zone"}, {"value", "b"}}}), 204},
      {"POST", kMachine + "/cordon", one + "/cordon", nullptr, 204},
      {"POST", kMachine + "/drain", one + "/drain", {{"deadline", "10m"}, {"force", true}}, 204},
      {"GET", kMachine + "/drain", one + "/drain"},
      {"POST", kMachine + "/uncordon", one + "/uncordon", nullptr, 204},
      {"POST", kMachine + "/forget", one + "/forget", nullptr, 409},
      {"POST", kUnit + "/adopt", "units/none.service/adopt", nullptr, 404},
      {"POST", "/fleet/v1/hold/release", "hold/release", nullptr, 404},
      {"POST", "/v1/pre-reboot", "/v1/pre-reboot", lock, 409},
      {"POST", "/v1/steady-state", "/v1/steady-state", lock},
  };
  std::set<std::string> asked;
  for (const Call& call : calls) {
    const std::string what = fmt::format("{} {} {}", call.method, call.target, call.body.dump());
    const YAML::Node operation =
        document_["paths"][call.pattern][absl::AsciiStrToLower(call.method)];
    ASSERT_TRUE(operation.IsDefined()) << what;
    CheckBody(operation, call, what);
    const Response response = Send(call.method, call.target, call.body);
    EXPECT_EQ(response.code, call.code) << what << " " << response.body;
    CheckAnswer(operation, response, what);
    asked.insert(call.method + " " + call.pattern);
  }
  std::set<std::string> served;
  for (const auto& [method, pattern] : api_->Methods()) served.insert(method + " " + pattern);
  EXPECT_EQ(asked, served);
}

}  // namespace
}  // namespace fleet::api
