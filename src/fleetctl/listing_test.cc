// What the lists take for machines and states.

#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Lists, TakeTheSameWordsForMachinesAsAllCommands) {
  FakeFleet fleet;
  fleet.machines.push_back({{"id", std::string(32, 'c')}, {"state", "absent"}});
  const std::string id(FakeFleet::kMachine);
  for (const std::string word : {"node1", "8be9", "node*"}) {
    EXPECT_EQ(fleet.Run({"list-machines", "-o", "name", word}).out, id + "\n") << word;
  }
  EXPECT_EQ(fleet.Run({"list-machines", "-o", "name", "--machine=node1"}).out, id + "\n");
  for (const std::string list : {"list-machines", "list-units", "list-unit-files"}) {
    for (const std::string& word : {std::string("node2"), std::string(32, 'e')}) {
      const Result unknown = fleet.Run({list, "--machine", word});
      EXPECT_EQ(unknown.code, kNotFound) << list;
      EXPECT_EQ(unknown.err, Cat("Error: nothing is known of a machine ", word, "\n"));
      EXPECT_THAT(unknown.out, IsEmpty());
    }
  }
  const Result some = fleet.Run({"list-machines", "-o", "name", "node1", "node2"});
  EXPECT_EQ(some.code, kNotFound);
  EXPECT_EQ(some.out, id + "\n");
  EXPECT_EQ(some.err, "Error: nothing is known of a machine node2\n");
  EXPECT_EQ(fleet.Run({"list-units", "--machine=cc"}).code, kDone);
  const Result away = fleet.Run({"list-machines", "cc"});
  EXPECT_EQ(away.code, kNotFound);
  EXPECT_THAT(away.err, HasSubstr("machine cc is away: --absent lists it"));
}

// The registry may name a machine that is away and of which nothing was set.
TEST(Lists, ShowWhatIsAssignedToAMachineThatIsAway) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched");
  fleet.units["a.service"]["target"] = std::string(32, 'e');
  EXPECT_EQ(fleet.Run({"list-unit-files", "-o", "name", "--machine", std::string(32, 'e')}).out,
            "a.service\n");
}

TEST(Lists, ShowAGlobalUnitOnEachOfItsMachines) {
  FakeFleet fleet;
  const std::string other(32, 'c');
  fleet.machines.push_back({{"id", other}, {"state", "ready"}});
  fleet.units["g.service"] = {
      {"name", "g.service"},
      {"desiredState", "launched"},
      {"global", true},
      {"machines", json::array({{{"machineID", FakeFleet::kMachine}}, {{"machineID", other}}})}};
  fleet.Add("a.service", "launched");
  EXPECT_EQ(fleet.Run({"list-unit-files", "-o", "name", "--machine=node1"}).out,
            "a.service\ng.service\n");
  EXPECT_EQ(fleet.Run({"list-unit-files", "-o", "name", "--machine=cccc"}).out, "g.service\n");
}

TEST(Lists, RefuseAStateThatThereIsNot) {
  FakeFleet fleet;
  fleet.states = json::parse(R"([{"name":"a.service","machineID":"m","systemdLoadState":"loaded",
      "systemdActiveState":"active","systemdSubState":"of-a-newer-systemd"}])");
  for (const std::string list : {"list-machines", "list-units", "list-unit-files"})
    EXPECT_EQ(fleet.Run({list, "--state=bogus"}).code, kUsage) << list;
  EXPECT_EQ(fleet.Run({"list-unit-files", "--state=loaded,bogus"}).err,
            "Error: there is no state \"bogus\": --state takes inactive, loaded, launched, "
            "drifted\n");
  EXPECT_EQ(fleet.Run({"list-units", "-o", "name", "--state=of-a-newer-systemd"}).out,
            "a.service\n");
  EXPECT_EQ(fleet.Run({"list-units", "--state=failed"}).code, kDone);
}

// Each stream ends behind its sync, and is opened again: once in vain, once with the same units,
// once with one more, and then for the last time.
TEST(Lists, ThatAreWatchedOutliveTheApiAndPrintWhatHasChanged) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched");
  std::vector<std::string> watched;
  fleet.answers_first =
      [&](const client::FakeRequest& request) -> std::optional<client::FakeResponse> {
    if (!request.target.starts_with("/fleet/v1/watch")) return std::nullopt;
    watched.push_back(request.target);
    if (watched.size() == 2) return client::FakeResponse{.code = 503, .body = "{}"};
    if (watched.size() == 4) fleet.Add("ab.service", "launched");
    if (watched.size() == 5) return client::FakeResponse{.code = 400, .body = "{}"};
    return client::FakeResponse{.chunks = fleet.Snapshot()};
  };
  const Result result =
      fleet.Run({"list-unit-files", "--watch", "--no-legend", "--fields=unit", "a", "a?.service"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_EQ(result.out, "a.service\n\na.service\nab.service\n\n");
  EXPECT_THAT(result.err,
              testing::ContainsRegex(
                  "^Notice: lost the connection[^\n]*trying again\nNotice: lost the connection"));
  EXPECT_THAT(watched, testing::Each(
                           testing::AllOf(HasSubstr("unit=a.service"), HasSubstr("a%3F.service"))));
}

TEST(Lists, ThatCannotBeWatchedToBeginWithSaySo) {
  FakeFleet fleet;
  fleet.answers_first =
      [&](const client::FakeRequest& request) -> std::optional<client::FakeResponse> {
    if (!request.target.starts_with("/fleet/v1/watch")) return std::nullopt;
    return client::FakeResponse{.code = 503, .body = "{}"};
  };
  EXPECT_EQ(fleet.Run({"list-units", "--watch"}).code, kFailed);
}

}  // namespace
}  // namespace fleet::fleetctl
