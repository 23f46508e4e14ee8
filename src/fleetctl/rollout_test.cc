// scale, update, rollout and rolling restarts as commands.

#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using namespace std::string_literals;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
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

TEST(Scale, TakesItsNumberBackToThatOfTheText) {
  FakeFleet fleet;
  fleet.Add("web@.service", "inactive", kText);
  fleet.units["web@.service"]["replicas"] = 2;
  const Result result = fleet.Run({"scale", "--reset", "web@"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("Unit web@2.service launched on 8be9f57e"),
                                Not(HasSubstr("no number is kept"))));
  ASSERT_THAT(fleet.RolloutRequests(), SizeIs(1));
  EXPECT_EQ(fleet.RolloutRequests()[0], std::pair("/units/web@.service/scale"s, json()));
}

TEST(Scale, SaysThatTheTextHasNoNumber) {
  FakeFleet fleet;
  fleet.Add("web@.service", "inactive", kText);
  const Result result = fleet.Run({"scale", "--reset", "web@.service"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out,
            "Unit web@.service has no Replicas=: no number is kept, and its instances stay as they "
            "are\n");
}

TEST(Scale, IsResetWithATemplateAlone) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched", kText);
  EXPECT_EQ(fleet.Run({"scale", "--reset", "a.service"}).code, kUsage);
  EXPECT_EQ(fleet.Run({"scale", "--reset", "web@.service", "3"}).code, kUsage);
  EXPECT_EQ(fleet.Run({"scale", "--reset"}).code, kUsage);
  EXPECT_THAT(fleet.RolloutRequests(), IsEmpty());
}

json Both(const std::string& state, const std::string& name) {
  json rollout = Rollout(state, state == "done" ? 3 : 0);
  rollout["name"] = name;
  rollout["together"] = {"a.service", "web@.service"};
  return rollout;
}

TEST(Update, ShowsHowFarItIsOnATerminalOnly) {
  FakeFleet fleet;
  fleet.err_terminal = true;
  const std::string file = fleet.Write("web@.service", kText);
  for (const std::string no_color : {"", "1"}) {
    fleet.rollouts["web@.service"] = {Rollout("running", 2), Rollout("done", 3)};
    fleet.variables["NO_COLOR"] = no_color;
    const Result result = fleet.Run({"update", file});
    EXPECT_EQ(result.code, kDone) << result.err;
    if (no_color.empty()) {
      EXPECT_THAT(result.err,
                  AllOf(HasSubstr("\r\033[Kweb@.service: 2 of 3"), testing::EndsWith("\r\033[K")));
    } else {
      EXPECT_EQ(result.err, "");
    }
  }
}

TEST(Update, SaysOnceThatTheApiIsAway) {
  FakeFleet fleet;
  fleet.rollouts["web@.service"] = {Rollout("running", 1), Rollout("done", 3)};
  int asked = 0;
  fleet.answers_first =
      [&](const client::FakeRequest& request) -> std::optional<client::FakeResponse> {
    if (request.method != "GET" || !request.target.starts_with("/fleet/v1/rollouts/") ||
        ++asked > 2) {
      return std::nullopt;
    }
    return client::FakeResponse{.code = 503, .body = "{}"};
  };
  const Result result = fleet.Run({"update", fleet.Write("web@.service", kText)});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(result.err, testing::MatchesRegex("Notice: lost the connection[^\n]*again\n"));
}

TEST(Update, OfSeveralIsOneRollout) {
  FakeFleet fleet;
  fleet.rollouts["a.service"] = {Both("running", "a.service"), Both("done", "a.service")};
  const Result result =
      fleet.Run({"update", fleet.Write("a.service", kText), fleet.Write("web@.service", kText),
                 "--max-unavailable=1", "--rollback-on-failure"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "Updated a.service, web@.service: 3 units\n");
  const auto requests = fleet.RolloutRequests();
  ASSERT_THAT(requests, SizeIs(1));
  const auto& [path, body] = requests[0];
  EXPECT_EQ(path, "/rollouts");
  EXPECT_EQ(body, json({{"maxUnavailable", "1"},
                        {"onFailure", "rollback"},
                        {"units",
                         {{{"name", "a.service"}, {"content", kText}},
                          {{"name", "web@.service"}, {"content", kText}}}}}));
}

TEST(Restart, OfSeveralThatRollIsOneRollout) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched", kText);
  fleet.Add("b.service", "launched", kText);
  fleet.rollouts["a.service"] = {Both("done", "a.service")};
  const Result result = fleet.Run({"restart", "--rolling", "a.service", "b.service"});
  EXPECT_EQ(result.code, kDone) << result.err;
  ASSERT_THAT(fleet.RolloutRequests(), SizeIs(1));
  EXPECT_EQ(
      fleet.RolloutRequests()[0].second,
      json({{"restart", true}, {"units", {{{"name", "a.service"}}, {{"name", "b.service"}}}}}));
  EXPECT_THAT(fleet.Changes(), IsEmpty());
}

TEST(Rollout, ShowsOneOfSeveralOnceWithItsNames) {
  FakeFleet fleet;
  fleet.rollouts["a.service"] = {Both("running", "a.service")};
  fleet.rollouts["web@.service"] = {Both("running", "web@.service")};
  const Result result = fleet.Run({"rollout", "status"});
  EXPECT_EQ(result.out,
            "a.service, web@.service: update running, 0 of 3 units\n"
            "  a.service brings abcdef0 instead of 9876543\n"
            "  web@.service brings abcdef0 instead of 9876543\n");
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
  EXPECT_EQ(result.err, "");  // how far it is is for terminals
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

TEST(Update, ThatCannotGoBackIsNotSaidToBeUndoneByGoingBack) {
  FakeFleet fleet;
  const std::string file = fleet.Write("web@.service", kText);
  for (const std::string how : {"update", "roll-back"}) {
    json paused = Rollout("paused", 1, "web@1.service has failed: exit-code");
    paused["history"] = {{{"hash", "abcdef0"}, {"since", "2026-01-02T03:04:05Z"}, {"how", how}}};
    fleet.rollouts["web@.service"] = {Rollout("running", 0), paused};
    const Result result = fleet.Run({"update", file});
    EXPECT_EQ(result.code, kFailed);
    EXPECT_THAT(result.err, HasSubstr("\"fleetctl rollout resume web@.service\" tries again"));
    EXPECT_EQ(result.err.find("rollout undo") != std::string::npos, how == "update");
  }
}

TEST(Update, TakesTheTextOfOneFileForSeveralUnits) {
  FakeFleet fleet;
  fleet.rollouts["a.service"] = {Rollout("done", 1)};
  fleet.rollouts["b.service"] = {Rollout("done", 1)};
  const Result result = fleet.Run({"update", "a", "b.service", fleet.Write("new.txt", kText)});
  EXPECT_EQ(result.code, kDone) << result.err;
  const auto requests = fleet.RolloutRequests();
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_EQ(requests[0].second["units"][1]["name"], "b.service");
  EXPECT_EQ(requests[0].second["units"][1]["content"], kText);
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

TEST(Update, SaysWhatMaxUnavailableMayBe) {
  FakeFleet fleet;
  fleet.Add("web@.service", "inactive", kText);
  const std::string file = fleet.Write("web@.service", kText);
  for (const std::string bad : {"0", "-1", "200%", "0%", "foo"}) {
    const Result result = fleet.Run({"update", "--max-unavailable=" + bad, file});
    EXPECT_EQ(result.code, kUsage) << bad;
    EXPECT_THAT(result.err, HasSubstr("a number from 1 up, such as 2, or a share from 1% to 100%, "
                                      "not \"" +
                                      bad + "\""));
    EXPECT_EQ(fleet.Run({"restart", "--max-unavailable=" + bad, "web@"}).code, kUsage) << bad;
  }
  EXPECT_THAT(fleet.RolloutRequests(), IsEmpty());
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

TEST(Destroy, OfATemplateNamesTheInstancesThatItKeepsAndWaitsForThem) {
  FakeFleet fleet;
  fleet.Add("web@.service", "inactive", kText);
  for (const std::string name : {"web@1.service", "web@2.service", "web@9.service"})
    fleet.Add(name, "launched", kText);
  fleet.Add("other@1.service", "launched", kText);
  for (const std::string name : {"web@1.service", "web@2.service", "other@1.service"})
    fleet.units[name]["madeByReplicas"] = true;
  fleet.states = json::array({{{"name", "web@2.service"}, {"machineID", FakeFleet::kMachine}}});
  Result result = fleet.Run({"destroy", "--timeout=20ms", "web@"});
  EXPECT_EQ(result.code, kTimedOut);
  EXPECT_THAT(result.err, HasSubstr("web@2.service to be destroyed: it still runs on"));
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("Destroyed web@.service\n"), HasSubstr("Destroyed web@1.service\n"),
                    Not(HasSubstr("web@9")), Not(HasSubstr("other"))));
  EXPECT_TRUE(fleet.units.contains("web@9.service") && fleet.units.contains("other@1.service"));
  // The template first: it would have them made again.
  EXPECT_EQ(fleet.Changes()[0]["name"], "web@.service");
}

// It would make those again that it keeps.
TEST(Destroy, LeavesTheInstancesOfATemplateThatIsNotDestroyed) {
  FakeFleet fleet;
  fleet.Add("web@.service", "inactive", kText);
  fleet.Add("web@1.service", "launched", kText);
  fleet.units["web@1.service"]["madeByReplicas"] = true;
  fleet.refused["web@.service"] = "it is not to be";
  EXPECT_EQ(fleet.Run({"destroy", "web@"}).code, kFailed);
  EXPECT_TRUE(fleet.units.contains("web@1.service"));
  EXPECT_EQ(fleet.Run({"destroy", "web@1"}).out, "Destroyed web@1.service\n");
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
  EXPECT_EQ(fleet.Run({"rollout", "undo", "web@.service", "--to="}).code, kUsage);
  EXPECT_EQ(fleet.Run({"rollout", "undo", "web@.service", "--to=98"}).code, kDone);
  ASSERT_THAT(fleet.RolloutRequests(), SizeIs(1));
  EXPECT_EQ(fleet.RolloutRequests()[0].first, "/rollouts/web@.service/undo");
  EXPECT_EQ(fleet.RolloutRequests()[0].second, json({{"hash", "98"}}));
  EXPECT_EQ(fleet.Run({"rollout", "pause", "b.service"}).code, kNotFound);
  EXPECT_EQ(fleet.Run({"rollout", "stop", "web@.service"}).code, kUsage);
  EXPECT_EQ(fleet.Run({"rollout", "resume"}).code, kUsage);
  EXPECT_THAT(fleet.Run({"rollout", "status", "web@.service", "-o", "yaml"}).out,
              testing::StartsWith("---\n"));
  EXPECT_THAT(fleet.Run({"rollout", "status", "web@.service", "-o", "json"}).out,
              HasSubstr("\"state\":\"paused\""));
}

}  // namespace
}  // namespace fleet::fleetctl
