#include "api/api.h"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fmt/core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "registry/codec.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"
#include "registry/view_builder.h"

namespace fleet::api {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kUnit[] =
    R"({"desiredState":"launched","options":[{"section":"Service","name":"ExecStart","value":"/bin/sleep 1d"}]})";

std::string HeaderOf(const Response& response, const std::string& wanted) {
  for (const auto& [name, value] : response.headers) {
    if (name == wanted) return value;
  }
  return "";
}

std::string MessageOf(const Response& response) {
  return json::parse(response.body)["error"]["message"].get<std::string>();
}

class ApiTest : public ::testing::Test {
 protected:
  ApiTest() {
    api_ = std::make_unique<Api>(ApiContext{.executor = &executor_,
                                            .store = &store_,
                                            .keys = keys_,
                                            .version = "2.0.0",
                                            .token_limit = 100,
                                            .unavailable_cause = [] { return "no endpoint"; }});
    ShowView();
  }

  // The mirror's next step: the view is what the store holds.
  void ShowView() {
    registry::ViewBuilder builder(keys_);
    for (const auto& [key, kv] : store_.contents()) builder.Put(kv);
    api_->OnViewChange({.view = builder.Snapshot(store_.revision()), .reset = true});
    executor_.RunUntilIdle();
  }

  // Sends a request without showing the view anew; nullopt while it is not answered.
  std::shared_ptr<std::optional<Response>> Begin(std::string method, std::string target,
                                                 std::string body = {}) {
    auto answer = std::make_shared<std::optional<Response>>();
    Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    api_->Handle(std::move(request),
                 [answer](Response response) { answer->emplace(std::move(response)); });
    executor_.RunUntilIdle();
    return answer;
  }
  Response Send(std::string method, std::string target, std::string body = {}) {
    const auto answer = Begin(std::move(method), std::move(target), std::move(body));
    ShowView();
    if (!answer->has_value()) {
      ADD_FAILURE() << "no answer";
      return {};
    }
    return std::move(**answer);
  }
  json Get(const std::string& path) {
    const Response response = Send("GET", "/fleet/v1" + path);
    EXPECT_EQ(response.code, 200) << response.body;
    return json::parse(response.body);
  }
  Response Put(const std::string& name, const std::string& body) {
    return Send("PUT", "/fleet/v1/units/" + name, body);
  }
  json Batch(const json& changes) {
    const Response response = Send("POST", "/fleet/v1/batch", json{{"changes", changes}}.dump());
    EXPECT_EQ(response.code, 200) << response.body;
    return json::parse(response.body);
  }

  void AddMachine(const std::string& id, MachineRecord record = {}) {
    store_.Set(keys_.Machine(id), registry::Encode(record));
    ShowView();
  }
  void AddState(const std::string& machine, const std::string& unit, StateReport report = {}) {
    store_.Set(keys_.State(machine, unit), registry::Encode(report));
    ShowView();
  }

  registry::Keys keys_{"/fleet/"};
  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  std::unique_ptr<Api> api_;
};

TEST_F(ApiTest, PutCreatesThenChangesAndDeleteRemoves) {
  Response response = Put("hello.service", kUnit);
  EXPECT_EQ(response.code, 201) << response.body;
  EXPECT_EQ(response.content_type, "application/json");
  json unit = Get("/units/hello.service");
  EXPECT_EQ(unit["name"], "hello.service");
  EXPECT_EQ(unit["desiredState"], "launched");
  EXPECT_EQ(unit["currentState"], "inactive");
  EXPECT_EQ(unit["options"][0]["value"], "/bin/sleep 1d");
  EXPECT_EQ(unit["content"], "[Service]\nExecStart=/bin/sleep 1d\n");

  response = Put("hello.service", R"({"desiredState":"loaded"})");
  EXPECT_EQ(response.code, 204);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(Get("/units/hello.service")["desiredState"], "loaded");

  EXPECT_EQ(Send("DELETE", "/fleet/v1/units/hello.service").code, 204);
  EXPECT_EQ(Send("GET", "/fleet/v1/units/hello.service").code, 404);
  EXPECT_EQ(Send("DELETE", "/fleet/v1/units/hello.service").code, 404);
}

TEST_F(ApiTest, PutOfTheSameOptionsChangesOnlyTheState) {
  Put("a.service", kUnit);
  EXPECT_EQ(Put("a.service", kUnit).code, 204);
  EXPECT_EQ(
      Put("a.service",
          R"({"desiredState":"launched","options":[{"section":"Service","name":"ExecStart","value":"/bin/true"}]})")
          .code,
      409);
  EXPECT_EQ(Get("/units/a.service")["options"][0]["value"], "/bin/sleep 1d");
}

TEST_F(ApiTest, PutWithReplaceReplacesTheText) {
  Put("a.service", kUnit);
  EXPECT_EQ(Put("a.service?replace=true", R"({"content":"[Service]\nExecStart=/bin/true\n"})").code,
            204);
  const json unit = Get("/units/a.service");
  EXPECT_EQ(unit["content"], "[Service]\nExecStart=/bin/true\n");
  EXPECT_EQ(unit["desiredState"], "launched");
}

TEST_F(ApiTest, PutKeepsAContentByteForByte) {
  const std::string text = "# mine\r\n[Service]\r\nExecStart=/bin/a \\\r\n  b\r\n\r\n";
  EXPECT_EQ(Put("a.service", json{{"content", text}, {"desiredState", "inactive"}}.dump()).code,
            201);
  EXPECT_EQ(Get("/units/a.service")["content"], text);
}

TEST_F(ApiTest, PutOfNothingForAnUnknownUnitIsAConflict) {
  const Response response = Put("a.service", R"({"desiredState":"launched"})");
  EXPECT_EQ(response.code, 409);
  EXPECT_EQ(MessageOf(response), "unit does not exist and options field empty");
  EXPECT_EQ(Put("a.service", R"({"desiredState":"launched","options":[]})").code, 409);
}

TEST_F(ApiTest, BadPutsAreBadRequestsAndStoreNothing) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"a.service", "not json"},
      {"a.service", "[]"},
      {"a.service", ""},
      {"a.service", R"({"desiredState":"bogus","options":[]})"},
      {"a.service", R"({"desiredState":7})"},
      {"a.service", R"({"name":"b.service","desiredState":"launched"})"},
      {"a.service", R"({"options":{}})"},
      {"a.service", R"({"options":["x"]})"},
      {"a.service", R"({"options":[{"section":"","name":"A","value":"b"}]})"},
      {"a.service", R"({"options":[{"section":"S","name":"","value":"b"}]})"},
      {"a.service", R"({"options":[{"section":"S]","name":"A","value":"b"}]})"},
      {"a.service", R"({"content":"no section"})"},
      {"nosuffix", kUnit},
      {"a%20b.service", kUnit},
      {"web@.service", kUnit},
      {"a.service", R"({"destroy":true})"},
  };
  for (const auto& [name, body] : bad) {
    const Response response = Put(name, body);
    EXPECT_EQ(response.code, 400) << name << " " << body << " " << response.body;
  }
  EXPECT_TRUE(store_.contents().empty());
}

TEST_F(ApiTest, MemberNamesMatchInAnyCase) {
  EXPECT_EQ(
      Put("a.service",
          R"({"DesiredState":"loaded","Options":[{"Section":"Service","Name":"ExecStart","Value":"/b"}]})")
          .code,
      201);
  EXPECT_EQ(Get("/units/a.service")["desiredState"], "loaded");
}

TEST_F(ApiTest, ListsUnitsInPages) {
  json changes = json::array();
  for (int i = 0; i < 250; ++i) {
    changes.push_back({{"name", fmt::format("a{:03}.service", i)},
                       {"content", "[Service]\nExecStart=/bin/sleep 1d\n"}});
  }
  Batch(changes);
  json page = Get("/units?view=summary");
  EXPECT_EQ(page["units"].size(), 100U);
  EXPECT_FALSE(page["units"][0].contains("options"));
  EXPECT_FALSE(page["units"][0].contains("content"));
  std::vector<std::string> names;
  while (true) {
    for (const json& unit : page["units"]) names.push_back(unit["name"]);
    if (!page.contains("nextPageToken")) break;
    page = Get("/units?nextPageToken=" + page["nextPageToken"].get<std::string>());
    EXPECT_FALSE(page["units"][0].contains("options")) << "the token keeps the view";
  }
  EXPECT_EQ(names.size(), 250U);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(Get("/units?limit=10000")["units"].size(), 250U);
  EXPECT_EQ(Send("GET", "/fleet/v1/units?nextPageToken=bogus").code, 400);
  EXPECT_EQ(Send("GET", "/fleet/v1/units?view=x").code, 400);
}

TEST_F(ApiTest, AnEmptyClusterHasEmptyLists) {
  EXPECT_EQ(Get("/units"), json::parse(R"({"units":[]})"));
  EXPECT_EQ(Get("/state"), json::parse(R"({"states":[]})"));
  EXPECT_EQ(Get("/machines"), json::parse(R"({"machines":[]})"));
}

TEST_F(ApiTest, ListsStatesByUnitThenMachineAndFilters) {
  const StateReport running{.content_hash = "h",
                            .load_state = "loaded",
                            .active_state = "active",
                            .sub_state = "running"};
  AddState("m2", "a.service", running);
  AddState("m1", "b.service", running);
  AddState("m1", "a.service", running);
  AddState("m3", "gone.service", {.gone = true});
  const json all = Get("/state")["states"];
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0], json::parse(R"({"name":"a.service","hash":"h","machineID":"m1",
      "systemdLoadState":"loaded","systemdActiveState":"active","systemdSubState":"running"})"));
  EXPECT_EQ(all[1]["machineID"], "m2");
  EXPECT_EQ(all[2]["name"], "b.service");
  EXPECT_EQ(Get("/state?unitName=a.service")["states"].size(), 2U);
  EXPECT_EQ(Get("/state?machineID=m1")["states"].size(), 2U);
  EXPECT_EQ(Get("/state?machineID=m1&unitName=b.service")["states"].size(), 1U);
  EXPECT_EQ(Get("/state?unitName=a")["states"].size(), 0U);

  const json first = Get("/state?machineID=m1&limit=1");
  EXPECT_EQ(first["states"].size(), 1U);
  const json second = Get("/state?nextPageToken=" + first["nextPageToken"].get<std::string>());
  ASSERT_EQ(second["states"].size(), 1U);
  EXPECT_EQ(second["states"][0]["name"], "b.service");
  EXPECT_FALSE(second.contains("nextPageToken"));
}

TEST_F(ApiTest, PatchSetsAndRemovesMetadata) {
  AddMachine("m1", {.address = "10.0.0.1", .metadata = {{"zone", "a"}, {"disk", "ssd"}}});
  EXPECT_EQ(Send("PATCH", "/fleet/v1/machines", R"([
      {"op":"add","path":"/m1/metadata/rack","value":"r1"},
      {"op":"replace","path":"/m1/metadata/zone","Value":{"Value":"b"}},
      {"op":"remove","path":"/m1/metadata/disk"},
      {"op":"remove","path":"/m1/metadata/never-there"},
      {"op":"add","path":"/away/metadata/x","value":"y"}])")
                .code,
            204);
  const json machine = Get("/machines")["machines"][0];
  EXPECT_EQ(machine["id"], "m1");
  EXPECT_EQ(machine["primaryIP"], "10.0.0.1");
  EXPECT_EQ(machine["metadata"], json::parse(R"({"rack":"r1","zone":"b"})"));

  EXPECT_EQ(Send("PATCH", "/fleet/v1/machines",
                 R"([{"op":"add","path":"/m1/metadata/disk","value":"nvme"}])")
                .code,
            204);
  EXPECT_EQ(Get("/machines")["machines"][0]["metadata"]["disk"], "nvme");
}

TEST_F(ApiTest, ABadPatchAppliesNothingOfItself) {
  for (
      const char* bad : {
          R"({"op":"add","path":"/m/metadata/k","value":"v"})",
          R"([{"op":"move","path":"/m/metadata/k","value":"v"}])",
          R"([{"op":"add","path":"/m/metadata/k"}])",
          R"([{"op":"add","path":"/m/metadata/k","value":""}])",
          R"([{"op":"add","path":"/m/metadata/k","value":7}])",
          R"([{"op":"add","path":"/m/metadata/","value":"v"}])",
          R"([{"op":"add","path":"/m/metadata/k/x","value":"v"}])",
          R"([{"op":"add","path":"/m/other/k","value":"v"}])",
          R"([{"op":"add","path":"//metadata/k","value":"v"}])",
          R"([{"op":"add","path":"/m/metadata/a=b","value":"v"}])",
          R"([{"op":"add","path":"/m/metadata/k","value":"v"},{"op":"bad","path":"/m/metadata/k"}])",
          "nonsense",
      }) {
    EXPECT_EQ(Send("PATCH", "/fleet/v1/machines", bad).code, 400) << bad;
  }
  EXPECT_TRUE(store_.contents().empty());
}

TEST_F(ApiTest, APatchKeepsWhatOthersSetMeanwhile) {
  store_.BeforeCommit([&] {
    store_.Set(keys_.Settings("m1"),
               registry::Encode(MachineSettings{.set_metadata = {{"a", "1"}}}));
  });
  EXPECT_EQ(
      Send("PATCH", "/fleet/v1/machines", R"([{"op":"add","path":"/m1/metadata/b","value":"2"}])")
          .code,
      204);
  AddMachine("m1");
  EXPECT_EQ(Get("/machines")["machines"][0]["metadata"], json::parse(R"({"a":"1","b":"2"})"));
}

TEST_F(ApiTest, CountsTheUnitsOfAMachine) {
  AddMachine("m1", {.leaving = true, .api_endpoints = {"http://10.0.0.1:1"}});
  store_.Set(keys_.Assignment("m1", "a.service"), registry::Encode(Assignment{.uid = "u"}));
  store_.Set(keys_.Assignment("m1", "b.service"),
             registry::Encode(Assignment{.uid = "u", .state = AssignmentState::kGone}));
  ShowView();
  EXPECT_EQ(Get("/machines")["machines"][0]["units"], 2) << "b.service is still to stop there";
  store_.Set(keys_.State("m1", "b.service"),
             registry::Encode(StateReport{.uid = "u", .gone = true}));
  ShowView();
  const json machine = Get("/machines")["machines"][0];
  EXPECT_EQ(machine["units"], 1);
  EXPECT_EQ(machine["state"], "leaving");
  EXPECT_THAT(machine["apiEndpoints"], ElementsAre("http://10.0.0.1:1"));
}

TEST_F(ApiTest, SaysThatWhatItShowsMayBeOldWhileTheRegistryIsAway) {
  EXPECT_EQ(HeaderOf(Send("GET", "/fleet/v1/units"), "Warning"), "");
  EXPECT_EQ(Send("GET", "/readyz").code, 200);
  api_->OnRegistryHealth(absl::UnavailableError("etcd is \"away\""));
  executor_.Advance(absl::Seconds(7));
  const std::string warning = HeaderOf(Send("GET", "/fleet/v1/units"), "Warning");
  EXPECT_THAT(warning, StartsWith("110 fleetd \"the registry has not been heard from for 7s"));
  EXPECT_THAT(warning, HasSubstr(R"(etcd is \"away\")"));
  EXPECT_EQ(Send("GET", "/readyz").code, 503);
  api_->OnRegistryHealth(absl::OkStatus());
  EXPECT_EQ(HeaderOf(Send("GET", "/fleet/v1/units"), "Warning"), "");
  EXPECT_EQ(Send("GET", "/readyz").code, 200);
}

TEST_F(ApiTest, ABatchHasAResultForEachChangeInItsOrder) {
  Put("old.service", kUnit);
  const json answer = Batch(json::parse(R"([
      {"name":"new.service","desiredState":"launched","content":"[Service]\nExecStart=/b\n"},
      {"name":"old.service","content":"[Service]\nExecStart=/other\n"},
      {"name":"bad name","content":"[Service]\nExecStart=/b\n"},
      {"name":"bad.service","desiredState":"bogus"},
      {"name":"none.service","destroy":true},
      {"name":"old.service","restart":true},
      {"name":"old.service","content":"[Service]\nExecStart=/bin/sleep 1d\n"},
      7])"));
  std::vector<int> codes;
  for (const json& result : answer["results"]) codes.push_back(result["code"]);
  EXPECT_THAT(codes, ElementsAre(201, 204, 400, 400, 404, 204, 204, 400));
  EXPECT_EQ(answer["results"][0]["name"], "new.service");
  EXPECT_EQ(answer["results"][1]["differs"], true);
  EXPECT_EQ(answer["results"][3]["name"], "bad.service");
  EXPECT_THAT(answer["results"][3]["message"].get<std::string>(), HasSubstr("bogus"));
  EXPECT_EQ(answer["results"][6]["same"], true);
  EXPECT_EQ(answer["revision"], store_.revision());
}

TEST_F(ApiTest, RestartOfAnInactiveUnitIsAConflict) {
  Batch(json::parse(R"([{"name":"a.service","content":"[Service]\nExecStart=/b\n"}])"));
  EXPECT_EQ(Batch(json::parse(R"([{"name":"a.service","restart":true}])"))["results"][0]["code"],
            409);
}

TEST_F(ApiTest, ABackupHasTextsStatesAndSettingsOfOneRevision) {
  const std::string text = "# mine\r\n[Service]\r\nExecStart=/bin/a \\\r\n  b";
  Batch({{{"name", "b.service"}, {"content", text}, {"desiredState", "loaded"}},
         {{"name", "a@.service"}, {"content", "[Service]\n"}}});
  Send("PATCH", "/fleet/v1/machines", R"([{"op":"add","path":"/m2/metadata/zone","value":"a"},
      {"op":"remove","path":"/m1/metadata/disk"},
      {"op":"add","path":"/m1/metadata/rack","value":"r1"}])");
  store_.Set(keys_.Settings("m3"), registry::Encode(MachineSettings{}));
  ShowView();
  const json backup = Get("/backup");
  EXPECT_EQ(backup["format"], "fleet backup");
  EXPECT_EQ(backup["version"], 1);
  EXPECT_EQ(backup["revision"], store_.revision());
  EXPECT_EQ(backup["units"],
            json::array(
                {{{"name", "a@.service"}, {"desiredState", "inactive"}, {"content", "[Service]\n"}},
                 {{"name", "b.service"}, {"desiredState", "loaded"}, {"content", text}}}));
  EXPECT_EQ(backup["machines"], json::parse(R"([
      {"id":"m1","metadata":{"rack":"r1"},"removedMetadata":["disk"]},
      {"id":"m2","metadata":{"zone":"a"},"removedMetadata":[]}])"));
  EXPECT_EQ(backup["unreadable"], json::array());
}

TEST_F(ApiTest, ABackupHasReplicasAndClosedMachines) {
  Batch(json::parse(R"([{"name":"a@.service","content":"[Service]\nExecStart=/b\n"},
      {"name":"a@1.service","content":"[Service]\nExecStart=/b\n","madeByReplicas":true},
      {"name":"a@.service","replicas":2}])"));
  MachineSettings expired;
  expired.Drain(absl::InfiniteFuture(), false);
  store_.Set(keys_.Settings("m1"), registry::Encode(expired));
  expired.drain_expired = true;
  store_.Set(keys_.Settings("m2"), registry::Encode(expired));
  ShowView();
  const json backup = Get("/backup");
  EXPECT_EQ(backup["units"][0]["replicas"], 2);
  EXPECT_FALSE(backup["units"][0].contains("madeByReplicas"));
  EXPECT_EQ(backup["units"][1]["madeByReplicas"], true);
  EXPECT_EQ(backup["machines"], json::parse(R"([
      {"id":"m1","metadata":{},"removedMetadata":[],"drained":true},
      {"id":"m2","metadata":{},"removedMetadata":[],"cordoned":true}])"));
  EXPECT_EQ(Get("/units/a@.service")["replicas"], 2);
  EXPECT_EQ(Get("/units/a@1.service")["madeByReplicas"], true);
}

TEST_F(ApiTest, ATemplateHasTheReplicasOfItsTextUnlessItWasScaled) {
  Batch(json::parse(R"([{"name":"a@.service","content":"[X-Fleet]\nReplicas=4\n"},
      {"name":"b@.service","content":"[Service]\n"}])"));
  EXPECT_EQ(Get("/units/a@.service")["replicas"], 4);
  EXPECT_FALSE(Get("/units/b@.service").contains("replicas"));
  Batch(json::parse(R"([{"name":"a@.service","replicas":0}])"));
  EXPECT_EQ(Get("/units/a@.service")["replicas"], 0);
}

TEST_F(ApiTest, ABackupNamesWhatItLacks) {
  Put("a.service", kUnit);
  store_.Set(keys_.Unit("new.service"), "\xFF\xFF");
  store_.Set(keys_.Settings("m1"), "\xFF\xFF");
  store_.Set(keys_.State("m1", "a.service"), "\xFF\xFF");
  store_.Set(keys_.Unit("bare.service"), registry::Encode(UnitRecord{.content_hash = "h"}));
  ShowView();
  const json backup = Get("/backup");
  ASSERT_EQ(backup["units"].size(), 1U);
  EXPECT_EQ(backup["units"][0]["name"], "a.service");
  EXPECT_THAT(backup["unreadable"],
              ElementsAre("settings/m1", "units/new.service", "contents/h of bare.service"));
}

TEST_F(ApiTest, ABatchRefusesWhatItDoesNotUnderstandAndDoesTheRest) {
  const std::string kOne = "[Service]\nExecStart=/bin/true\n";
  const json answer = Batch({{{"name", "a.service"}, {"content", kOne}},
                             {{"name", "b.service"}, {"content", kOne}, {"desired", "launched"}},
                             {{"name", "c.service"}, {"content", kOne}, {"destroy", true}}});
  EXPECT_EQ(answer["results"][0]["code"], 201);
  EXPECT_EQ(answer["results"][1]["code"], 400);
  EXPECT_EQ(answer["results"][1]["name"], "b.service");
  EXPECT_THAT(std::string(answer["results"][1]["message"]), HasSubstr("\"desired\""));
  EXPECT_EQ(answer["results"][2]["code"], 400);
  EXPECT_EQ(Get("/units")["units"].size(), 1U);
}

TEST_F(ApiTest, BatchesHaveBounds) {
  EXPECT_EQ(Send("POST", "/fleet/v1/batch", "{}").code, 400);
  EXPECT_EQ(Send("POST", "/fleet/v1/batch", R"({"changes":{}})").code, 400);
  json changes = json::array();
  for (int i = 0; i <= 10'000; ++i) changes.push_back({{"name", "a.service"}});
  EXPECT_EQ(Send("POST", "/fleet/v1/batch", json{{"changes", changes}}.dump()).code, 400);
  EXPECT_EQ(api_->MaxBody("POST", "/fleet/v1/batch"), size_t{64} << 20);
  EXPECT_EQ(api_->MaxBody("PUT", "/fleet/v1/units/a.service"), size_t{1} << 20);
}

TEST_F(ApiTest, AWriteIsAnsweredOnceTheViewShowsIt) {
  const auto answer = Begin("PUT", "/fleet/v1/units/a.service", kUnit);
  EXPECT_FALSE(answer->has_value());
  ShowView();
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->code, 201);
}

TEST_F(ApiTest, AWriteThatTheViewDoesNotShowInTimeSaysThatItIsStored) {
  const auto answer = Begin("PUT", "/fleet/v1/units/a.service", kUnit);
  executor_.Advance(absl::Seconds(11));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->code, 504);
  EXPECT_THAT(MessageOf(**answer), HasSubstr("is stored"));
}

TEST_F(ApiTest, AnUnreachableRegistryIsServiceUnavailable) {
  store_.FailNext(absl::UnavailableError("refused"));
  Response response = Put("a.service", kUnit);
  EXPECT_EQ(response.code, 503);
  EXPECT_EQ(HeaderOf(response, "Retry-After"), "1");
  EXPECT_THAT(MessageOf(response), StartsWith("fleet server unable to communicate with etcd"));
  EXPECT_EQ(Send("GET", "/fleet/v1/units").code, 200) << "reads come from the view";

  store_.FailNext(absl::DeadlineExceededError("slow"));
  response = Put("a.service", kUnit);
  EXPECT_EQ(response.code, 504);
  EXPECT_THAT(MessageOf(response), HasSubstr("may or may not have been stored"));
}

TEST_F(ApiTest, ABatchOfWhichNothingCouldBeTriedIsServiceUnavailable) {
  const json two = {{{"name", "a.service"}, {"content", "[Service]\n"}},
                    {{"name", "b.service"}, {"content", "[Service]\n"}}};
  store_.FailNext(absl::UnavailableError("refused"));
  const Response response = Send("POST", "/fleet/v1/batch", json{{"changes", two}}.dump());
  EXPECT_EQ(response.code, 503) << response.body;
  EXPECT_EQ(HeaderOf(response, "Retry-After"), "1");
  EXPECT_THAT(MessageOf(response), StartsWith("fleet server unable to communicate with etcd"));
  EXPECT_TRUE(store_.contents().empty());

  // One that is wrong is so whatever the registry does.
  json three = two;
  three.push_back({{"name", "c.service"}, {"content", 7}});
  store_.FailNext(absl::UnavailableError("refused"));
  const json results = Batch(three)["results"];
  EXPECT_EQ(results[0]["code"], 503);
  EXPECT_EQ(results[2]["code"], 400);
  EXPECT_TRUE(Batch(json::array())["results"].empty());
}

TEST_F(ApiTest, BeforeItHasJoinedItSaysWhyNot) {
  Api fresh({.executor = &executor_, .store = &store_, .unavailable_cause = [] {
               return "10.0.0.1: connection refused";
             }});
  for (const char* target : {"/fleet/v1/units", "/fleet/v1/state", "/fleet/v1/machines",
                             "/fleet/v1/watch", "/fleet/v1/backup", "/readyz"}) {
    Response got;
    Request request;
    request.method = "GET";
    request.target = target;
    fresh.Handle(std::move(request), [&](Response response) { got = std::move(response); });
    EXPECT_EQ(got.code, 503) << target;
    EXPECT_EQ(MessageOf(got),
              "fleet server unable to communicate with etcd: 10.0.0.1: connection refused");
  }
  EXPECT_EQ(Send("GET", "/healthz").code, 200);
  EXPECT_EQ(Send("GET", "/readyz").code, 200);
}

TEST_F(ApiTest, DescribesExactlyTheMethodsServed) {
  const json document = Get("/discovery");
  EXPECT_EQ(document["basePath"], "/fleet/v1/");
  const json& units = document["resources"]["Units"]["methods"];
  EXPECT_EQ(units["Set"]["httpMethod"], "PUT");
  EXPECT_EQ(units["Get"]["path"], "units/{unitName}");
  EXPECT_EQ(units["Get"]["parameters"]["unitName"]["location"], "path");
  EXPECT_EQ(units["Explain"]["path"], "units/{unitName}/explain");
  EXPECT_EQ(units["Explain"]["parameters"]["unitName"]["location"], "path");
  std::set<std::string> described;
  for (const auto& resource : document["resources"]) {
    for (const auto& method : resource["methods"]) {
      described.insert(method["httpMethod"].get<std::string>() + " /fleet/v1/" +
                       method["path"].get<std::string>());
    }
  }
  std::set<std::string> served;
  for (const auto& [method, pattern] : api_->Methods()) {
    if (pattern.starts_with("/fleet/v1/")) served.insert(method + " " + pattern);
  }
  EXPECT_EQ(described, served);
  for (const auto& resource : document["resources"]) {
    for (const auto& method : resource["methods"]) {
      for (const char* schema : {"request", "response"}) {
        if (!method.contains(schema)) continue;
        EXPECT_TRUE(document["schemas"].contains(method[schema]["$ref"].get<std::string>()));
      }
    }
  }
}

TEST_F(ApiTest, WrongMethodsNameTheRightOnes) {
  const Response response = Send("POST", "/fleet/v1/units/a.service");
  EXPECT_EQ(response.code, 405);
  EXPECT_EQ(HeaderOf(response, "Allow"), "DELETE, GET, HEAD, OPTIONS, PUT");
}

TEST_F(ApiTest, WatchRefusesWhatItCannotWatch) {
  EXPECT_EQ(Send("GET", "/fleet/v1/watch?resource=bogus").code, 400);
  EXPECT_EQ(Send("GET", "/fleet/v1/watch?since=x").code, 400);
  EXPECT_EQ(Send("GET", "/fleet/v1/watch?since=999999").code, 410) << "yet to come";
  EXPECT_EQ(Send("GET", "/fleet/v1/watch?since=0").code, 200);
  const std::string now = std::to_string(store_.revision());
  EXPECT_EQ(Send("GET", "/fleet/v1/watch?since=" + now).code, 200);
  EXPECT_EQ(Send("GET", "/fleet/v1/watch?unit=%5B").code, 400);
  const Response response = Send("GET", "/fleet/v1/watch?resource=units,states&unit=a*");
  EXPECT_EQ(response.code, 200);
  EXPECT_EQ(response.content_type, "text/event-stream");
}

}  // namespace
}  // namespace fleet::api
