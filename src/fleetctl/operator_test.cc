// What operators ask for and tell: forget, features, events, release-hold.

#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(Forget, SaysWhatBecomesOfTheMachinesUnits) {
  FakeFleet fleet;
  fleet.absent_machine = "b1b2";
  const Result result = fleet.Run({"forget", "b1b2"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(result.out, HasSubstr("b1b2 is forgotten"));
}

TEST(Forget, SaysWhyNot) {
  FakeFleet fleet;
  EXPECT_NE(fleet.Run({"forget", "b1b2"}).code, kDone);
  EXPECT_NE(fleet.Run({"forget"}).code, kDone);
}

TEST(Events, AreOneLineEachAndCanBeJson) {
  FakeFleet fleet;
  fleet.events.push_back({{"id", "e/1"},
                          {"time", "2026-01-02T03:04:05+00:00"},
                          {"kind", "moved"},
                          {"unit", "a.service"},
                          {"machineID", FakeFleet::kMachine},
                          {"reason", Cat("its machine ", FakeFleet::kMachine, " is lost")}});
  fleet.events.push_back({{"id", "e/2"}, {"time", "2026-01-02T03:04:06+00:00"}, {"kind", "held"}});
  const Result result = fleet.Run({"events"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(result.out, HasSubstr("2026-01-02T03:04:05.000000+00:00 moved a.service 8be9f57e"));
  EXPECT_THAT(result.out, HasSubstr("its machine 8be9f57e... is lost"));
  EXPECT_THAT(fleet.Run({"events", "-l"}).out, HasSubstr(Cat("machine ", FakeFleet::kMachine)));
  EXPECT_THAT(fleet.Run({"events", "--output=json"}).out, HasSubstr("\"kind\":\"held\""));
  EXPECT_THAT(fleet.Run({"events", "-o", "yaml"}).out, HasSubstr("---\nid: e/2\nkind: held\n"));
  EXPECT_EQ(fleet.Run({"events", "-o", "toml"}).code, kUsage);
}

TEST(Events, AreThoseOfTheUnitsAndTheMachineThatAreMeant) {
  FakeFleet fleet;
  for (const std::string unit : {"web@1.service", "web@2.service", "db.service"})
    fleet.events.push_back({{"id", unit}, {"time", "then"}, {"kind", "placed"}, {"unit", unit}});
  EXPECT_EQ(fleet.Run({"events", "--unit=web@*"}).out,
            "then placed web@1.service\nthen placed web@2.service\n");
  EXPECT_EQ(fleet.Run({"events", "-f", "--unit=d*"}).out, "then placed db.service\n");
  EXPECT_EQ(fleet.Run({"events", "--machine=8be9"}).code, kDone);
  EXPECT_EQ(fleet.Run({"events", Cat("--machine=", std::string(32, 'b'))}).code, kDone);
  EXPECT_EQ(fleet.Run({"events", "--machine=nosuch"}).code, kNotFound);
}

TEST(Events, MayBeTheLastOnesAndThoseSinceATime) {
  FakeFleet fleet;
  for (const std::string digits : {"", ".12345678", ".123456789"}) {
    const std::string id = Cat("e/", fleet.events.size());
    fleet.events.push_back(
        {{"id", id}, {"time", Cat("2026-01-02T03:04:05", digits, "+00:00")}, {"kind", "held"}});
  }
  const std::string later = "2026-01-02T03:04:05.123456+00:00 held\n";
  EXPECT_EQ(fleet.Run({"events"}).out, "2026-01-02T03:04:05.000000+00:00 held\n" + later + later);
  EXPECT_EQ(fleet.Run({"events", "-n", "1"}).out, later);
  EXPECT_EQ(fleet.Run({"events", "-n1", "-f"}).out, later);
  EXPECT_EQ(fleet.Run({"events", "-n", "7", "--since=2026-01-02T03:04:05.1Z"}).out, later + later);
  EXPECT_EQ(fleet.Run({"events", "--since=1s"}).out, "");
  EXPECT_EQ(fleet.Run({"events", "-n", "some"}).code, kUsage);
  EXPECT_EQ(fleet.Run({"events", "--since=soon"}).code, kUsage);
}

TEST(Events, AreFollowedByAStreamThatGoesOnWhereItBrokeOff) {
  FakeFleet fleet;
  fleet.events.push_back({{"id", "e/1"}, {"time", "then"}, {"kind", "held"}});
  const Result result = fleet.Run({"events", "-f"});
  EXPECT_EQ(result.out, "then held\n");
  EXPECT_THAT(result.err, HasSubstr("no more"));
}

TEST(Metadata, SetsAndRemovesAndShowsWhatThereIs) {
  FakeFleet fleet;
  const Result result = fleet.Run({"metadata", "8be9", "zone=b=c", "disk-"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "disk=ssd\nzone=a\n");  // this fleet's machines take no notice
  const auto& settings = fleet.settings[std::string(FakeFleet::kMachine)];
  EXPECT_EQ(settings["metadata"]["zone"], "b=c");
  EXPECT_EQ(settings["removedMetadata"], nlohmann::json::array({"disk"}));
}

TEST(Metadata, OfAMachineThatIsAwayNeedsItsWholeId) {
  FakeFleet fleet;
  const std::string away(32, 'b');
  EXPECT_EQ(fleet.Run({"metadata", away, "zone=b"}).code, kDone);
  EXPECT_EQ(fleet.settings[away]["metadata"]["zone"], "b");
  EXPECT_EQ(fleet.Run({"metadata", "bbbb", "zone=b"}).code, kNotFound);
}

TEST(Metadata, NothingIsChangedIfAWordIsNoChange) {
  FakeFleet fleet;
  for (const std::string bad : {"zone", "zone=", "=b", "-"}) {
    const Result result = fleet.Run({"metadata", "8be9", "disk-", bad});
    EXPECT_NE(result.code, kDone) << bad;
    EXPECT_THAT(result.err, HasSubstr(bad));
  }
  EXPECT_TRUE(fleet.settings.empty());
}

TEST(Features, AreListedWithTheMachinesThatDoNotKnowThem) {
  FakeFleet fleet;
  fleet.features = {
      {{"name", "isolation"}, {"enabled", true}, {"unknownTo", json::array()}},
      {{"name", "rollout-set"}, {"enabled", false}, {"unknownTo", {"8be9f57e6f3f4a07", "m2"}}}};
  const Result table = fleet.Run({"features"});
  EXPECT_EQ(table.code, 0);
  EXPECT_EQ(table.out,
            "FEATURE    \tENABLED\tUNKNOWN TO\n"
            "isolation  \tyes    \t-\n"
            "rollout-set\tno     \t8be9f57e...,m2\n");
  EXPECT_THAT(fleet.Run({"features", "-l"}).out, HasSubstr("\t8be9f57e6f3f4a07,m2\n"));
  EXPECT_EQ(json::parse(fleet.Run({"features", "-o", "json"}).out), fleet.features);
}

TEST(ReleaseHold, ReleasesTheOneThatIsInForce) {
  FakeFleet fleet;
  EXPECT_THAT(fleet.Run({"release-hold"}).err, HasSubstr("no hold is in force"));
  fleet.holds = true;
  const Result result = fleet.Run({"release-hold"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_FALSE(fleet.holds);
}

}  // namespace
}  // namespace fleet::fleetctl
