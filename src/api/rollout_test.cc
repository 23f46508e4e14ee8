// Scaling, rolling updates and restarts over the API.

#include "reconcile/rollout.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/api.h"
#include "fmt/core.h"
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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const char* const kTemplate = "web@.service";
const char* const kOld = "[Service]\nExecStart=/bin/sleep 1d\n";
const char* const kNew = "[Service]\nExecStart=/bin/sleep 2d\n";

std::string HashOf(const std::string& text) { return UnitFile::Parse(text)->hash(); }

class RolloutApi : public ::testing::Test {
 protected:
  RolloutApi() {
    api_ =
        std::make_unique<Api>(ApiContext{.executor = &executor_, .store = &store_, .keys = keys_});
    Put(kTemplate, kOld, DesiredState::kInactive);
    store_.Set(keys_.Cluster("features"),
               registry::Encode(FeaturesRecord{.enabled = KnownFeatures()}));
    ShowView();
  }

  void Put(const std::string& unit, const std::string& text, DesiredState desired,
           bool made_by_replicas = false) {
    const auto file = std::make_shared<const UnitFile>(*UnitFile::Parse(text));
    store_.Set(keys_.Content(file->hash()), registry::Encode(Content{file}));
    store_.Set(keys_.Unit(unit),
               registry::Encode(UnitRecord{.uid = "uid of " + unit,
                                           .desired = desired,
                                           .content_hash = file->hash(),
                                           .made_by_replicas = made_by_replicas}));
  }

  void ShowView() {
    registry::ViewBuilder builder(keys_);
    for (const auto& [key, kv] : store_.contents()) builder.Put(kv);
    api_->OnViewChange({.view = builder.Snapshot(store_.revision()), .reset = true});
    executor_.RunUntilIdle();
  }

  Response Send(const std::string& method, const std::string& path, const json& body = {}) {
    std::optional<Response> answer;
    Request request;
    request.method = method;
    request.target = "/fleet/v1" + path;
    if (!body.is_null()) request.body = body.dump();
    api_->Handle(std::move(request), [&](Response response) { answer = std::move(response); });
    executor_.RunUntilIdle();
    ShowView();
    return answer ? *std::move(answer) : Response{.code = 0};
  }
  Response Post(const std::string& path, const json& body = {}) { return Send("POST", path, body); }
  json Rollout() { return json::parse(Send("GET", "/rollouts/web@.service").body); }

  UnitRecord UnitOf(const std::string& unit) {
    return *registry::DecodeUnit(store_.contents().at(keys_.Unit(unit)).value);
  }
  RolloutRecord Record() {
    return *registry::DecodeRollout(store_.contents().at(keys_.Rollout(kTemplate)).value);
  }
  void Set(const RolloutRecord& record) {
    store_.Set(keys_.Rollout(kTemplate), registry::Encode(record));
    ShowView();
  }

  const registry::Keys keys_{"/fleet/"};
  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  std::unique_ptr<Api> api_;
};

TEST_F(RolloutApi, AScaleTellsTheEngineAndStartsWhatIsThere) {
  Put("web@2.service", kOld, DesiredState::kLoaded);
  Put("web@4.service", kOld, DesiredState::kLaunched, /*made_by_replicas=*/true);
  Put("web@5.service", kOld, DesiredState::kLaunched);
  ShowView();
  const Response response = Post("/units/web@.service/scale", {{"replicas", 3}});
  ASSERT_EQ(response.code, 200) << response.body;
  EXPECT_EQ(UnitOf(kTemplate).replicas, 3);
  EXPECT_EQ(UnitOf("web@2.service").desired, DesiredState::kLaunched);
  const json answer = json::parse(response.body);
  EXPECT_THAT(answer["units"], ElementsAre("web@1.service", "web@2.service", "web@3.service"));
  EXPECT_THAT(answer["surplus"], ElementsAre("web@4.service"));
}

TEST_F(RolloutApi, AScaleIsTakenBackToTheNumberOfTheText) {
  Put(kTemplate, "[X-Fleet]\nReplicas=2\n", DesiredState::kInactive);
  for (const char* const unit : {"web@1.service", "web@2.service", "web@3.service"}) {
    Put(unit, kOld, DesiredState::kLaunched, /*made_by_replicas=*/true);
  }
  Put("web@2.service", kOld, DesiredState::kLoaded, /*made_by_replicas=*/true);
  ShowView();
  Post("/units/web@.service/scale", {{"replicas", 3}});
  ASSERT_EQ(UnitOf(kTemplate).replicas, 3);
  // As often as it is asked.
  for (int i = 0; i < 2; ++i) {
    const Response response = Send("DELETE", "/units/web@.service/scale");
    ASSERT_EQ(response.code, 200) << response.body;
    EXPECT_EQ(UnitOf(kTemplate).replicas, std::nullopt);
    EXPECT_EQ(UnitOf("web@2.service").desired, DesiredState::kLaunched);
    const json answer = json::parse(response.body);
    EXPECT_EQ(answer["replicas"], 2);
    EXPECT_THAT(answer["units"], ElementsAre("web@1.service", "web@2.service"));
    EXPECT_THAT(answer["surplus"], ElementsAre("web@3.service"));
  }
}

TEST_F(RolloutApi, AScaleThatIsTakenBackIsAnsweredByTheTextThatComesInTheSameMoment) {
  Put("web@1.service", kOld, DesiredState::kLoaded);
  ShowView();
  Post("/units/web@.service/scale", {{"replicas", 3}});
  // Before the change is stored, and not in the view yet.
  store_.BeforeCommit([&] { Put(kTemplate, "[X-Fleet]\nReplicas=2\n", DesiredState::kInactive); });
  std::optional<Response> answer;
  api_->Handle({.method = "DELETE", .target = "/fleet/v1/units/web@.service/scale"},
               [&](Response response) { answer = std::move(response); });
  for (int turn = 0; turn < 3 && !answer; ++turn) {
    executor_.RunUntilIdle();
    ShowView();
  }
  ASSERT_TRUE(answer);
  EXPECT_EQ(json::parse(answer->body)["replicas"], 2) << answer->body;
  EXPECT_EQ(UnitOf("web@1.service").desired, DesiredState::kLaunched);
}

TEST_F(RolloutApi, WithoutANumberInTheTextNoneIsKeptOnceAScaleIsTakenBack) {
  Put("web@1.service", kOld, DesiredState::kLoaded, /*made_by_replicas=*/true);
  ShowView();
  Post("/units/web@.service/scale", {{"replicas", 0}});
  const json answer = json::parse(Send("DELETE", "/units/web@.service/scale").body);
  EXPECT_EQ(UnitOf(kTemplate).replicas, std::nullopt);
  EXPECT_FALSE(answer.contains("replicas"));
  EXPECT_TRUE(answer["units"].empty());
  EXPECT_TRUE(answer["surplus"].empty());
  EXPECT_EQ(UnitOf("web@1.service").desired, DesiredState::kLoaded);
  EXPECT_EQ(Send("DELETE", "/units/api@.service/scale").code, 404);
  EXPECT_EQ(Send("DELETE", "/units/web@1.service/scale").code, 400);
}

TEST_F(RolloutApi, AScaleIsOfATemplateAndANumber) {
  Put("all@.service", "[X-Fleet]\nGlobal=true\n", DesiredState::kInactive);
  ShowView();
  EXPECT_EQ(Post("/units/web@1.service/scale", {{"replicas", 3}}).code, 400);
  EXPECT_EQ(Post("/units/web@.service/scale", {{"replicas", -1}}).code, 400);
  EXPECT_EQ(Post("/units/web@.service/scale", {{"replicas", "3"}}).code, 400);
  EXPECT_EQ(Post("/units/web@.service/scale").code, 400);
  EXPECT_EQ(Post("/units/api@.service/scale", {{"replicas", 3}}).code, 404);
  EXPECT_EQ(Post("/units/all@.service/scale", {{"replicas", 3}}).code, 409);
}

TEST_F(RolloutApi, EachRolloutIsListedAsItIsShownByItself) {
  Put("a.service", kOld, DesiredState::kLaunched);
  Put("b.service", kOld, DesiredState::kLaunched);
  Put("web@1.service", kOld, DesiredState::kLaunched);
  ShowView();
  Post("/rollouts",
       {{"restart", true}, {"units", {{{"name", "a.service"}}, {{"name", kTemplate}}}}});
  Post("/units/b.service/rollout", {{"restart", true}});
  const json list = json::parse(Send("GET", "/rollouts").body)["rollouts"];
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0]["total"], 2);
  EXPECT_EQ(list[1]["total"], 1);
  for (const json& rollout : list) {
    const std::string name = rollout["name"];
    EXPECT_EQ(rollout, json::parse(Send("GET", "/rollouts/" + name).body)) << name;
  }
}

TEST_F(RolloutApi, AnUpdateIsStoredWithItsTextInOneTransaction) {
  const int64_t before = store_.revision();
  const Response response =
      Post("/units/web@.service/rollout",
           {{"content", kNew}, {"maxUnavailable", "20%"}, {"onFailure", "rollback"}});
  ASSERT_EQ(response.code, 200) << response.body;
  EXPECT_EQ(store_.revision(), before + 1);
  EXPECT_EQ(UnitOf(kTemplate).content_hash, HashOf(kNew));
  EXPECT_TRUE(store_.contents().contains(keys_.Content(HashOf(kNew))));
  EXPECT_EQ(Record().former_hash, HashOf(kOld));
  EXPECT_TRUE(Record().rolls_back);
  const json shown = json::parse(response.body);
  EXPECT_EQ(shown["state"], "running");
  EXPECT_EQ(shown["maxUnavailable"], "20%");
  EXPECT_EQ(shown["history"].size(), 2u);
  EXPECT_EQ(json::parse(Send("GET", "/rollouts").body)["rollouts"].size(), 1u);
}

TEST_F(RolloutApi, OneOfSeveralIsStoredInOneTransactionAndControlledByEachName) {
  Put("a.service", kOld, DesiredState::kLaunched);
  ShowView();
  const int64_t before = store_.revision();
  const Response response = Post("/rollouts", {{"units",
                                                {{{"name", "web@.service"}, {"content", kNew}},
                                                 {{"name", "a.service"}, {"content", kNew}}}},
                                               {"maxUnavailable", "1"}});
  ASSERT_EQ(response.code, 200) << response.body;
  EXPECT_EQ(store_.revision(), before + 1);
  const json shown = json::parse(response.body);
  EXPECT_EQ(shown["name"], "a.service");
  EXPECT_THAT(shown["together"], ElementsAre("a.service", "web@.service"));
  EXPECT_EQ(shown["total"], 1);
  EXPECT_EQ(Rollout()["id"], shown["id"]);
  EXPECT_EQ(Rollout()["hash"], HashOf(kNew));
  EXPECT_EQ(UnitOf(kTemplate).content_hash, HashOf(kNew));

  const auto states = [&] {
    return std::pair(json::parse(Send("GET", "/rollouts/a.service").body)["state"],
                     Rollout()["state"]);
  };
  EXPECT_EQ(Post("/rollouts/web@.service/pause").code, 200);
  EXPECT_EQ(states(), std::pair(json("paused"), json("paused")));
  EXPECT_EQ(Post("/rollouts/a.service/resume").code, 200);
  EXPECT_EQ(states(), std::pair(json("running"), json("running")));
  EXPECT_EQ(Post("/rollouts/a.service/undo").code, 200);
  EXPECT_EQ(Rollout()["hash"], HashOf(kOld));
  EXPECT_THAT(Rollout()["together"], ElementsAre("a.service", "web@.service"));
  // A text is one unit's.
  EXPECT_EQ(Post("/rollouts/a.service/undo", {{"hash", HashOf(kNew)}}).code, 200);
  EXPECT_EQ(Rollout()["hash"], HashOf(kOld));
  EXPECT_THAT(Rollout()["together"], ElementsAre("web@.service"));
}

TEST_F(RolloutApi, OneOfSeveralThatHasTheTextAlreadyKeepsItWhenTheOthersGoBack) {
  Put("a.service", kOld, DesiredState::kLaunched);
  ShowView();
  const auto update = [&](const json& units) { return Post("/rollouts", {{"units", units}}); };
  ASSERT_EQ(update({{{"name", "web@.service"}, {"content", kOld}},
                    {{"name", "a.service"}, {"content", kNew}}})
                .code,
            200);
  EXPECT_EQ(Post("/rollouts/a.service/undo").code, 200);
  EXPECT_EQ(json::parse(Send("GET", "/rollouts/a.service").body)["hash"], HashOf(kOld));
  EXPECT_EQ(Rollout()["hash"], HashOf(kOld));
}

TEST_F(RolloutApi, ATemplatesWaitsForThatOfAnInstance) {
  Put("web@1.service", kOld, DesiredState::kLaunched);
  ShowView();
  ASSERT_EQ(Post("/units/web@1.service/rollout", {{"restart", true}}).code, 200);
  const Response refused = Post("/units/web@.service/rollout", {{"restart", true}});
  EXPECT_EQ(refused.code, 409);
  EXPECT_THAT(refused.body, HasSubstr("a rollout of web@1.service"));
  EXPECT_EQ(Post("/rollouts/web@1.service/pause").code, 200);
  EXPECT_EQ(Post("/units/web@.service/rollout", {{"restart", true}}).code, 200);
}

TEST_F(RolloutApi, OneOfSeveralIsRefusedAsAWhole) {
  Put("a.service", kOld, DesiredState::kLaunched);
  Put("web@1.service", kOld, DesiredState::kLaunched);
  ShowView();
  const auto code = [&](const json& names, bool supersede = false) {
    json units = json::array();
    for (const auto& name : names) units.push_back({{"name", name}});
    return Post("/rollouts", {{"restart", true}, {"units", units}, {"supersede", supersede}}).code;
  };
  EXPECT_EQ(code({"a.service", "none.service"}), 404);
  EXPECT_EQ(code({"a.service", "a.service"}), 400);
  EXPECT_EQ(code({"web@1.service", "web@.service"}), 400);
  EXPECT_EQ(code(json::array()), 400);
  EXPECT_EQ(code(std::vector<std::string>(33, "a.service")), 400);
  EXPECT_EQ(Post("/rollouts", json::array()).code, 400);
  EXPECT_EQ(Post("/rollouts", {{"units", {{{"name", "a.service"}}}}}).code, 400);
  EXPECT_FALSE(store_.contents().contains(keys_.Rollout("a.service")));

  EXPECT_EQ(Post("/units/a.service/rollout", {{"restart", true}}).code, 200);
  EXPECT_EQ(code({"a.service", "web@.service"}), 409);
  EXPECT_FALSE(store_.contents().contains(keys_.Rollout(kTemplate)));
  EXPECT_EQ(code({"a.service", "web@.service"}, /*supersede=*/true), 200);
}

TEST_F(RolloutApi, AHistoryOfABackupIsForAUnitThatHasNone) {
  const json history = {
      {"history",
       {{{"content", kOld}, {"since", "2026-01-02T03:04:05+00:00"}, {"how", "update"}},
        {{"content", kNew}}}}};
  ASSERT_EQ(Send("PUT", "/rollouts/web@.service", history).code, 200);
  EXPECT_EQ(Record().state, RolloutState::kDone);
  EXPECT_EQ(Record().former_hash, HashOf(kNew));
  EXPECT_EQ(Rollout()["history"].size(), 2u);
  EXPECT_EQ(Rollout()["history"][0]["since"], "2026-01-02T03:04:05+00:00");
  EXPECT_EQ(UnitOf(kTemplate).content_hash, HashOf(kOld));
  EXPECT_EQ(Send("PUT", "/rollouts/web@.service", history).code, 409);
  EXPECT_EQ(Send("PUT", "/rollouts/none.service", history).code, 404);
  EXPECT_EQ(Post("/rollouts/web@.service/undo").code, 200);
  EXPECT_EQ(UnitOf(kTemplate).content_hash, HashOf(kNew));
  // And the backup has it again.
  const json backup = json::parse(Send("GET", "/backup").body);
  EXPECT_EQ(backup["rollouts"][0]["name"], kTemplate);
  EXPECT_EQ(backup["rollouts"][0]["history"][0]["content"], kNew);
}

TEST_F(RolloutApi, OneThatRunsIsSupersededOnlyWhenAskedTo) {
  ASSERT_EQ(Post("/units/web@.service/rollout", {{"content", kNew}}).code, 200);
  const std::string first = Record().uid;
  Put("web@1.service", kOld, DesiredState::kLaunched);
  ShowView();
  EXPECT_EQ(Post("/units/web@.service/rollout", {{"restart", true}}).code, 409);
  EXPECT_EQ(Post("/units/web@1.service/rollout", {{"restart", true}}).code, 409);
  ASSERT_EQ(Post("/units/web@.service/rollout", {{"restart", true}, {"supersede", true}}).code,
            200);
  EXPECT_NE(Record().uid, first);
  EXPECT_TRUE(Record().restarts);
  RolloutRecord done = Record();
  done.state = RolloutState::kDone;
  Set(done);
  EXPECT_EQ(Post("/units/web@.service/rollout", {{"restart", true}}).code, 200);
}

TEST_F(RolloutApi, PausesAndResumesAndTriesAgainWhatHasFailed) {
  ASSERT_EQ(Post("/units/web@.service/rollout", {{"content", kNew}}).code, 200);
  EXPECT_EQ(Post("/rollouts/web@.service/resume").code, 409);
  EXPECT_EQ(Post("/rollouts/web@.service/pause").code, 200);
  EXPECT_EQ(Rollout()["state"], "paused");
  EXPECT_EQ(Rollout()["reason"], "paused by hand");
  // One that it has reached and that has failed.
  Put("web@1.service", kNew, DesiredState::kLaunched);
  UnitRecord failed = UnitOf("web@1.service");
  failed.rollout = Record().uid;
  store_.Set(keys_.Unit("web@1.service"), registry::Encode(failed));
  store_.Set(keys_.Machine("m1"), registry::Encode(MachineRecord{}));
  store_.Set(keys_.Assignment("m1", "web@1.service"),
             registry::Encode(Assignment{.uid = failed.uid,
                                         .generation = 1,
                                         .content_hash = failed.content_hash,
                                         .state = AssignmentState::kLaunched}));
  store_.Set(keys_.State("m1", "web@1.service"),
             registry::Encode(StateReport{.uid = failed.uid,
                                          .generation = 1,
                                          .load_state = "loaded",
                                          .active_state = "failed",
                                          .settled = true,
                                          .result = "exit-code"}));
  ShowView();
  EXPECT_THAT(Rollout()["notStarted"], ElementsAre("web@1.service is failed: exit-code"));
  EXPECT_EQ(Post("/rollouts/web@.service/resume").code, 200);
  EXPECT_EQ(Record().state, RolloutState::kRunning);
  EXPECT_EQ(Record().reason, "");
  EXPECT_EQ(UnitOf("web@1.service").restarts, 1);
}

TEST_F(RolloutApi, UndoBringsAFormerTextBack) {
  EXPECT_EQ(Post("/rollouts/web@.service/undo").code, 404);
  ASSERT_EQ(Post("/units/web@.service/rollout", {{"content", kNew}}).code, 200);
  ASSERT_EQ(Post("/rollouts/web@.service/undo").code, 200);
  EXPECT_EQ(UnitOf(kTemplate).content_hash, HashOf(kOld));
  EXPECT_EQ(Record().content_hash, HashOf(kOld));
  EXPECT_EQ(Record().history[0].how, "undo");
  ASSERT_EQ(Post("/rollouts/web@.service/undo", {{"hash", HashOf(kNew).substr(0, 12)}}).code, 200);
  EXPECT_EQ(Record().content_hash, HashOf(kNew));
  EXPECT_EQ(Post("/rollouts/web@.service/undo", {{"hash", "no such"}}).code, 404);
  EXPECT_EQ(Record().history.size(), 2u);
}

TEST_F(RolloutApi, UndoAfterASubmitBringsBackWhatTheRolloutHadBrought) {
  ASSERT_EQ(Post("/units/web@.service/rollout", {{"content", kNew}}).code, 200);
  const std::string other = "[Service]\nExecStart=/bin/other\n";
  ASSERT_EQ(Send("PUT", "/units/web@.service", {{"content", other}, {"replace", true}}).code, 204);
  const std::string submitted = UnitOf(kTemplate).content_hash;
  ASSERT_NE(submitted, HashOf(kNew));
  EXPECT_EQ(Rollout()["history"][0]["hash"], submitted);
  EXPECT_EQ(Rollout()["history"][0]["how"], "submit");
  ASSERT_EQ(Post("/rollouts/web@.service/undo").code, 200);
  EXPECT_EQ(UnitOf(kTemplate).content_hash, HashOf(kNew));
  EXPECT_EQ(Record().former_hash, submitted);
}

TEST_F(RolloutApi, AnUpdateReachesInstancesWithATextThatASubmitHasReplaced) {
  Put("web@1.service", kOld, DesiredState::kLaunched);
  ShowView();
  ASSERT_EQ(Send("PUT", "/units/web@.service", {{"content", kNew}, {"replace", true}}).code, 204);
  ASSERT_EQ(Post("/units/web@.service/rollout", {{"content", kNew}}).code, 200);
  EXPECT_EQ(Rollout()["total"], 1);
  EXPECT_EQ(Rollout()["reached"], 0);
  EXPECT_EQ(Rollout()["history"][1]["hash"], HashOf(kOld));
  EXPECT_THAT(UnitOf(kTemplate).former_hashes, IsEmpty());
}

TEST_F(RolloutApi, WhatWasRolledBackIsNotBroughtAgainByAnUndo) {
  ASSERT_EQ(Post("/units/web@.service/rollout", {{"content", kNew}}).code, 200);
  RolloutRecord back = reconcile::RollBackOf(Record(), "it failed", absl::UnixEpoch());
  UnitRecord unit = UnitOf(kTemplate);
  unit.content_hash = HashOf(kOld);
  store_.Set(keys_.Unit(kTemplate), registry::Encode(unit));
  for (const auto state : {RolloutState::kRunning, RolloutState::kPaused, RolloutState::kFailed}) {
    back.state = state;
    Set(back);
    const Response refused = Post("/rollouts/web@.service/undo");
    EXPECT_EQ(refused.code, 409);
    EXPECT_THAT(refused.body, HasSubstr("rolled back"));
  }
  EXPECT_EQ(Post("/rollouts/web@.service/undo", {{"hash", HashOf(kNew)}}).code, 200);
  EXPECT_EQ(UnitOf(kTemplate).content_hash, HashOf(kNew));
}

TEST_F(RolloutApi, AGlobalUnitStaysOutOfRollouts) {
  Put("log.service", "[X-Fleet]\nGlobal=true\n", DesiredState::kLaunched);
  ShowView();
  EXPECT_EQ(Post("/units/log.service/rollout", {{"content", kNew}}).code, 409);
}

TEST_F(RolloutApi, ARestartIsOfWhatIsLaunched) {
  Put("a.service", kOld, DesiredState::kLoaded);
  ShowView();
  const Response refused = Post("/units/a.service/rollout", {{"restart", true}});
  EXPECT_EQ(refused.code, 409);
  EXPECT_THAT(refused.body, HasSubstr("is loaded, not launched"));
  EXPECT_EQ(Post("/units/web@.service/rollout", {{"restart", true}}).code, 200);
}

TEST_F(RolloutApi, RefusesWhatCannotBeRolledOut) {
  const auto refusal = [&](const std::string& unit, const json& body) {
    const Response response = Post("/units/" + unit + "/rollout", body);
    return std::to_string(response.code) + " " + response.body;
  };
  EXPECT_THAT(refusal("api@.service", {{"content", kNew}}), HasSubstr("404 "));
  EXPECT_THAT(refusal(kTemplate, json::object()), HasSubstr("400 "));
  EXPECT_THAT(refusal(kTemplate, {{"content", kNew}, {"restart", true}}), HasSubstr("400 "));
  EXPECT_THAT(refusal(kTemplate, {{"content", kNew}, {"maxUnavailable", "0"}}), HasSubstr("400 "));
  EXPECT_THAT(refusal(kTemplate, {{"content", kNew}, {"onFailure", "cry"}}), HasSubstr("400 "));
  EXPECT_THAT(refusal(kTemplate, {{"content", "[X-Fleet]\nNoSuchKey=1\n"}}), HasSubstr("400 "));
  EXPECT_THAT(refusal(kTemplate, {{"content", "[X-Fleet]\nGlobal=true\n"}}),
              HasSubstr("is global"));
  EXPECT_THAT(refusal(kTemplate, {{"content", "[X-Fleet]\nMachineOf=web@%i.service\n"}}),
              HasSubstr("400 "));
}

TEST_F(RolloutApi, TheListHasPagesForThoseWhoAskForThem) {
  for (int i = 1; i <= 5; ++i) {
    store_.Set(keys_.Rollout(fmt::format("u{}.service", i)),
               registry::Encode(RolloutRecord{.uid = std::to_string(i)}));
  }
  ShowView();
  const json all = json::parse(Send("GET", "/rollouts").body);
  EXPECT_EQ(all["rollouts"].size(), 5);
  EXPECT_FALSE(all.contains("nextPageToken"));
  json found = json::array();
  json page = json::parse(Send("GET", "/rollouts?limit=2").body);
  std::vector<size_t> sizes;
  for (;;) {
    sizes.push_back(page["rollouts"].size());
    for (const json& rollout : page["rollouts"]) found.push_back(rollout);
    if (!page.contains("nextPageToken") || sizes.size() > 5) break;
    const auto token = page["nextPageToken"].get<std::string>();
    page = json::parse(Send("GET", "/rollouts?nextPageToken=" + token).body);
  }
  EXPECT_THAT(sizes, ElementsAre(2, 2, 1));
  EXPECT_EQ(found, all["rollouts"]);
  EXPECT_EQ(Send("GET", "/rollouts?limit=0").code, 400);
  EXPECT_EQ(Send("GET", "/rollouts?nextPageToken=bogus").code, 400);
}

}  // namespace
}  // namespace fleet::api
