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
