// What is refused while machines of an older version would take it for something else.

#include "model/features.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

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
using ::testing::HasSubstr;

const char* const kText = "[Service]\nExecStart=/bin/true\n";
const char* const kIsolated = "[Service]\nExecStart=/bin/true\n[X-Fleet]\nOnIsolation=stop\n";

class FeaturesApi : public ::testing::Test {
 protected:
  FeaturesApi() {
    api_ =
        std::make_unique<Api>(ApiContext{.executor = &executor_, .store = &store_, .keys = keys_});
    store_.Set(keys_.Machine("m1"), registry::Encode(MachineRecord{.features = KnownFeatures()}));
    store_.Set(keys_.Machine("m2"), registry::Encode(MachineRecord{.version = "0.9"}));
    const auto file = std::make_shared<const UnitFile>(*UnitFile::Parse(kText));
    store_.Set(keys_.Content(file->hash()), registry::Encode(Content{file}));
    for (const char* unit : {"a.service", "b.service"}) {
      store_.Set(keys_.Unit(unit), registry::Encode(UnitRecord{.uid = unit,
                                                               .desired = DesiredState::kLaunched,
                                                               .content_hash = file->hash()}));
    }
    ShowView();
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
  void EnableAll() {
    store_.Set(keys_.Cluster("features"),
               registry::Encode(FeaturesRecord{.enabled = KnownFeatures()}));
    ShowView();
  }
  // Refused, and nothing is stored, until the features are enabled.
  void ExpectNeeds(const std::string& feature, const std::string& path, const json& body) {
    const int64_t before = store_.revision();
    const Response refused = Send("POST", path, body);
    EXPECT_EQ(refused.code, 409) << refused.body;
    EXPECT_THAT(refused.body, HasSubstr("needs the feature " + feature));
    EXPECT_THAT(refused.body, HasSubstr("m2 (version 0.9) does not know it"));
    EXPECT_EQ(store_.revision(), before);
    EnableAll();
    EXPECT_LT(Send("POST", path, body).code, 300);
  }

  const registry::Keys keys_{"/fleet/"};
  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  std::unique_ptr<Api> api_;
};

TEST_F(FeaturesApi, ADrainWithADeadlineIsRefusedUntilAllMachinesKnowDeadlines) {
  ExpectNeeds("drain-deadline", "/machines/m1/drain", {{"deadline", "10m"}});
}

TEST_F(FeaturesApi, ADrainThatForcesIsRefusedUntilAllMachinesKnowDeadlines) {
  ExpectNeeds("drain-deadline", "/machines/m1/drain", {{"force", true}});
}

// It is what an update of the machines begins with.
TEST_F(FeaturesApi, ADrainWithoutADeadlineIsNot) {
  EXPECT_EQ(Send("POST", "/machines/m2/drain").code, 204);
}

TEST_F(FeaturesApi, ARolloutOfSeveralUnitsIsRefusedUntilAllMachinesKnowThem) {
  ExpectNeeds("rollout-set", "/rollouts",
              {{"units", {{{"name", "a.service"}}, {{"name", "b.service"}}}}, {"restart", true}});
}

TEST_F(FeaturesApi, ARolloutOfOneUnitIsNot) {
  EXPECT_EQ(
      Send("POST", "/rollouts", {{"units", {{{"name", "a.service"}}}}, {"restart", true}}).code,
      200);
}

TEST_F(FeaturesApi, ARolloutOfATextIsRefusedUntilAllMachinesKnowWhatItNeeds) {
  ExpectNeeds("isolation", "/units/a.service/rollout", {{"content", kIsolated}});
}

TEST_F(FeaturesApi, AnUpdateThatRollsBackIsRefusedWhereThePresentTextCouldNotComeBack) {
  const auto file = std::make_shared<const UnitFile>(*UnitFile::Parse(kIsolated));
  store_.Set(keys_.Content(file->hash()), registry::Encode(Content{file}));
  store_.Set(keys_.Unit("a.service"),
             registry::Encode(UnitRecord{.uid = "a", .content_hash = file->hash()}));
  ShowView();
  ExpectNeeds("isolation", "/units/a.service/rollout",
              {{"content", kText}, {"onFailure", "rollback"}});
}

TEST_F(FeaturesApi, AnUndoThatBringsSuchATextBackIsRefused) {
  EnableAll();
  ASSERT_EQ(Send("POST", "/units/a.service/rollout", {{"content", kIsolated}}).code, 200);
  ASSERT_EQ(
      Send("POST", "/units/a.service/rollout", {{"content", kText}, {"supersede", true}}).code,
      200);
  store_.Erase(keys_.Cluster("features"));
  ShowView();
  const Response refused = Send("POST", "/rollouts/a.service/undo");
  EXPECT_EQ(refused.code, 409) << refused.body;
  EXPECT_THAT(refused.body, HasSubstr("needs the feature isolation"));
}

// Otherwise nobody could move it off the machine that is to be updated.
TEST_F(FeaturesApi, WhatRunsGetsNoSuchText) {
  store_.Set(keys_.Assignment("m2", "a.service"),
             registry::Encode(Assignment{.uid = "a.service", .state = AssignmentState::kLaunched}));
  ShowView();
  const json body = {{"desiredState", "launched"}, {"content", kIsolated}};
  const Response refused = Send("PUT", "/units/a.service?replace=true", body);
  EXPECT_EQ(refused.code, 409) << refused.body;
  EXPECT_THAT(refused.body, HasSubstr("needs the feature isolation"));
  EnableAll();
  EXPECT_LT(Send("PUT", "/units/a.service?replace=true", body).code, 300);
}

TEST_F(FeaturesApi, ARecordThatCannotBeReadIsNamed) {
  store_.Set(keys_.Machine("m2"), registry::Encode(MachineRecord{.features = KnownFeatures()}));
  store_.Set(keys_.Cluster("features"), "damaged");
  ShowView();
  const Response refused = Send("POST", "/machines/m1/drain", {{"deadline", "10m"}});
  EXPECT_EQ(refused.code, 409);
  EXPECT_THAT(refused.body, HasSubstr("cluster/features is damaged"));
}

// The engine says why it waits.
TEST_F(FeaturesApi, AUnitWithSuchATextIsStored) {
  EXPECT_EQ(
      Send("PUT", "/units/c.service", {{"desiredState", "launched"}, {"content", kIsolated}}).code,
      201);
}

TEST_F(FeaturesApi, AreListedWithTheMachinesThatDoNotKnowThem) {
  store_.Set(keys_.Cluster("features"),
             registry::Encode(FeaturesRecord{.enabled = {"isolation", "teleportation"}}));
  ShowView();
  const json listed = json::parse(Send("GET", "/features").body)["features"];
  ASSERT_EQ(listed.size(), KnownFeatures().size() + 1);
  for (const json& feature : listed) {
    const bool is_newer = feature["name"] == "teleportation";
    EXPECT_EQ(feature["enabled"], is_newer || feature["name"] == "isolation") << feature;
    EXPECT_EQ(feature["unknownTo"], is_newer ? json({"m1", "m2"}) : json({"m2"})) << feature;
  }
}

}  // namespace
}  // namespace fleet::api
