// The operator's word over the API, and what the cluster did.

#include <memory>
#include <optional>
#include <string>

#include "api/api.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "registry/codec.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"
#include "registry/view_builder.h"

namespace fleet::api {
namespace {

class OperatorApi : public ::testing::Test {
 protected:
  OperatorApi() {
    api_ =
        std::make_unique<Api>(ApiContext{.executor = &executor_, .store = &store_, .keys = keys_});
    for (const char* machine : {"aa1", "aa2", "bb1"}) {
      store_.Set(keys_.Assignment(machine, "a.service"), registry::Encode(Assignment{.uid = "u"}));
    }
    store_.Set(keys_.Machine("aa1"), registry::Encode(MachineRecord{}));
    ShowView();
  }

  void ShowView() {
    registry::ViewBuilder builder(keys_);
    for (const auto& [key, kv] : store_.contents()) builder.Put(kv);
    api_->OnViewChange({.view = builder.Snapshot(store_.revision()), .reset = true});
    executor_.RunUntilIdle();
  }
  int Post(const std::string& path) { return Send("POST", path).code; }
  nlohmann::json Get(const std::string& path) {
    return nlohmann::json::parse(Send("GET", path).body);
  }
  Response Send(const std::string& method, const std::string& path) {
    std::optional<Response> answer;
    Request request;
    request.method = method;
    request.target = "/fleet/v1" + path;
    api_->Handle(std::move(request), [&](Response response) { answer = std::move(response); });
    executor_.RunUntilIdle();
    ShowView();
    return answer ? *std::move(answer) : Response{};
  }
  std::optional<MachineSettings> SettingsOf(const std::string& machine) {
    const auto found = store_.contents().find(keys_.Settings(machine));
    if (found == store_.contents().end()) return std::nullopt;
    return *registry::DecodeSettings(found->second.value);
  }

  const registry::Keys keys_{"/fleet/"};
  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  std::unique_ptr<Api> api_;
};

TEST_F(OperatorApi, AnAbsentMachineIsMarkedAsForgottenWithWhatIsSetOfIt) {
  store_.Set(keys_.Settings("bb1"),
             registry::Encode(MachineSettings{.set_metadata = {{"a", "1"}}}));
  ShowView();
  EXPECT_EQ(Post("/machines/bb1/forget"), 204);
  EXPECT_TRUE(SettingsOf("bb1")->forgotten);
  EXPECT_EQ(SettingsOf("bb1")->set_metadata.at("a"), "1");
}

TEST_F(OperatorApi, TheBeginningOfItsIdIsEnoughIfItIsTheOnlyOne) {
  EXPECT_EQ(Post("/machines/b/forget"), 204);
  EXPECT_TRUE(SettingsOf("bb1")->forgotten);
  EXPECT_EQ(Post("/machines/aa/forget"), 400);
  EXPECT_EQ(Post("/machines/cc/forget"), 404);
}

TEST_F(OperatorApi, AMemberIsNotForgotten) {
  EXPECT_EQ(Post("/machines/aa1/forget"), 409);
  EXPECT_EQ(SettingsOf("aa1"), std::nullopt);
}

TEST_F(OperatorApi, NorIsOneThatComesBackMeanwhile) {
  store_.BeforeCommit([&] { store_.Set(keys_.Machine("bb1"), registry::Encode(MachineRecord{})); });
  EXPECT_EQ(Post("/machines/bb1/forget"), 409);
  EXPECT_EQ(SettingsOf("bb1"), std::nullopt);
}

TEST_F(OperatorApi, AnOrphanIsRegisteredAsItRuns) {
  EXPECT_EQ(Post("/units/o.service/adopt"), 404);
  const UnitFile file =
      *UnitFile::Parse("[Service]\nExecStart=/bin/true\n[X-Fleet]\nOnIsolation=stop\n");
  store_.Set(keys_.State("aa1", "o.service"),
             registry::Encode(StateReport{
                 .uid = "its-uid", .content_hash = file.hash(), .active_state = "active"}));
  ShowView();
  EXPECT_EQ(Post("/units/o.service/adopt"), 409);  // without its text
  store_.Set(keys_.Content(file.hash()),
             registry::Encode(Content{std::make_shared<const UnitFile>(file)}));
  ShowView();
  EXPECT_EQ(Post("/units/o.service/adopt"), 204);
  const auto record = registry::DecodeUnit(store_.contents().at(keys_.Unit("o.service")).value);
  EXPECT_EQ(record->uid, "its-uid");
  EXPECT_EQ(record->desired, DesiredState::kLaunched);
  EXPECT_EQ(record->features, std::vector<std::string>{"isolation"});
  EXPECT_EQ(Post("/units/o.service/adopt"), 409);  // it is registered
}

TEST_F(OperatorApi, EventsAreListedInPagesAndAfterOneThatIsKnown) {
  const auto put = [&](int64_t sequence, const std::string& unit) {
    store_.Set(keys_.Event("e", sequence),
               registry::Encode(
                   EventRecord{absl::FromUnixSeconds(sequence), {{"placed", unit, "aa1", "why"}}}));
  };
  for (int i = 1; i <= 5; ++i) put(i, i % 2 == 0 ? "even.service" : "odd.service");
  const auto ids = [&](const std::string& query) {
    std::vector<std::string> found;
    const auto page = Get("/events" + query);
    for (const auto& event : page["events"]) found.push_back(event["unit"]);
    return std::pair(found, page.value("nextPageToken", ""));
  };
  EXPECT_EQ(ids("").first.size(), 5u);
  EXPECT_EQ(ids("?unitName=even.service").first.size(), 2u);
  EXPECT_EQ(ids("?machineID=bb").first.size(), 0u);
  const auto [first, token] = ids("?limit=2");
  EXPECT_EQ(first.size(), 2u);
  const auto [second, next] = ids("?nextPageToken=" + token);
  EXPECT_EQ(second, (std::vector<std::string>{"odd.service", "even.service"}));
  const std::string last = Get("/events")["events"][4]["id"];
  EXPECT_TRUE(ids("?after=" + last).first.empty());
  EXPECT_EQ(Send("GET", "/events?after=bogus").code, 400);
  EXPECT_EQ(Send("GET", "/events?after=bogus&follow=true").code, 400);
  put(6, "new.service");
  EXPECT_EQ(ids("?after=" + last).first, std::vector<std::string>{"new.service"});
}

TEST_F(OperatorApi, AHoldIsReleasedAndWithoutOneThereIsNone) {
  EXPECT_EQ(Post("/hold/release"), 404);
  store_.Set(keys_.Cluster("hold"), registry::Encode(HoldRecord{.reason = "many are missing"}));
  ShowView();
  EXPECT_EQ(Post("/hold/release"), 204);
  const auto hold = registry::DecodeHold(store_.contents().at(keys_.Cluster("hold")).value);
  EXPECT_TRUE(hold->released);
  EXPECT_EQ(hold->reason, "many are missing");
  EXPECT_EQ(Post("/hold/release"), 404);
}

}  // namespace
}  // namespace fleet::api
