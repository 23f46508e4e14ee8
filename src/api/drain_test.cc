// Cordons, drains and FleetLock over the API. What the engine makes of them is its own affair.

#include <memory>
#include <optional>
#include <string>

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

class DrainApi : public ::testing::Test {
 protected:
  DrainApi() {
    api_ =
        std::make_unique<Api>(ApiContext{.executor = &executor_, .store = &store_, .keys = keys_});
    store_.Set(keys_.Machine("aa1"), registry::Encode(MachineRecord{.lock_id = "c0ffee"}));
    store_.Set(keys_.Machine("bb1"), registry::Encode(MachineRecord{}));
    store_.Set(keys_.Cluster("features"),
               registry::Encode(FeaturesRecord{.enabled = KnownFeatures()}));
    ShowView();
  }

  void ShowView() {
    registry::ViewBuilder builder(keys_);
    for (const auto& [key, kv] : store_.contents()) builder.Put(kv);
    api_->OnViewChange({.view = builder.Snapshot(store_.revision()), .reset = true});
    executor_.RunUntilIdle();
  }
  Response Send(Request request) {
    std::optional<Response> answer;
    api_->Handle(std::move(request), [&](Response response) { answer = std::move(response); });
    executor_.RunUntilIdle();
    ShowView();
    // Plans are made in another thread.
    while (!answer) executor_.RunUntilIdle();
    return *std::move(answer);
  }
  int Post(const std::string& path, const std::string& body = "") {
    return Send({.method = "POST", .target = "/fleet/v1" + path, .body = body}).code;
  }
  json Get(const std::string& path) {
    return json::parse(Send({.method = "GET", .target = "/fleet/v1" + path}).body);
  }
  json MachineOf(const std::string& id) {
    const json machines = Get("/machines")["machines"];
    for (const json& machine : machines) {
      if (machine["id"] == id) return machine;
    }
    return {};
  }
  Response Lock(const std::string& what, const std::string& id, const std::string& group = "web") {
    return Send({.method = "POST",
                 .target = "/v1/" + what,
                 .fleet_lock_protocol = "true",
                 .body = json{{"client_params", {{"id", id}, {"group", group}}}}.dump()});
  }
  static std::string KindOf(const Response& response) {
    return json::parse(response.body).value("kind", "");
  }
  std::optional<MachineSettings> SettingsOf(const std::string& machine) {
    const auto found = store_.contents().find(keys_.Settings(machine));
    if (found == store_.contents().end()) return std::nullopt;
    return *registry::DecodeSettings(found->second.value);
  }
  void Grant(const std::string& machine) {
    MachineSettings settings = *SettingsOf(machine);
    settings.lock_granted = true;
    store_.Set(keys_.Settings(machine), registry::Encode(settings));
    ShowView();
  }

  const registry::Keys keys_{"/fleet/"};
  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  std::unique_ptr<Api> api_;
};

TEST_F(DrainApi, ACordonIsStoredAndTakenBackWithoutATrace) {
  EXPECT_EQ(Post("/machines/aa/cordon"), 204);
  EXPECT_TRUE(SettingsOf("aa1")->cordoned);
  EXPECT_EQ(MachineOf("aa1")["state"], "cordoned");
  EXPECT_EQ(MachineOf("aa1")["cordoned"], true);
  EXPECT_EQ(Post("/machines/aa1/cordon"), 204);
  EXPECT_EQ(Post("/machines/aa1/uncordon"), 204);
  EXPECT_EQ(SettingsOf("aa1"), std::nullopt);
  EXPECT_EQ(MachineOf("aa1")["state"], "ready");
}

TEST_F(DrainApi, AMistypedWishIsRefused) {
  const Response refused = Send(
      {.method = "POST", .target = "/fleet/v1/machines/aa1/drain", .body = R"({"dedline":"5m"})"});
  EXPECT_EQ(refused.code, 400);
  EXPECT_THAT(refused.body, HasSubstr("dedline"));
  EXPECT_EQ(SettingsOf("aa1"), std::nullopt);
}

TEST_F(DrainApi, AHostNameThatIsTheBeginningOfAnotherMachinesIdIsAmbiguous) {
  store_.Set(keys_.Machine("cc3"), registry::Encode(MachineRecord{.hostname = "aa"}));
  ShowView();
  EXPECT_EQ(Post("/machines/aa/drain"), 400);
  EXPECT_EQ(SettingsOf("aa1"), std::nullopt);
  EXPECT_EQ(SettingsOf("cc3"), std::nullopt);
  EXPECT_EQ(Post("/machines/cc3/drain"), 204);
}

TEST_F(DrainApi, WhatElseIsSetOfTheMachineStays) {
  store_.Set(keys_.Settings("aa1"),
             registry::Encode(MachineSettings{.set_metadata = {{"a", "b"}}}));
  ShowView();
  EXPECT_EQ(Post("/machines/aa1/drain"), 204);
  EXPECT_EQ(Post("/machines/aa1/uncordon"), 204);
  const MachineSettings wanted = {.set_metadata = {{"a", "b"}}};
  EXPECT_EQ(SettingsOf("aa1"), wanted);
}

TEST_F(DrainApi, AMachineSaysWhetherItHasASlotToReboot) {
  EXPECT_FALSE(MachineOf("aa1").contains("lockGroup"));
  Lock("pre-reboot", "aa1");
  EXPECT_EQ(MachineOf("aa1")["lockGroup"], "web");
  EXPECT_EQ(MachineOf("aa1")["lockGranted"], false);
  Grant("aa1");
  EXPECT_EQ(MachineOf("aa1")["lockGranted"], true);
  Lock("steady-state", "aa1");
  EXPECT_FALSE(MachineOf("aa1").contains("lockGranted"));
}

TEST_F(DrainApi, OneThatIsAwayIsListedWithItsSlotWhereThatIsAskedFor) {
  Lock("pre-reboot", "bb1");
  Grant("bb1");
  store_.Erase(keys_.Machine("bb1"));
  store_.Set(keys_.Settings("ab1"), registry::Encode(MachineSettings{.cordoned = true}));
  ShowView();
  EXPECT_EQ(Get("/machines")["machines"].size(), 1u);
  std::string ids;
  json page = Get("/machines?absent=true&limit=2");
  for (const json& machine : page["machines"]) ids += machine["id"].get<std::string>() + " ";
  EXPECT_EQ(ids, "aa1 ab1 ");
  page = Get("/machines?nextPageToken=" + page["nextPageToken"].get<std::string>());
  ASSERT_EQ(page["machines"].size(), 1u);
  EXPECT_FALSE(page.contains("nextPageToken"));
  EXPECT_EQ(page["machines"][0]["state"], "absent");
  EXPECT_EQ(page["machines"][0]["lockGranted"], true);
}

TEST_F(DrainApi, AMachineThatNobodyKnowsIsNotFound) {
  EXPECT_EQ(Post("/machines/cc/drain"), 404);
  EXPECT_EQ(Post("/machines/cc/uncordon"), 404);
}

TEST_F(DrainApi, OneThatIsAwayIsClosedForWhenItComesBackByItsWholeId) {
  const std::string id = "0123456789abcdef0123456789abcdef";
  EXPECT_EQ(Post("/machines/" + id + "/uncordon"), 404);
  EXPECT_EQ(Post("/machines/0123456789abcdef/cordon"), 404);
  EXPECT_EQ(Get("/machines/" + id + "/drain")["present"], false);
  EXPECT_EQ(Post("/machines/" + id + "/cordon"), 204);
  EXPECT_TRUE(SettingsOf(id)->cordoned);
  EXPECT_EQ(Post("/machines/01234567/uncordon"), 204);
  EXPECT_EQ(SettingsOf(id), std::nullopt);
}

TEST_F(DrainApi, AMachineMayBeMeantByItsHostName) {
  store_.Set(keys_.Machine("cc3"), registry::Encode(MachineRecord{.hostname = "node3"}));
  store_.Set(keys_.Machine("dd4"), registry::Encode(MachineRecord{.hostname = "twice"}));
  store_.Set(keys_.Machine("ee5"), registry::Encode(MachineRecord{.hostname = "twice"}));
  ShowView();
  EXPECT_EQ(Post("/machines/node3/cordon"), 204);
  EXPECT_TRUE(SettingsOf("cc3")->cordoned);
  EXPECT_EQ(Post("/machines/node/cordon"), 404);
  EXPECT_EQ(Post("/machines/twice/cordon"), 400);
}

TEST_F(DrainApi, SettingsLastWhileTheMachineIsAway) {
  EXPECT_EQ(Post("/machines/aa1/drain"), 204);
  store_.Erase(keys_.Machine("aa1"));
  ShowView();
  EXPECT_EQ(Get("/machines/aa1/drain")["present"], false);
  EXPECT_EQ(Get("/machines/aa1/drain")["drained"], true);
  EXPECT_EQ(Post("/machines/aa1/uncordon"), 204);
  EXPECT_EQ(SettingsOf("aa1"), std::nullopt);
}

TEST_F(DrainApi, WhatIsLeftIsNamedWithWhatHoldsIt) {
  const auto file =
      std::make_shared<const UnitFile>(*UnitFile::Parse("[X-Fleet]\nMachineID=aa1\n"));
  store_.Set(keys_.Content(file->hash()), registry::Encode(Content{file}));
  store_.Set(keys_.Unit("a.service"),
             registry::Encode(UnitRecord{
                 .uid = "u", .desired = DesiredState::kLaunched, .content_hash = file->hash()}));
  store_.Set(keys_.Assignment("aa1", "a.service"),
             registry::Encode(Assignment{.uid = "u", .content_hash = file->hash()}));
  ShowView();
  EXPECT_EQ(Post("/machines/aa1/drain"), 204);
  EXPECT_EQ(MachineOf("aa1")["state"], "draining");
  const json drain = Get("/machines/aa1/drain");
  EXPECT_EQ(drain["unitsLeft"], 1);
  EXPECT_EQ(drain["left"][0]["unit"], "a.service");
  EXPECT_EQ(drain["left"][0]["cannotMove"], true);
  EXPECT_NE(drain["left"][0]["reason"].get<std::string>().find("MachineID"), std::string::npos);

  store_.Erase(keys_.Assignment("aa1", "a.service"));
  ShowView();
  EXPECT_EQ(Get("/machines/aa1/drain")["unitsLeft"], 0);
  EXPECT_EQ(MachineOf("aa1")["state"], "drained");
}

TEST_F(DrainApi, AMachineIsDrainedOnceWhatLeavesItHasStopped) {
  store_.Set(
      keys_.Assignment("aa1", "a.service"),
      registry::Encode(Assignment{
          .uid = "u", .generation = 2, .state = AssignmentState::kGone, .next_machine = "bb2"}));
  ShowView();
  EXPECT_EQ(Post("/machines/aa1/drain"), 204);
  EXPECT_EQ(MachineOf("aa1")["state"], "draining");
  EXPECT_EQ(MachineOf("aa1")["units"], 1);
  store_.Set(keys_.State("aa1", "a.service"),
             registry::Encode(StateReport{.uid = "u", .generation = 2, .gone = true}));
  ShowView();
  EXPECT_EQ(MachineOf("aa1")["state"], "drained");
  EXPECT_EQ(Get("/machines/aa1/drain")["unitsLeft"], 0);
}

TEST_F(DrainApi, ADeadlineCountsFromTheRequestOnAndIsShown) {
  const absl::Time now = executor_.WallNow();
  EXPECT_EQ(Post("/machines/aa1/drain", R"({"deadline":"10m","force":true})"), 204);
  EXPECT_EQ(SettingsOf("aa1")->drain_deadline, now + absl::Minutes(10));
  EXPECT_TRUE(SettingsOf("aa1")->drain_forces);
  const json drain = Get("/machines/aa1/drain");
  EXPECT_EQ(drain["deadline"],
            absl::FormatTime(absl::RFC3339_sec, now + absl::Minutes(10), absl::UTCTimeZone()));
  EXPECT_EQ(drain["forces"], true);
  EXPECT_EQ(drain["expired"], false);
  EXPECT_EQ(MachineOf("aa1")["deadline"], drain["deadline"]);
  // Forced without a deadline: now.
  EXPECT_EQ(Post("/machines/aa1/drain", R"({"force":true})"), 204);
  EXPECT_EQ(SettingsOf("aa1")->drain_deadline, now);
  EXPECT_EQ(Post("/machines/aa1/drain"), 204);
  EXPECT_EQ(SettingsOf("aa1")->drain_deadline, absl::InfiniteFuture());
  EXPECT_FALSE(Get("/machines/aa1/drain").contains("deadline"));
  EXPECT_EQ(Post("/machines/aa1/drain", R"({"deadline":"soon"})"), 400);
  EXPECT_EQ(Post("/machines/aa1/drain", "[]"), 400);
}

TEST_F(DrainApi, OneThatHasExpiredIsTakenUpAgainOrTakenBack) {
  MachineSettings expired;
  expired.Drain(executor_.WallNow(), false);
  expired.drain_expired = true;
  store_.Set(keys_.Settings("aa1"), registry::Encode(expired));
  ShowView();
  EXPECT_EQ(MachineOf("aa1")["state"], "drain-expired");
  EXPECT_EQ(MachineOf("aa1")["expired"], true);
  EXPECT_EQ(Get("/machines/aa1/drain")["expired"], true);
  EXPECT_EQ(Post("/machines/aa1/drain"), 204);
  EXPECT_FALSE(SettingsOf("aa1")->drain_expired);
  EXPECT_EQ(MachineOf("aa1")["state"], "drained");
  EXPECT_EQ(Post("/machines/aa1/uncordon"), 204);
  EXPECT_EQ(SettingsOf("aa1"), std::nullopt);
}

TEST_F(DrainApi, FleetLockAsksForASlotAndIsAnsweredOnceTheMachineIsEmpty) {
  store_.Set(keys_.Assignment("aa1", "a.service"), registry::Encode(Assignment{.uid = "u"}));
  ShowView();
  EXPECT_EQ(KindOf(Lock("pre-reboot", "aa1")), "no_slot");
  EXPECT_EQ(SettingsOf("aa1")->lock_group, "web");
  EXPECT_FALSE(SettingsOf("aa1")->lock_granted);  // that is for the engine to do
  EXPECT_EQ(Lock("pre-reboot", "aa1").code, 409);
  Grant("aa1");
  EXPECT_EQ(KindOf(Lock("pre-reboot", "aa1")), "draining");
  store_.Erase(keys_.Assignment("aa1", "a.service"));
  ShowView();
  EXPECT_EQ(Lock("pre-reboot", "aa1").code, 200);
  EXPECT_EQ(Lock("pre-reboot", "aa1").code, 200);
  EXPECT_EQ(KindOf(Lock("pre-reboot", "aa1", "other")), "other_group");
  EXPECT_EQ(Lock("steady-state", "aa1").code, 200);
  EXPECT_EQ(SettingsOf("aa1"), std::nullopt);
  EXPECT_EQ(Lock("steady-state", "aa1").code, 200);
}

TEST_F(DrainApi, FleetLockKnowsAMachineByTheIdThatItsUpdaterDerives) {
  EXPECT_EQ(Lock("pre-reboot", "c0-ff-ee").code, 409);
  EXPECT_EQ(SettingsOf("aa1")->lock_group, "web");
  EXPECT_EQ(KindOf(Lock("pre-reboot", "beef")), "unknown_machine");
}

TEST_F(DrainApi, AMachineThatHasRebootedKeepsItsSlotUntilItHasJoined) {
  Lock("pre-reboot", "aa1");
  Grant("aa1");
  store_.Erase(keys_.Machine("aa1"));
  ShowView();
  EXPECT_EQ(KindOf(Lock("steady-state", "aa1")), "not_joined");
  EXPECT_TRUE(SettingsOf("aa1")->lock_granted);
  store_.Set(keys_.Machine("aa1"), registry::Encode(MachineRecord{}));
  ShowView();
  EXPECT_EQ(Lock("steady-state", "aa1").code, 200);
  EXPECT_EQ(SettingsOf("aa1"), std::nullopt);
}

TEST_F(DrainApi, FleetLockNotesWhenAMachineHasAskedFirstAndLast) {
  Lock("pre-reboot", "aa1");
  const absl::Time first = SettingsOf("aa1")->lock_since;
  EXPECT_EQ(SettingsOf("aa1")->lock_repeated, first);
  executor_.Advance(absl::Seconds(50));
  Lock("pre-reboot", "aa1");
  EXPECT_EQ(SettingsOf("aa1")->lock_repeated, first);  // not a write for each question
  executor_.Advance(absl::Seconds(50));
  EXPECT_EQ(KindOf(Lock("pre-reboot", "aa1")), "no_slot");
  EXPECT_EQ(SettingsOf("aa1")->lock_since, first);
  EXPECT_EQ(SettingsOf("aa1")->lock_repeated, first + absl::Seconds(100));
}

TEST_F(DrainApi, ASlotThatTheViewShowsAndTheRegistryDoesNotIsNone) {
  Lock("pre-reboot", "aa1");
  Grant("aa1");
  // Taken back, and the view does not show it yet.
  store_.Set(keys_.Settings("aa1"), registry::Encode(MachineSettings{.lock_group = "web"}));
  EXPECT_EQ(KindOf(Lock("pre-reboot", "aa1")), "changed");
}

TEST_F(DrainApi, FleetLockTakesWhatACommandLineSendsWithoutAContentType) {
  const auto code = [&](std::optional<std::string> header) {
    const json body = {{"client_params", {{"id", "aa1"}, {"group", "web"}}}};
    return Send({.method = "POST",
                 .target = "/v1/steady-state",
                 .content_type = "application/x-www-form-urlencoded",
                 .fleet_lock_protocol = std::move(header),
                 .body = body.dump()})
        .code;
  };
  EXPECT_EQ(code("true"), 200);
  EXPECT_EQ(code(std::nullopt), 400);  // as the form of another site's page
}

TEST_F(DrainApi, FleetLockRefusesWhatIsNotItsProtocol) {
  const auto code = [&](std::optional<std::string> header, const std::string& body) {
    const Response response = Send({.method = "POST",
                                    .target = "/v1/pre-reboot",
                                    .fleet_lock_protocol = std::move(header),
                                    .body = body});
    EXPECT_EQ(KindOf(response), "bad_request");
    return response.code;
  };
  const std::string good = R"({"client_params":{"id":"aa1","group":"web"}})";
  EXPECT_EQ(code(std::nullopt, good), 400);
  EXPECT_EQ(code("false", good), 400);
  EXPECT_EQ(code("true", ""), 400);
  EXPECT_EQ(code("true", "[]"), 400);
  EXPECT_EQ(code("true", R"({"client_params":{"id":"aa1"}})"), 400);
  EXPECT_EQ(code("true", R"({"client_params":{"id":"aa1","group":"a b"}})"), 400);
  EXPECT_EQ(code("true", R"({"client_params":{"group":"web"}})"), 400);
  EXPECT_EQ(SettingsOf("aa1"), std::nullopt);
}

}  // namespace
}  // namespace fleet::api
