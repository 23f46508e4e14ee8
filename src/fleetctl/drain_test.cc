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
using testing::IsEmpty;
using testing::Not;

json Left(int64_t count, const std::string& reason = "machine m1 is drained: it moves to m2",
          bool cannot_move = false) {
  json left = json::array();
  for (int64_t i = 0; i < count; ++i) {
    left.push_back({{"unit", "u" + std::to_string(i) + ".service"},
                    {"reason", reason},
                    {"cannotMove", cannot_move}});
  }
  return {{"drained", true}, {"unitsLeft", count}, {"left", left}};
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

TEST(Cordon, ExitsWithTheStatusOfTheFirstThatFailed) {
  FakeFleet fleet;
  fleet.answers_first =
      [&](const client::FakeRequest& request) -> std::optional<client::FakeResponse> {
    if (!request.target.ends_with("/m1/cordon")) return std::nullopt;
    return client::FakeResponse{.code = 409, .body = "{}"};
  };
  EXPECT_EQ(fleet.Run({"cordon", "m2", "m1", "none"}).code, kFailed);
  EXPECT_EQ(fleet.Run({"cordon", "none", "m1"}).code, kNotFound);
}

TEST(Drain, WaitsUntilTheMachineIsEmpty) {
  FakeFleet fleet;
  fleet.drains = {Left(2), Left(2), Left(1), Left(0)};
  fleet.Add("u0.service", "launched");
  fleet.Add("u1.service", "launched");
  const Result result = fleet.Run({"drain", "8be9"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "Machine 8be9 is drained\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(fleet.drains.size(), 1u);
}

TEST(Drain, ShowsHowFarItIsOnATerminalOnly) {
  FakeFleet fleet;
  fleet.err_terminal = true;
  for (const std::string no_color : {"", "1"}) {
    fleet.drains = {Left(2), Left(1), Left(0)};
    fleet.Add("u0.service", "launched");
    fleet.Add("u1.service", "launched");
    fleet.variables["NO_COLOR"] = no_color;
    const Result result = fleet.Run({"drain", "8be9"});
    EXPECT_EQ(result.code, kDone) << result.err;
    if (no_color.empty()) {
      EXPECT_THAT(result.err, HasSubstr("\r\033[K8be9: 1 of 2 left"));
    } else {
      EXPECT_EQ(result.err, "");
    }
  }
}

TEST(Drain, SaysOnceThatTheApiIsAway) {
  FakeFleet fleet;
  fleet.drains = {Left(2), Left(0)};
  fleet.Add("u0.service", "launched");
  fleet.Add("u1.service", "launched");
  int asked = 0;
  fleet.answers_first =
      [&](const client::FakeRequest& request) -> std::optional<client::FakeResponse> {
    if (request.method != "GET" || !request.target.ends_with("/drain")) return std::nullopt;
    if (const int now = ++asked; now != 2 && now != 3) return std::nullopt;
    return client::FakeResponse{.code = 503, .body = "{}"};
  };
  const Result result = fleet.Run({"drain", "8be9"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(result.err, testing::MatchesRegex("Notice: lost the connection[^\n]*again\n"));
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

TEST(Drain, ClosesAllOfThemBeforeAnythingMoves) {
  FakeFleet fleet;
  fleet.drains = {Left(0)};
  const Result result = fleet.Run({"drain", "--no-block", "m1", "m2"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(fleet.machine_posts, ElementsAre("m1/cordon", "m2/cordon", "m1/drain", "m2/drain"));
}

TEST(Drain, OneThatIsRefusedLeavesTheMachineAsItWas) {
  FakeFleet fleet;
  json open = Left(0);
  open["drained"] = false;
  json cordoned = open;
  cordoned["cordoned"] = true;
  fleet.drains_of["m1"] = {open};
  fleet.drains_of["m2"] = {cordoned};
  fleet.refuses_drains = true;
  EXPECT_EQ(fleet.Run({"drain", "m1", "m2"}).code, kFailed);
  EXPECT_THAT(fleet.machine_posts,
              ElementsAre("m1/cordon", "m2/cordon", "m1/drain", "m1/uncordon", "m2/drain"));
}

TEST(Drain, ShowsWhatHoldsAMachineUpWithoutChangingAnything) {
  FakeFleet fleet;
  json drain = Left(1, "it stays: MachineID", /*cannot_move=*/true);
  drain["drained"] = false;
  drain["lockGroup"] = "web";
  drain["lockGranted"] = true;
  fleet.drains = {drain};
  const Result result = fleet.Run({"drain", "--status", "8be9"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out,
            "Machine 8be9 is emptied for a reboot (FleetLock, web): 1 unit is on it\n"
            "  u0.service: it stays: MachineID\n");
  EXPECT_THAT(fleet.machine_posts, IsEmpty());
  EXPECT_EQ(fleet.Run({"drain", "--status", "--force", "8be9"}).code, kUsage);
}

TEST(Drain, OfAMachineThatGoesAwayMeanwhileEndsOnceItsUnitsAreElsewhere) {
  FakeFleet fleet;
  json gone = Left(1);
  gone["present"] = false;
  json here = Left(1);
  here["machineID"] = "8be9";
  fleet.drains_of["m1"] = {here};
  fleet.drains_of["8be9"] = {gone};  // by its host name it is not known any more
  fleet.Add("u0.service", "launched");
  const Result result = fleet.Run({"drain", "m1"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "Machine m1 is gone; its units have been moved where they can be\n");
}

TEST(Drain, IsDoneOnceWhatHasLeftHasArrived) {
  FakeFleet fleet;
  fleet.drains = {Left(3), Left(0)};
  fleet.Add("u0.service", "launched");
  fleet.units["u0.service"]["progress"] = "pending";
  fleet.Add("u1.service", "launched");
  fleet.units["u1.service"]["progress"] = "failed";
  fleet.units["u1.service"]["reason"] = "exit-code";
  // Nobody knows u2.service any more.
  json arrived = fleet.units["u0.service"];
  arrived["progress"] = "reached";
  const Result early = fleet.Run({"drain", "--timeout=300ms", "8be9"});
  EXPECT_EQ(early.code, kTimedOut);
  EXPECT_THAT(early.err, HasSubstr("Unit u0.service: "));

  fleet.drains = {Left(3), Left(0)};
  fleet.later_events = {"id: 9\nevent: unit\ndata: " + arrived.dump() + "\n\n"};
  const Result result = fleet.Run({"drain", "8be9"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.err, "Unit u1.service: it has failed: exit-code\n");
  EXPECT_EQ(result.out, "Machine 8be9 is drained\n");
}

TEST(Drain, SendsItsDeadline) {
  FakeFleet fleet;
  EXPECT_EQ(fleet.Run({"drain", "--no-block", "--deadline=10m", "--force", "8be9"}).code, kDone);
  EXPECT_THAT(fleet.machine_posts, ElementsAre(R"(8be9/drain {"deadline":"10m","force":true})"));
  EXPECT_EQ(fleet.Run({"drain", "--no-block", "--deadline=soon", "8be9"}).code, kUsage);
}

TEST(Drain, ThatHasExpiredNamesWhatIsLeftAndFails) {
  FakeFleet fleet;
  json expired = Left(1, "it stays on m1, whose drain has expired: MachineID", true);
  expired["expired"] = true;
  fleet.drains = {Left(1), Left(1, "it stays: MachineID", true), expired};
  const Result result = fleet.Run({"drain", "--deadline=1s", "8be9"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("the drain of machine 8be9 has expired: 1 units are left"));
  EXPECT_THAT(result.err, HasSubstr("whose drain has expired: MachineID"));
  EXPECT_EQ(result.out, "");
}

TEST(Drain, WaitsForWhatIsStoppedByForce) {
  FakeFleet fleet;
  json expired = Left(1);
  expired["expired"] = expired["forces"] = true;
  fleet.drains = {Left(1), expired, Left(0)};
  const Result result = fleet.Run({"drain", "--deadline=1s", "--force", "8be9"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "Machine 8be9 is drained\n");
}

json Expired(const std::string& unit) {
  json expired = Left(1, "it stays: MachineID", true);
  expired["expired"] = true;
  expired["left"][0]["unit"] = unit;
  return expired;
}

TEST(Drain, AwaitsEachMachineToItsOwnEnd) {
  FakeFleet fleet;
  fleet.drains_of["m1"] = {Left(1), Expired("bound.service")};
  fleet.drains_of["m2"] = {Left(1), Left(1), Left(1), Left(0)};
  fleet.Add("bound.service", "launched");
  fleet.Add("u0.service", "launched");
  json arrived = fleet.units["u0.service"];
  fleet.units["u0.service"]["progress"] = "pending";
  fleet.later_events = {"id: 9\nevent: unit\ndata: " + arrived.dump() + "\n\n"};
  const Result result = fleet.Run({"drain", "--deadline=1s", "m1", "m2"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("Error: the drain of machine m1 has expired: 1 units"));
  EXPECT_EQ(result.out, "Machine m2 is drained\n");
}

TEST(Drain, WhatHasLeftAMachineThatWasEmptyInTimeIsAwaited) {
  FakeFleet fleet;
  fleet.drains_of["m1"] = {Expired("bound.service")};
  fleet.drains_of["m2"] = {Left(1), Left(0)};
  fleet.Add("u0.service", "launched");
  fleet.units["u0.service"]["progress"] = "pending";
  const Result result = fleet.Run({"drain", "--timeout=300ms", "m2", "m1"});
  EXPECT_EQ(result.code, kTimedOut);
  EXPECT_THAT(result.err, HasSubstr("machine m1 has expired"));
  EXPECT_THAT(result.err, HasSubstr("Unit u0.service: "));
  EXPECT_THAT(result.err, HasSubstr("timed out: machine m2 is empty, but 1 units"));
  EXPECT_EQ(result.out, "");
}

TEST(Drain, OneThatTimesOutKeepsNobodyFromSayingThatAnotherIsDrained) {
  FakeFleet fleet;
  fleet.drains_of["m1"] = {Left(1)};
  fleet.drains_of["m2"] = {Left(1), Left(0)};
  fleet.Add("u0.service", "launched");
  const Result result = fleet.Run({"drain", "--timeout=300ms", "m1", "m2"});
  EXPECT_EQ(result.code, kTimedOut);
  EXPECT_THAT(result.err, HasSubstr("timed out: 1 units are left on machine m1"));
  EXPECT_EQ(result.out, "Machine m2 is drained\n");
}

TEST(Drain, OneThatIsNotKnownDoesNotKeepTheOthersFromIt) {
  FakeFleet fleet;
  fleet.drains_of["m2"] = {Left(1), Left(0)};
  fleet.Add("u0.service", "launched");
  const Result result = fleet.Run({"drain", "m2", "none", "m2"});
  EXPECT_EQ(result.code, kNotFound);
  EXPECT_EQ(result.out, "Machine m2 is drained\n");
  EXPECT_THAT(fleet.machine_posts, ElementsAre("m2/drain"));
}

TEST(Drain, ExitsAsTheFirstOfThoseThatFail) {
  FakeFleet fleet;
  fleet.drains_of["m1"] = {Expired("u0.service")};
  fleet.drains_of["m2"] = {Left(1)};
  EXPECT_EQ(fleet.Run({"drain", "--timeout=200ms", "m1", "m2"}).code, kFailed);
  EXPECT_EQ(fleet.Run({"drain", "--timeout=200ms", "m2", "m1"}).code, kTimedOut);
}

TEST(Drain, EndsWhenSomebodyTakesItBack) {
  FakeFleet fleet;
  json taken_back = Left(1);
  taken_back["drained"] = false;
  fleet.drains = {Left(2), Left(2), taken_back};
  const Result result = fleet.Run({"drain", "8be9"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("taken that back"));
  EXPECT_THAT(result.out, Not(HasSubstr("drained")));
}

}  // namespace
}  // namespace fleet::fleetctl
