// Scaling, rolling updates and restarts over the API.

#include <memory>
#include <optional>
#include <string>

#include "api/api.h"
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

}  // namespace
}  // namespace fleet::api
