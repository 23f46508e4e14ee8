// scale, update, rollout and rolling restarts as commands.

#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const char* const kText = "[Service]\nExecStart=/bin/true\n";

json Rollout(const std::string& state, int reached, const std::string& reason = "") {
  return {{"name", "web@.service"},     {"id", "r1"},         {"state", state},
          {"restarts", false},          {"hash", "abcdef01"}, {"formerHash", "98765432"},
          {"reason", reason},           {"total", 3},         {"reached", reached},
          {"notStarted", json::array()}};
}

TEST(Scale, WaitsForTheInstancesThatTheClusterMakes) {
  FakeFleet fleet;
  fleet.Add("web@.service", "inactive", kText);
  const Result result = fleet.Run({"scale", "web@.service", "3"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("Unit web@1.service launched on 8be9f57e"),
                                HasSubstr("Unit web@3.service launched")));
  ASSERT_THAT(fleet.RolloutRequests(), SizeIs(1));
  EXPECT_EQ(fleet.RolloutRequests()[0].first, "/units/web@.service/scale");
  EXPECT_EQ(fleet.RolloutRequests()[0].second["replicas"], 3);
  EXPECT_THAT(fleet.Changes(), IsEmpty());
}

TEST(Scale, SubmitsTheTemplateOfAFileFirst) {
  FakeFleet fleet;
  const std::string file = fleet.Write("web@.service", kText);
  EXPECT_EQ(fleet.Run({"scale", "web@.service", "2"}).code, kNotFound);
  const Result result = fleet.Run({"scale", "web@.service", "2", file, "--no-block"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(result.out, HasSubstr("Triggered unit web@2.service start"));
  ASSERT_THAT(fleet.Changes(), SizeIs(1));
  EXPECT_EQ(fleet.Changes()[0]["name"], "web@.service");
}

TEST(Scale, IsUsedWithATemplateAndANumber) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched", kText);
  EXPECT_EQ(fleet.Run({"scale", "a.service", "3"}).code, kUsage);
  EXPECT_EQ(fleet.Run({"scale", "web@.service", "many"}).code, kUsage);
  EXPECT_EQ(fleet.Run({"scale", "web@.service"}).code, kUsage);
}

TEST(Update, FollowsTheRolloutToItsEnd) {
  FakeFleet fleet;
  fleet.rollouts["web@.service"] = {Rollout("running", 0), Rollout("running", 2),
                                    Rollout("done", 3)};
  const std::string file = fleet.Write("web@.service", kText);
  const Result result =
      fleet.Run({"update", file, "--max-unavailable=2", "--rollback-on-failure", "--supersede"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "Updated web@.service: 3 units\n");
  EXPECT_THAT(result.err, AllOf(HasSubstr("web@.service: 2 of 3")));
  ASSERT_THAT(fleet.RolloutRequests(), SizeIs(1));
  EXPECT_EQ(fleet.RolloutRequests()[0].first, "/units/web@.service/rollout");
  EXPECT_EQ(fleet.RolloutRequests()[0].second, json({{"content", kText},
                                                     {"maxUnavailable", "2"},
                                                     {"onFailure", "rollback"},
                                                     {"supersede", true}}));
}

TEST(Update, EndsWithTheReasonOfAPause) {
  FakeFleet fleet;
  fleet.rollouts["web@.service"] = {Rollout("running", 1),
                                    Rollout("paused", 1, "web@1.service has failed: exit-code")};
  const Result result = fleet.Run({"update", fleet.Write("web@.service", kText)});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("is paused: web@1.service has failed: exit-code"));
  EXPECT_THAT(result.err, HasSubstr("fleetctl rollout resume web@.service"));
}

TEST(Update, TakesTheTextOfOneFileForSeveralUnits) {
  FakeFleet fleet;
  fleet.rollouts["a.service"] = {Rollout("done", 1)};
  fleet.rollouts["b.service"] = {Rollout("done", 1)};
  const Result result = fleet.Run({"update", "a", "b.service", fleet.Write("new.txt", kText)});
  EXPECT_EQ(result.code, kDone) << result.err;
  ASSERT_THAT(fleet.RolloutRequests(), SizeIs(2));
  EXPECT_EQ(fleet.RolloutRequests()[1].first, "/units/b.service/rollout");
}

TEST(Update, TimesOutWhileTheRolloutGoesOn) {
  FakeFleet fleet;
  fleet.rollouts["web@.service"] = {Rollout("running", 1)};
  const std::string file = fleet.Write("web@.service", kText);
  EXPECT_EQ(fleet.Run({"update", file, "--timeout=0s"}).code, kTimedOut);
  EXPECT_EQ(fleet.Run({"update", file, "--no-block"}).code, kDone);
}

TEST(Update, NeedsATextAndOneWayToFail) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched", kText);
  EXPECT_EQ(fleet.Run({"update", "a.service"}).code, kUsage);
  EXPECT_EQ(fleet
                .Run({"update", fleet.Write("web@.service", kText), "--pause-on-failure",
                      "--rollback-on-failure"})
                .code,
            kUsage);
}

TEST(Restart, OfATemplateIsARollout) {
  FakeFleet fleet;
  fleet.Add("web@.service", "inactive", kText);
  fleet.Add("a.service", "launched", kText);
  fleet.rollouts["web@.service"] = {Rollout("done", 3)};
  fleet.rollouts["a.service"] = {Rollout("done", 1)};
  EXPECT_EQ(fleet.Run({"restart", "web@.service"}).code, kDone);
  ASSERT_THAT(fleet.RolloutRequests(), SizeIs(1));
  EXPECT_EQ(fleet.RolloutRequests()[0].second, json({{"restart", true}}));
  EXPECT_EQ(fleet.Run({"restart", "--rolling", "a.service"}).code, kDone);
  EXPECT_THAT(fleet.RolloutRequests(), SizeIs(2));
  EXPECT_THAT(fleet.Changes(), IsEmpty());
}

TEST(Rollout, ShowsAndControls) {
  FakeFleet fleet;
  json rollout = Rollout("paused", 1, "paused by hand");
  rollout["notStarted"] = {"web@2.service is pending"};
  rollout["history"] = {
      {{"hash", "abcdef0123"}, {"since", "2026-01-02T03:04:05Z"}, {"how", "update"}},
      {{"hash", "9876543210"}, {"how", "submit"}}};
  fleet.rollouts["web@.service"] = {rollout};
  const Result status = fleet.Run({"rollout", "status"});
  EXPECT_EQ(status.out,
            "web@.service: update paused, 1 of 3 units\n  brings abcdef0 instead of 9876543\n"
            "  paused by hand\n  web@2.service is pending\n");
  const Result history = fleet.Run({"rollout", "history", "web@.service"});
  EXPECT_THAT(history.out,
              AllOf(HasSubstr("abcdef0"), HasSubstr("2026-01-02T03:04:05Z"), HasSubstr("submit")));
  EXPECT_EQ(fleet.Run({"rollout", "undo", "web@.service", "--to=98"}).code, kDone);
  ASSERT_THAT(fleet.RolloutRequests(), SizeIs(1));
  EXPECT_EQ(fleet.RolloutRequests()[0].first, "/rollouts/web@.service/undo");
  EXPECT_EQ(fleet.RolloutRequests()[0].second, json({{"hash", "98"}}));
  EXPECT_EQ(fleet.Run({"rollout", "pause", "b.service"}).code, kNotFound);
  EXPECT_EQ(fleet.Run({"rollout", "stop", "web@.service"}).code, kUsage);
  EXPECT_EQ(fleet.Run({"rollout", "resume"}).code, kUsage);
  EXPECT_THAT(fleet.Run({"rollout", "status", "web@.service", "-o", "json"}).out,
              HasSubstr("\"state\":\"paused\""));
}

}  // namespace
}  // namespace fleet::fleetctl
