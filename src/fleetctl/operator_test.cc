// forget and release-hold as commands.

#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

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
                          {"reason", "its machine m2 is lost"}});
  fleet.events.push_back({{"id", "e/2"}, {"time", "2026-01-02T03:04:06+00:00"}, {"kind", "held"}});
  const Result result = fleet.Run({"events"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(result.out, HasSubstr("2026-01-02T03:04:05+00:00 moved a.service 8be9f57e"));
  EXPECT_THAT(result.out, HasSubstr("its machine m2 is lost"));
  EXPECT_THAT(fleet.Run({"events", "--output=json"}).out, HasSubstr("\"kind\":\"held\""));
  EXPECT_THAT(fleet.Run({"events", "-o", "yaml"}).out, HasSubstr("---\nid: e/2\nkind: held\n"));
  EXPECT_EQ(fleet.Run({"events", "-o", "toml"}).code, kUsage);
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
