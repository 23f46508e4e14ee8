#include "scheduler/scheduler.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

RequirementsPtr Conflicts(std::vector<std::string> globs) {
  return std::make_shared<Requirements>(Requirements{.conflicts = std::move(globs)});
}

RequirementsPtr Nothing() { return std::make_shared<Requirements>(); }

Scheduler WithMachines(const std::vector<std::string>& ids) {
  Scheduler scheduler;
  for (const std::string& id : ids) scheduler.SetMachine({.id = id});
  return scheduler;
}

TEST(Scheduler, TakesTheLeastLoadedMachineThenTheFirstId) {
  Scheduler scheduler = WithMachines({"c", "a", "b"});
  EXPECT_EQ(scheduler.Choose("x.service", {}).machine, "a");
  scheduler.Place("1.service", Nothing(), "a", Hold::kRuns);
  EXPECT_EQ(scheduler.Choose("x.service", {}).machine, "b");
  scheduler.Place("2.service", Nothing(), "b", Hold::kLeaves);
  EXPECT_EQ(scheduler.Choose("x.service", {}).machine, "c");
  scheduler.Unplace("1.service", "a");
  EXPECT_EQ(scheduler.Choose("x.service", {}).machine, "a");
}

TEST(Scheduler, PlacingAPairAgainReplacesWhatWasSaid) {
  Scheduler scheduler = WithMachines({"a", "b"});
  scheduler.Place("db.service", Conflicts({"x*"}), "a", Hold::kRuns);
  scheduler.Place("db.service", Conflicts({"y*"}), "a", Hold::kLeaves);
  scheduler.Place("other.service", Nothing(), "b", Hold::kRuns);
  EXPECT_EQ(scheduler.Choose("x.service", {}).machine, "a");  // one unit on each
  EXPECT_EQ(scheduler.Choose("y.service", {}).machine, "b");
  EXPECT_EQ(scheduler.Choose("m.service", {.machine_of = {"db.service"}}).machine, std::nullopt);
  scheduler.Unplace("db.service", "a");
  scheduler.Unplace("db.service", "a");
  EXPECT_EQ(scheduler.Choose("y.service", {}).machine, "a");
}

TEST(Scheduler, ItsOwnPlaceNeitherConflictsNorCountsAsLoad) {
  Scheduler scheduler = WithMachines({"a", "b"});
  scheduler.Place("1.service", Nothing(), "a", Hold::kRuns);
  scheduler.Place("web@1.service", Conflicts({"web@*"}), "b", Hold::kRuns);
  EXPECT_EQ(scheduler.Choose("web@1.service", *Conflicts({"web@*"})).machine, "b");
  EXPECT_EQ(scheduler.Choose("web@2.service", *Conflicts({"web@*"})).machine, "a");
  EXPECT_EQ(scheduler.Choose("web@1.service", *Conflicts({"web@*"}), "b").machine, "a");
}

TEST(Scheduler, AnotherUnitOfTheSameGlobStillConflictsWhereItIsItself) {
  Scheduler scheduler = WithMachines({"a"});
  scheduler.Place("web@1.service", Conflicts({"web@*"}), "a", Hold::kRuns);
  scheduler.Place("web@2.service", Nothing(), "a", Hold::kLeaves);
  EXPECT_THAT(scheduler.ConflictsOn("web@1.service", *Conflicts({"web@*"}), "a"),
              ElementsAre("web@2.service"));
  EXPECT_EQ(scheduler.RulesOut("web@1.service", *Conflicts({"web@*"}), "a", false),
            "Conflicts with web@2.service");
}

TEST(Scheduler, UnitsOnAnAbsentMachineCountWhenItComesBack) {
  Scheduler scheduler = WithMachines({"b"});
  scheduler.Place("db.service", Conflicts({"x*"}), "a", Hold::kRuns);
  EXPECT_FALSE(scheduler.HasMachine("a"));
  EXPECT_EQ(scheduler.Choose("x.service", {}).machine, "b");
  EXPECT_EQ(scheduler.RulesOut("y.service", {}, "a", true), "machine is absent");
  scheduler.SetMachine({.id = "a"});
  scheduler.RemoveMachine("b");
  scheduler.RemoveMachine("b");
  scheduler.RemoveMachine("never");
  EXPECT_EQ(scheduler.Choose("x.service", {}).machine, std::nullopt);
  EXPECT_EQ(scheduler.Choose("y.service", {}).machine, "a");
}

TEST(Scheduler, SaysWhatRulesOutHowManyMachines) {
  Scheduler scheduler;
  scheduler.SetMachine({.id = "a", .metadata = {{"zone", "1"}}});
  scheduler.SetMachine({.id = "b", .metadata = {{"zone", "1"}}});
  scheduler.SetMachine({.id = "c", .metadata = {{"zone", "2"}}});
  scheduler.SetMachine({.id = "d", .metadata = {{"zone", "1"}}, .schedulable = false});
  for (const char* machine : {"a", "b", "c"}) {
    scheduler.Place("mysql.1.service", Nothing(), machine, Hold::kRuns);
  }
  const Requirements requirements = {.metadata = {{"zone", {"1"}}}, .conflicts = {"mysql*"}};
  const Choice choice = scheduler.Choose("web.service", requirements);
  EXPECT_EQ(choice.machine, std::nullopt);
  EXPECT_EQ(choice.explanation.machines, 4);
  EXPECT_THAT(
      choice.explanation.ruled_out,
      ElementsAre(RuledOut{"Conflicts with mysql.1.service", 2},
                  RuledOut{"MachineMetadata zone=1", 1}, RuledOut{"cordoned or leaving", 1}));
  EXPECT_EQ(choice.explanation.Summary(),
            "no machine is eligible: 2 of 4 conflict with mysql.1.service, 1 does not match "
            "MachineMetadata zone=1, 1 is cordoned or leaving");
}

TEST(Scheduler, SaysThatThereAreNoMachines) {
  EXPECT_EQ(Scheduler().Choose("a.service", {}).explanation.Summary(),
            "no machine is eligible: there are no machines");
}

TEST(Scheduler, ExplainsNothingWhenThereIsAMachine) {
  const Choice choice = WithMachines({"a"}).Choose("a.service", {});
  EXPECT_EQ(choice.explanation.machines, 0);
  EXPECT_THAT(choice.explanation.ruled_out, IsEmpty());
}

TEST(Scheduler, ARefusalStaysShortHoweverManyConflictThereAre) {
  Scheduler scheduler;
  for (int i = 0; i < 1000; ++i) {
    const std::string machine = fmt::format("m{:04}", i);
    scheduler.SetMachine({.id = machine});
    scheduler.Place(fmt::format("web@{:04}.service", i), Conflicts({"web@*"}), machine,
                    Hold::kRuns);
  }
  EXPECT_EQ(scheduler.Choose("web@x.service", *Conflicts({"web@*"})).explanation.Summary(),
            "no machine is eligible: 1000 of 1000 conflict with web@0000.service, "
            "web@0001.service, web@0002.service and others");
}

TEST(Scheduler, KeepsTheOrderOfIdsAsMachinesComeAndGo) {
  Scheduler scheduler;
  // Ids come in no order, so that slots are renumbered several times on the way.
  for (int i = 0; i < 2000; ++i) {
    const std::string id = fmt::format("m{:05}", (i * 7919) % 10007);
    scheduler.SetMachine({.id = id, .metadata = {{"parity", i % 2 == 0 ? "even" : "odd"}}});
    if (i % 3 == 0) scheduler.Place(fmt::format("u{}.service", i), Nothing(), id, Hold::kRuns);
    if (i % 5 == 0) scheduler.RemoveMachine(id);
  }
  std::vector<std::string> expected;
  for (int i = 0; i < 2000; ++i) {
    if (i % 5 != 0 && i % 2 == 0) expected.push_back(fmt::format("m{:05}", (i * 7919) % 10007));
  }
  std::sort(expected.begin(), expected.end());
  const Requirements even = {.metadata = {{"parity", {"even"}}}};
  EXPECT_EQ(scheduler.EligibleMachines("x.service", even), expected);
}

TEST(Scheduler, ManyGlobsThatCameAndWentLeaveNoConflictBehind) {
  Scheduler scheduler = WithMachines({"a"});
  scheduler.Place("web.service", Nothing(), "a", Hold::kRuns);
  for (int i = 0; i < 1000; ++i) {
    const Requirements matches = {.conflicts = {fmt::format("w*[e{}]", i)}};
    EXPECT_EQ(scheduler.Choose("x.service", matches).machine, std::nullopt);
  }
  for (int i = 0; i < 1000; ++i) {
    scheduler.Place(fmt::format("u{}.timer", i), Conflicts({fmt::format("n*{}", i)}), "a",
                    Hold::kRuns);
  }
  EXPECT_THAT(scheduler.ConflictsOn("web.service", {}, "a"), IsEmpty());
  EXPECT_EQ(scheduler.Choose("web.service", {}).machine, "a");
  EXPECT_THAT(scheduler.ConflictsOn("n7.service", {}, "a"), IsEmpty());
  EXPECT_THAT(scheduler.ConflictsOn("nx7", {}, "a"), ElementsAre("u7.timer"));
}

TEST(Scheduler, ForADestroyedUnitNothingIsLeftOfItsConflicts) {
  Scheduler scheduler = WithMachines({"a"});
  scheduler.Place("db.service", Conflicts({"x*"}), "a", Hold::kRuns);
  EXPECT_THAT(scheduler.Choose("x.service", {}).explanation.Summary(), HasSubstr("db.service"));
  scheduler.Unplace("db.service", "a");
  EXPECT_EQ(scheduler.Choose("x.service", {}).machine, "a");
}

}  // namespace
}  // namespace fleet::scheduler
