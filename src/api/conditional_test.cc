// Entity tags and conditional requests over the API, with a store that others write to.

#include "api/conditional.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "api/api.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/features.h"
#include "nlohmann/json.hpp"
#include "registry/codec.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"
#include "registry/view_builder.h"

namespace fleet::api {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kOne[] =
    R"({"desiredState":"inactive","content":"[Service]\nExecStart=/bin/one\n"})";
constexpr char kRunning[] =
    R"({"desiredState":"launched","content":"[Service]\nExecStart=/bin/one\n"})";
constexpr char kTwo[] =
    R"({"content":"[Service]\nExecStart=/bin/two\n","replace":true,"desiredState":"inactive"})";

struct Conditions {
  std::optional<std::string> match = std::nullopt;
  std::optional<std::string> none_match = std::nullopt;
};

class ConditionalTest : public ::testing::Test {
 protected:
  ConditionalTest() {
    api_ =
        std::make_unique<Api>(ApiContext{.executor = &executor_, .store = &store_, .keys = keys_});
    store_.Set(keys_.Machine("aa1"), registry::Encode(MachineRecord{}));
    ShowView();
  }

  void ShowView() {
    registry::ViewBuilder builder(keys_);
    for (const auto& [key, kv] : store_.contents()) builder.Put(kv);
    api_->OnViewChange({.view = builder.Snapshot(store_.revision()), .reset = true});
    executor_.RunUntilIdle();
  }

  // The view that the request meets is the one that was shown last.
  Response Send(const std::string& method, const std::string& path, const std::string& body = {},
                Conditions conditions = {}) {
    std::optional<Response> answer;
    api_->Handle({.method = method,
                  .target = "/fleet/v1" + path,
                  .if_match = std::move(conditions.match),
                  .if_none_match = std::move(conditions.none_match),
                  .body = body},
                 [&](Response response) { answer = std::move(response); });
    executor_.RunUntilIdle();
    ShowView();
    EXPECT_TRUE(answer) << method << " " << path;
    return answer ? *std::move(answer) : Response{.code = 0};
  }
  static std::string TagOf(const Response& response) {
    for (const auto& [name, value] : response.headers) {
      if (name == "ETag") return value;
    }
    return "";
  }
  std::string TagAt(const std::string& path) { return TagOf(Send("GET", path)); }
  std::string TextOf(const std::string& unit) {
    return json::parse(Send("GET", "/units/" + unit).body)["content"];
  }
  UnitRecord RecordOf(const std::string& unit) {
    return *registry::DecodeUnit(store_.contents().at(keys_.Unit(unit)).value);
  }
  void Note(const std::string& unit, const std::string& refusal) {
    UnitRecord record = RecordOf(unit);
    record.refusal = refusal;
    store_.Set(keys_.Unit(unit), registry::Encode(record));
  }

  const registry::Keys keys_{"/fleet/"};
  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  std::unique_ptr<Api> api_;
};

TEST_F(ConditionalTest, AChangeForAnOlderVersionIsNotMadeAndNamesTheOneThereIs) {
  Send("PUT", "/units/a.service", kOne);
  const std::string seen = TagAt("/units/a.service");
  EXPECT_EQ(Send("PUT", "/units/a.service", kTwo).code, 204);
  const Response late = Send("PUT", "/units/a.service", R"({"desiredState":"loaded"})", {seen});
  EXPECT_EQ(late.code, 412);
  EXPECT_THAT(json::parse(late.body)["error"]["message"].get<std::string>(),
              HasSubstr(TagOf(late)));
  EXPECT_EQ(json::parse(late.body)["error"]["code"], 412);
  EXPECT_EQ(RecordOf("a.service").desired, DesiredState::kInactive);
  // With what it names it is.
  EXPECT_EQ(Send("PUT", "/units/a.service", R"({"desiredState":"loaded"})", {TagOf(late)}).code,
            204);
  EXPECT_EQ(Send("DELETE", "/units/a.service", "", {seen}).code, 412);
  EXPECT_EQ(Send("DELETE", "/units/a.service", "", {TagAt("/units/a.service")}).code, 204);
}

TEST_F(ConditionalTest, TheConditionIsOfWhatTheStoreHasNotOfTheViewBehindIt) {
  Send("PUT", "/units/a.service", kOne);
  const std::string seen = TagAt("/units/a.service");
  // Somebody else's change, which this API has not been told of.
  UnitRecord record = RecordOf("a.service");
  record.desired = DesiredState::kLoaded;
  store_.Set(keys_.Unit("a.service"), registry::Encode(record));
  EXPECT_EQ(Send("PUT", "/units/a.service", kTwo, {seen}).code, 412);
  EXPECT_EQ(RecordOf("a.service"), record);
}

TEST_F(ConditionalTest, AChangeBetweenTheCheckAndTheWriteIsNoticed) {
  Send("PUT", "/units/a.service", kOne);
  const std::string seen = TagAt("/units/a.service");
  UnitRecord record = RecordOf("a.service");
  record.desired = DesiredState::kLoaded;
  store_.BeforeCommit([&] { store_.Set(keys_.Unit("a.service"), registry::Encode(record)); });
  EXPECT_EQ(Send("PUT", "/units/a.service", kTwo, {seen}).code, 412);
  EXPECT_EQ(RecordOf("a.service"), record);
  const std::string now = TagAt("/units/a.service");
  store_.BeforeCommit([&] { store_.Erase(keys_.Unit("a.service")); });
  EXPECT_EQ(Send("PUT", "/units/a.service", kTwo, {now}).code, 412);
  EXPECT_EQ(store_.contents().count(keys_.Unit("a.service")), 0);
}

TEST_F(ConditionalTest, WhatTheEngineNotesMakesNoChangeFail) {
  Send("PUT", "/units/a.service", kRunning);
  const std::string seen = TagAt("/units/a.service");
  Note("a.service", "no machine is eligible");
  ShowView();
  EXPECT_NE(TagAt("/units/a.service"), seen);  // for reads it is another answer
  store_.BeforeCommit([&] { Note("a.service", "too late"); });
  EXPECT_EQ(Send("PUT", "/units/a.service", kTwo, {seen}).code, 204);
  EXPECT_THAT(TextOf("a.service"), HasSubstr("/bin/two"));
}

TEST_F(ConditionalTest, IfNoneMatchOfAnythingStoresWhatIsNewOnly) {
  EXPECT_EQ(Send("PUT", "/units/a.service", kOne, {.none_match = "*"}).code, 201);
  EXPECT_EQ(Send("PUT", "/units/a.service", kTwo, {.none_match = "*"}).code, 412);
  EXPECT_THAT(TextOf("a.service"), HasSubstr("/bin/one"));
  EXPECT_EQ(Send("PUT", "/units/b.service", kOne, {.match = "*"}).code, 412);
  EXPECT_EQ(Send("DELETE", "/units/b.service", "", {.match = "*"}).code, 404);
}

TEST_F(ConditionalTest, AWriteSaysTheTagOfWhatItHasLeft) {
  const Response created = Send("PUT", "/units/a.service", kOne);
  const Response changed = Send("PUT", "/units/a.service", kTwo, {TagOf(created)});
  EXPECT_EQ(changed.code, 204);
  EXPECT_NE(TagOf(changed), TagOf(created));
  EXPECT_EQ(Send("PUT", "/units/a.service", kTwo, {TagOf(changed)}).code, 204);  // the same again
  EXPECT_EQ(Send("DELETE", "/units/a.service", "", {TagOf(changed)}).code, 204);
}

TEST_F(ConditionalTest, AReadOfWhatTheClientHasIsNotAnsweredAgain) {
  Send("PUT", "/units/a.service", kRunning);
  for (const char* path : {"/units", "/units/a.service", "/state", "/machines", "/machines/aa1"}) {
    const std::string tag = TagAt(path);
    ASSERT_FALSE(tag.empty()) << path;
    const Response same = Send("GET", path, "", {.none_match = "W/" + tag + ", \"x\""});
    EXPECT_EQ(same.code, 304) << path;
    EXPECT_EQ(same.body, "");
    EXPECT_EQ(TagOf(same), tag);
    EXPECT_EQ(Send("GET", path, "", {.none_match = "\"x\""}).code, 200) << path;
  }
  const std::string unit = TagAt("/units/a.service");
  Note("a.service", "no machine is eligible");
  ShowView();
  EXPECT_EQ(Send("GET", "/units/a.service", "", {.none_match = unit}).code, 200);
  EXPECT_EQ(Send("GET", "/units/none.service", "", {.none_match = "*"}).code, 404);
}

TEST_F(ConditionalTest, ABatchHasAConditionForEachChange) {
  Send("PUT", "/units/a.service", kOne);
  Send("PUT", "/units/b.service", kOne);
  const std::string seen = TagAt("/units/a.service");
  Send("PUT", "/units/b.service", kTwo);
  const json body = {
      {"changes",
       {{{"name", "a.service"}, {"desiredState", "loaded"}, {"ifMatch", seen}},
        {{"name", "a.service"}, {"destroy", true}, {"ifMatch", seen}},  // the one before has won
        {{"name", "b.service"}, {"destroy", true}, {"ifMatch", seen}},
        {{"name", "c.service"},
         {"content", "[Service]\nExecStart=/bin/one\n"},
         {"ifNoneMatch", "*"}}}}};
  const json results = json::parse(Send("POST", "/batch", body.dump()).body)["results"];
  EXPECT_EQ(results[0]["code"], 204);
  EXPECT_EQ(results[1]["code"], 412);
  EXPECT_EQ(results[2]["code"], 412);
  EXPECT_THAT(results[2]["message"].get<std::string>(), HasSubstr("ETag is \""));
  EXPECT_EQ(results[3]["code"], 201);
}

TEST_F(ConditionalTest, SettingsOfAMachineAreChangedAsTheyWereSeen) {
  const std::string patch = R"([{"op":"add","path":"/aa1/metadata/zone","value":"a"}])";
  const std::string seen = TagAt("/machines/aa1");
  const Response first = Send("PATCH", "/machines", patch, {seen});
  EXPECT_EQ(first.code, 204);
  const Response late = Send("PATCH", "/machines", patch, {seen});
  EXPECT_EQ(late.code, 412);
  EXPECT_EQ(TagOf(late), TagOf(first));
  // A slot of FleetLock that was asked for in between is another thing, and so is a drain.
  const auto write = [&](auto change) {
    MachineSettings settings =
        *registry::DecodeSettings(store_.contents().at(keys_.Settings("aa1")).value);
    change(settings);
    store_.Set(keys_.Settings("aa1"), registry::Encode(settings));
  };
  const std::string other = R"([{"op":"add","path":"/aa1/metadata/zone","value":"b"}])";
  store_.BeforeCommit([&] { write([](MachineSettings& s) { s.lock_group = "web"; }); });
  EXPECT_EQ(Send("PATCH", "/machines", other, {TagOf(first)}).code, 412);
  EXPECT_NE(TagAt("/machines/aa1"), TagOf(first));
  store_.BeforeCommit([&] { write([](MachineSettings& s) { s.drained = true; }); });
  EXPECT_EQ(Send("PATCH", "/machines", other, {TagAt("/machines/aa1")}).code, 412);
  const json machine = json::parse(Send("GET", "/machines/aa1").body);
  EXPECT_EQ(machine["settings"]["metadata"]["zone"], "a");
  EXPECT_EQ(machine["settings"]["drained"], true);
  EXPECT_EQ(machine["settings"]["lockGroup"], "web");
}

TEST_F(ConditionalTest, AConditionIsOfOneMachine) {
  const std::string patch = R"([{"op":"add","path":"/aa1/metadata/z","value":"a"},)"
                            R"({"op":"add","path":"/aa2/metadata/z","value":"a"}])";
  EXPECT_EQ(Send("PATCH", "/machines", patch, {"*"}).code, 400);
  EXPECT_EQ(Send("PATCH", "/machines", patch).code, 204);
}

TEST_F(ConditionalTest, CordonAndDrainAreMadeForTheSettingsThatWereSeen) {
  const std::string seen = TagAt("/machines/aa1");
  const Response cordon = Send("POST", "/machines/aa/cordon", "", {seen});
  EXPECT_EQ(cordon.code, 204);
  for (const char* const verb : {"cordon", "drain", "uncordon"}) {
    const Response late = Send("POST", std::string("/machines/aa1/") + verb, "", {seen});
    EXPECT_EQ(late.code, 412) << verb;
    EXPECT_EQ(TagOf(late), TagOf(cordon)) << verb;
  }
  EXPECT_EQ(json::parse(Send("GET", "/machines/aa1").body)["state"], "cordoned");
  const Response drain = Send("POST", "/machines/aa1/drain", "", {TagOf(cordon)});
  EXPECT_EQ(drain.code, 204);
  EXPECT_EQ(Send("POST", "/machines/aa1/uncordon", "", {TagOf(drain)}).code, 204);
  EXPECT_EQ(Send("POST", "/machines/aa1/drain", "", {seen}).code, 204);
}

TEST_F(ConditionalTest, AMachineIsNotOpenedForASlotThatItHasGotSince) {
  const std::string seen = TagOf(Send("POST", "/machines/aa1/cordon"));
  MachineSettings settings =
      *registry::DecodeSettings(store_.contents().at(keys_.Settings("aa1")).value);
  settings.lock_group = "web";
  settings.lock_granted = true;
  store_.Set(keys_.Settings("aa1"), registry::Encode(settings));
  ShowView();
  EXPECT_EQ(Send("POST", "/machines/aa1/uncordon", "", {seen}).code, 412);
  EXPECT_EQ(json::parse(Send("GET", "/machines/aa1").body)["settings"]["lockGranted"], true);
  EXPECT_EQ(Send("POST", "/machines/aa1/uncordon", "", {TagAt("/machines/aa1")}).code, 204);
}

TEST_F(ConditionalTest, AScaleIsMadeForTheTemplateThatWasSeen) {
  Send("PUT", "/units/a@.service", kOne);
  const std::string seen = TagAt("/units/a@.service");
  const Response scaled = Send("POST", "/units/a@.service/scale", R"({"replicas":2})", {seen});
  EXPECT_EQ(scaled.code, 200);
  const Response late = Send("POST", "/units/a@.service/scale", R"({"replicas":0})", {seen});
  EXPECT_EQ(late.code, 412);
  EXPECT_EQ(TagOf(late), TagOf(scaled));
  EXPECT_EQ(Send("DELETE", "/units/a@.service/scale", "", {seen}).code, 412);
  EXPECT_EQ(RecordOf("a@.service").replicas, 2);
  EXPECT_EQ(Send("DELETE", "/units/a@.service/scale", "", {TagOf(scaled)}).code, 200);
  EXPECT_EQ(RecordOf("a@.service").replicas, std::nullopt);
  EXPECT_EQ(Send("DELETE", "/units/b@.service/scale", "", {seen}).code, 404);
}

TEST_F(ConditionalTest, ARolloutIsStartedForTheUnitThatWasSeen) {
  Send("PUT", "/units/a@.service", kOne);
  Send("PUT", "/units/b.service", kOne);
  const std::string seen = TagAt("/units/a@.service");
  Send("POST", "/units/a@.service/scale", R"({"replicas":1})");
  const std::string path = "/units/a@.service/rollout";
  const std::string two = R"({"content":"[Service]\nExecStart=/bin/two\n"})";
  const Response late = Send("POST", path, two, {seen});
  EXPECT_EQ(late.code, 412);
  EXPECT_THAT(TagAt("/units/a@.service"),
              ::testing::StartsWith(TagOf(late).substr(0, TagOf(late).size() - 1)));
  store_.Set(keys_.Cluster("features"),
             registry::Encode(FeaturesRecord{.enabled = KnownFeatures()}));
  ShowView();
  const auto together = [&](const std::string& tag) {
    const json b = {{"name", "b.service"}, {"content", "[Service]\nExecStart=/bin/two\n"}};
    json a = b;
    a["name"] = "a@.service";
    a["ifMatch"] = tag;
    return Send("POST", "/rollouts", json{{"units", {a, b}}}.dump());
  };
  EXPECT_EQ(together(seen).code, 412);
  EXPECT_EQ(Send("GET", "/rollouts/a@.service").code, 404);
  EXPECT_EQ(Send("GET", "/rollouts/b.service").code, 404);
  EXPECT_EQ(together(TagAt("/units/a@.service")).code, 200);
  EXPECT_EQ(Send("POST", path, json{{"restart", true}, {"ifMatch", seen}}.dump()).code, 400);
}

TEST_F(ConditionalTest, ARolloutIsChangedAsItWasSeen) {
  Send("PUT", "/units/a.service", kRunning);
  const std::string two = R"({"content":"[Service]\nExecStart=/bin/two\n"})";
  const std::string running = TagOf(Send("POST", "/units/a.service/rollout", two));
  EXPECT_EQ(running, TagAt("/rollouts/a.service"));
  EXPECT_EQ(Send("GET", "/rollouts/a.service", "", {.none_match = running}).code, 304);
  const Response paused = Send("POST", "/rollouts/a.service/pause", "{}", {running});
  EXPECT_EQ(paused.code, 200);
  EXPECT_EQ(Send("POST", "/rollouts/a.service/undo", "{}", {running}).code, 412);
  EXPECT_EQ(Send("POST", "/rollouts/a.service/resume", "{}", {running}).code, 412);
  EXPECT_EQ(json::parse(Send("GET", "/rollouts/a.service").body)["state"], "paused");
  EXPECT_EQ(Send("POST", "/rollouts/a.service/undo", "{}", {TagOf(paused)}).code, 200);
}

// What a view that is behind says of it is not what it is.
TEST_F(ConditionalTest, ARolloutIsJudgedByTheStore) {
  Send("PUT", "/units/a.service", kRunning);
  const std::string restart = R"({"restart":true})";
  const std::string running = TagOf(Send("POST", "/units/a.service/rollout", restart));
  store_.BeforeCommit([&] {
    RolloutRecord record =
        *registry::DecodeRollout(store_.contents().at(keys_.Rollout("a.service")).value);
    record.state = RolloutState::kFailed;
    store_.Set(keys_.Rollout("a.service"), registry::Encode(record));
  });
  EXPECT_EQ(Send("POST", "/rollouts/a.service/pause", "{}", {"\"other\""}).code, 409);
  EXPECT_EQ(json::parse(Send("GET", "/rollouts/a.service").body)["state"], "failed");
}

TEST_F(ConditionalTest, AMachineThatIsAwayIsShownWithItsSettings) {
  Send("PATCH", "/machines", R"([{"op":"add","path":"/bb1/metadata/zone","value":"b"}])");
  const json machine = json::parse(Send("GET", "/machines/bb").body);
  EXPECT_EQ(machine["id"], "bb1");
  EXPECT_EQ(machine["state"], "absent");
  EXPECT_EQ(machine["metadata"]["zone"], "b");
  EXPECT_EQ(Send("GET", "/machines/cc").code, 404);
  EXPECT_EQ(json::parse(Send("GET", "/machines/aa1").body)["state"], "ready");
}

TEST_F(ConditionalTest, AConditionThatWouldNotBeHeededIsRefused) {
  EXPECT_EQ(Send("POST", "/machines/aa1/forget", "", {"*"}).code, 400);
  EXPECT_EQ(Send("POST", "/rollouts", "{}", {"*"}).code, 400);
  const std::string batch =
      json{{"changes", {{{"name", "b.service"}, {"content", "[Service]\n"}}}}}.dump();
  EXPECT_EQ(Send("POST", "/batch", batch, {.none_match = "*"}).code, 400);
  EXPECT_EQ(Send("POST", "/batch", batch).code, 200);
  EXPECT_EQ(Send("POST", "/machines/aa1/cordon").code, 204);
}

TEST_F(ConditionalTest, WhatWasReadOfATemplateAndIsWrittenBackSetsNoNumber) {
  const char* const text = "[Service]\nExecStart=/bin/a\n[X-Fleet]\nReplicas=3\n";
  Send("PUT", "/units/a@.service", json{{"desiredState", "inactive"}, {"content", text}}.dump());
  const json seen = json::parse(Send("GET", "/units/a@.service").body);
  EXPECT_EQ(seen["replicas"], 3);
  EXPECT_EQ(Send("PUT", "/units/a@.service", seen.dump()).code, 204);
  EXPECT_EQ(RecordOf("a@.service").replicas, std::nullopt);
}

TEST_F(ConditionalTest, WhatIsNoListOfTagsIsABadRequest) {
  Send("PUT", "/units/a.service", kOne);
  for (const char* bad : {"abc", "", ",", "\"a", "\"a\" \"b\"", "w/\"a\"", "*, \"a\""}) {
    EXPECT_EQ(Send("PUT", "/units/a.service", kTwo, {bad}).code, 400) << bad;
    EXPECT_EQ(Send("DELETE", "/units/a.service", "", {.none_match = bad}).code, 400) << bad;
  }
  // A quoted star is a tag, and nobody has it.
  EXPECT_EQ(Send("PUT", "/units/a.service", kTwo, {"\"*\""}).code, 412);
  // Weak tags never match where something is written.
  const std::string tag = TagAt("/units/a.service");
  EXPECT_EQ(Send("PUT", "/units/a.service", kTwo, {"W/" + tag}).code, 412);
  EXPECT_EQ(Send("PUT", "/units/a.service", kTwo, {", \"x\" ,\t" + tag + ","}).code, 204);
  EXPECT_THAT(TextOf("a.service"), Not(HasSubstr("/bin/one")));
}

}  // namespace
}  // namespace fleet::api
