// cordon, uncordon and drain as commands.

#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

json Left(int64_t count, const std::string& reason = "machine m1 is drained: it moves to m2",
          bool cannot_move = false) {
  json left = json::array();
  for (int64_t i = 0; i < count; ++i) {
    left.push_back({{"unit", "u" + std::to_string(i) + ".service"},
                    {"reason", reason},
                    {"cannotMove", cannot_move}});
  }
  return {{"machineID", "8be9"}, {"drained", true}, {"unitsLeft", count}, {"left", left}};
}

TEST(Cordon, IsAskedForEachMachine) {
  FakeFleet fleet;
  const Result result = fleet.Run({"cordon", "m1", "m2"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "Machine m1 gets nothing new\nMachine m2 gets nothing new\n");
  EXPECT_THAT(fleet.machine_posts, ElementsAre("m1/cordon", "m2/cordon"));
}

TEST(Cordon, OneThatIsNotKnownDoesNotKeepTheOthersFromIt) {
  FakeFleet fleet;
  const Result result = fleet.Run({"uncordon", "none", "m2"});
  EXPECT_EQ(result.code, kNotFound);
  EXPECT_EQ(result.out, "Machine m2 gets units again\n");
}

TEST(Drain, WaitsUntilTheMachineIsEmpty) {
  FakeFleet fleet;
  fleet.drains = {Left(2), Left(1), Left(0)};
  const Result result = fleet.Run({"drain", "8be9"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "Machine 8be9 is drained\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(fleet.drains.size(), 1u);
}

TEST(Drain, NamesWhatCannotMoveAndExitsWith5OnTimeout) {
  FakeFleet fleet;
  fleet.drains = {Left(1, "it stays: 2 of 3 are not MachineID=8be9", /*cannot_move=*/true)};
  const Result result = fleet.Run({"drain", "--timeout=300ms", "8be9"});
  EXPECT_EQ(result.code, kTimedOut);
  EXPECT_THAT(result.err, HasSubstr("1 units are left on machine 8be9"));
  EXPECT_THAT(result.err, HasSubstr("Unit u0.service: it stays: 2 of 3 are not MachineID=8be9"));
}

TEST(Drain, DoesNotWaitWhenToldSo) {
  FakeFleet fleet;
  const Result result = fleet.Run({"drain", "--no-block", "8be9"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(fleet.machine_posts, ElementsAre("8be9/drain"));
}

TEST(Drain, EndsWhenSomebodyTakesItBack) {
  FakeFleet fleet;
  json taken_back = Left(1);
  taken_back["drained"] = false;
  fleet.drains = {Left(2), taken_back};
  const Result result = fleet.Run({"drain", "8be9"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("taken that back"));
  EXPECT_THAT(result.out, Not(HasSubstr("drained")));
}

}  // namespace
}  // namespace fleet::fleetctl
