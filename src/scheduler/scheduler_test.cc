#include "scheduler/scheduler.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

RequirementsPtr Conflicts(std::vector<std::string> globs) {
  return std::make_shared<Requirements>(Requirements{.conflicts = std::move(globs)});
}

// A scheduler that goes by names.
struct Named : Scheduler {
  using Scheduler::Scheduler;

  explicit Named(const std::vector<std::string>& ids) {
    for (const std::string& id : ids) SetMachine({.id = id});
  }
  void Put(std::string_view unit, std::string_view machine, Hold hold = Hold::kRuns) {
    const auto known = FindUnit(unit);
    Place(known ? *known : SetUnit(unit, nullptr), SlotOf(machine), hold);
  }
  void Take(std::string_view unit, std::string_view machine) {
    Unplace(*FindUnit(unit), SlotOf(machine));
  }
  // Where a unit with these requirements would go.
  std::optional<std::string> ChooseFor(std::string_view unit,
                                       const RequirementsPtr& requirements = nullptr) {
    const auto chosen = Choose(SetUnit(unit, requirements));
    if (!chosen) return std::nullopt;
    return MachineName(*chosen);
  }
  Explanation Why(std::string_view unit, const RequirementsPtr& requirements) {
    return Explain(std::vector<UnitId>{SetUnit(unit, requirements)});
  }
  std::vector<std::string> ConflictsOf(std::string_view unit, std::string_view machine) {
    std::vector<std::string> names;
    for (const UnitId other : Conflicts(*FindUnit(unit), SlotOf(machine))) {
      names.push_back(UnitName(other));
    }
    return names;
  }
};

TEST(Scheduler, TakesTheLeastLoadedMachineThenTheFirstId) {
  Named scheduler({"c", "a", "b"});
  EXPECT_EQ(scheduler.ChooseFor("x.service"), "a");
  scheduler.Put("1.service", "a");
  EXPECT_EQ(scheduler.ChooseFor("x.service"), "b");
  scheduler.Put("2.service", "b", Hold::kLeaves);
  EXPECT_EQ(scheduler.ChooseFor("x.service"), "c");
  scheduler.Take("1.service", "a");
  EXPECT_EQ(scheduler.ChooseFor("x.service"), "a");
}

TEST(Scheduler, PlacingAPairAgainReplacesWhatWasSaid) {
  Named scheduler({"a", "b"});
  scheduler.SetUnit("db.service", Conflicts({"x*"}));
  scheduler.Put("db.service", "a");
  scheduler.SetUnit("db.service", Conflicts({"y*"}));
  scheduler.Put("db.service", "a", Hold::kLeaves);
  scheduler.Put("other.service", "b");
  EXPECT_EQ(scheduler.ChooseFor("x.service"), "a");  // one unit on each
  EXPECT_EQ(scheduler.ChooseFor("y.service"), "b");
  const auto follows = std::make_shared<Requirements>(Requirements{.machine_of = {"db.service"}});
  EXPECT_EQ(scheduler.ChooseFor("m.service", follows), std::nullopt);
  scheduler.Take("db.service", "a");
  scheduler.Take("db.service", "a");
  EXPECT_EQ(scheduler.ChooseFor("y.service"), "a");
}

TEST(Scheduler, UnitsOnAnAbsentMachineCountWhenItComesBack) {
  Named scheduler({"b"});
  scheduler.SetUnit("db.service", Conflicts({"x*"}));
  scheduler.Put("db.service", "a");
  EXPECT_FALSE(scheduler.IsPresent(scheduler.SlotOf("a")));
  EXPECT_EQ(scheduler.ChooseFor("x.service"), "b");
  EXPECT_EQ(scheduler.RulesOut(scheduler.SetUnit("y.service", nullptr), scheduler.SlotOf("a"),
                               As::kNewcomer),
            "machine is absent");
  scheduler.SetMachine({.id = "a"});
  scheduler.RemoveMachine("b");
  scheduler.RemoveMachine("b");
  scheduler.RemoveMachine("never");
  EXPECT_EQ(scheduler.ChooseFor("x.service"), std::nullopt);
  EXPECT_EQ(scheduler.ChooseFor("y.service"), "a");
}

TEST(Scheduler, SaysWhatRulesOutHowManyMachines) {
  Named scheduler;
  scheduler.SetMachine({.id = "a", .metadata = {{"zone", "1"}}});
  scheduler.SetMachine({.id = "b", .metadata = {{"zone", "1"}}});
  scheduler.SetMachine({.id = "c", .metadata = {{"zone", "2"}}});
  scheduler.SetMachine({.id = "d", .metadata = {{"zone", "1"}}, .schedulable = false});
  for (const char* machine : {"a", "b", "c"}) scheduler.Put("mysql.1.service", machine);
  const auto requirements = std::make_shared<Requirements>(
      Requirements{.metadata = {{"zone", {"1"}}}, .conflicts = {"mysql*"}});
  EXPECT_EQ(scheduler.ChooseFor("web.service", requirements), std::nullopt);
  const Explanation explanation = scheduler.Why("web.service", requirements);
  EXPECT_EQ(explanation.machines, 4);
  EXPECT_THAT(explanation.ruled_out,
              ElementsAre(RuledOut{"Conflicts with mysql.1.service", 2, 3, 2},
                          RuledOut{"MachineMetadata zone=1", 1, 1, 0},
                          RuledOut{"cordoned or leaving", 1, 1, 1}));
  EXPECT_EQ(explanation.Summary(),
            "no machine is eligible: 2 of 4 conflict with mysql.1.service, 1 does not match "
            "MachineMetadata zone=1, 1 is cordoned or leaving");
}

TEST(Scheduler, ARefusalStaysShortHoweverManyConflictThereAre) {
  Named scheduler;
  for (int i = 0; i < 1000; ++i) {
    const std::string machine = fmt::format("m{:04}", i);
    const std::string unit = fmt::format("web@{:04}.service", i);
    scheduler.SetMachine({.id = machine});
    scheduler.SetUnit(unit, Conflicts({"web@*"}));
    scheduler.Put(unit, machine);
  }
  EXPECT_EQ(scheduler.Why("web@x.service", Conflicts({"web@*"})).Summary(),
            "no machine is eligible: 1000 of 1000 conflict with web@0000.service, "
            "web@0001.service, web@0002.service and others");
}

TEST(Scheduler, CountsAloneMakeTheSameSummary) {
  Named scheduler({"a", "b", "c"});
  scheduler.SetUnit("db.service", Conflicts({"web*"}));
  scheduler.Put("db.service", "a");
  const auto requirements = std::make_shared<Requirements>(
      Requirements{.metadata = {{"zone", {"x"}}}, .conflicts = {"db*"}, .reserve_memory = 1});
  const std::vector<UnitId> web = {scheduler.SetUnit("web.service", requirements)};
  const Explanation counts = scheduler.Explain(web, std::nullopt, Detail::kCounts);
  const Explanation all = scheduler.Explain(web);
  EXPECT_EQ(counts.Summary(), all.Summary());
  EXPECT_EQ(counts.ruled_out, all.ruled_out);
  EXPECT_THAT(counts.conflicts, IsEmpty());
  EXPECT_THAT(all.conflicts, ElementsAre("db.service"));
}

TEST(Scheduler, KeepsTheOrderOfIdsAsMachinesComeAndGo) {
  Named scheduler;
  // Ids come in no order, so that the order is numbered anew several times on the way.
  for (int i = 0; i < 2000; ++i) {
    const std::string id = fmt::format("m{:05}", (i * 7919) % 10007);
    scheduler.SetMachine({.id = id, .metadata = {{"parity", i % 2 == 0 ? "even" : "odd"}}});
    if (i % 3 == 0) scheduler.Put(fmt::format("u{}.service", i), id);
    if (i % 5 == 0) scheduler.RemoveMachine(id);
  }
  std::vector<std::string> expected;
  for (int i = 0; i < 2000; ++i) {
    if (i % 5 != 0 && i % 2 == 0) expected.push_back(fmt::format("m{:05}", (i * 7919) % 10007));
  }
  std::sort(expected.begin(), expected.end());
  const UnitId unit = scheduler.SetUnit(
      "x.service",
      std::make_shared<Requirements>(Requirements{.metadata = {{"parity", {"even"}}}}));
  std::vector<std::string> eligible;
  for (const Slot slot : scheduler.EligibleMachines(unit)) {
    eligible.push_back(scheduler.MachineName(slot));
  }
  EXPECT_EQ(eligible, expected);
}

TEST(Scheduler, ManyGlobsThatCameAndWentLeaveNoConflictBehind) {
  Named scheduler({"a"});
  scheduler.Put("web.service", "a");
  for (int i = 0; i < 1000; ++i) {
    const std::string glob = fmt::format("w*[e{}]", i);
    EXPECT_EQ(scheduler.ChooseFor("x.service", Conflicts({glob})), std::nullopt);
  }
  for (int i = 0; i < 1000; ++i) {
    const std::string unit = fmt::format("u{}.timer", i);
    scheduler.SetUnit(unit, Conflicts({fmt::format("n*{}", i)}));
    scheduler.Put(unit, "a");
  }
  EXPECT_THAT(scheduler.ConflictsOf("web.service", "a"), IsEmpty());
  EXPECT_EQ(scheduler.ChooseFor("web.service"), "a");
  scheduler.SetUnit("n7.service", nullptr);
  EXPECT_THAT(scheduler.ConflictsOf("n7.service", "a"), IsEmpty());
  scheduler.SetUnit("nx7", nullptr);
  EXPECT_THAT(scheduler.ConflictsOf("nx7", "a"), ElementsAre("u7.timer"));
}

TEST(Scheduler, OfADestroyedUnitNothingIsLeft) {
  Named scheduler({"a"});
  scheduler.SetUnit("db.service", Conflicts({"x*"}));
  scheduler.Put("db.service", "a");
  EXPECT_EQ(scheduler.ChooseFor("x.service"), std::nullopt);
  scheduler.RemoveUnit(*scheduler.FindUnit("db.service"));
  EXPECT_EQ(scheduler.ChooseFor("x.service"), "a");
  EXPECT_EQ(scheduler.FindUnit("db.service"), std::nullopt);
  EXPECT_THAT(scheduler.UnitsOn(scheduler.SlotOf("a")), IsEmpty());
}

TEST(Scheduler, AUnitMadeAgainIsNotTheOneThatWas) {
  Named scheduler({"a", "b"});
  scheduler.SetUnit("db.service", Conflicts({"x*"}));
  scheduler.Put("db.service", "a");
  scheduler.RemoveUnit(*scheduler.FindUnit("db.service"));
  scheduler.Put("other.service", "a");
  scheduler.Put("db.service", "b");
  EXPECT_EQ(scheduler.ChooseFor("x.service"), "a");
  EXPECT_THAT(scheduler.ConflictsOf("x.service", "b"), IsEmpty());
}

TEST(Scheduler, NumbersAreGoodUntilWhatTheyStandForIsRemoved) {
  Named scheduler;
  const UnitId unit = scheduler.SetUnit("x.service", nullptr);
  const Slot slot = scheduler.SetMachine({.id = "m5000"});
  for (int i = 0; i < 10'000; ++i) {
    scheduler.SetMachine({.id = fmt::format("m{:04}", (i * 7919) % 10'000)});
    scheduler.SetUnit(fmt::format("y{}.service", i), nullptr);
  }
  EXPECT_EQ(scheduler.MachineName(slot), "m5000");
  EXPECT_EQ(scheduler.FindMachine("m5000"), slot);
  EXPECT_EQ(scheduler.UnitName(unit), "x.service");
  EXPECT_EQ(scheduler.FindUnit("x.service"), unit);
}

// What failed for one kind of unit says nothing about a kind that is numbered like it later.
TEST(Scheduler, ARefusalOfOneUnitIsNotTakenForThatOfAnother) {
  Named scheduler({"a"});
  scheduler.SetUnit("x.service", Conflicts({"a*"}));
  scheduler.Put("x.service", "a");
  EXPECT_EQ(scheduler.ChooseFor("ab.service"), std::nullopt);
  scheduler.SetUnit("y.service", Conflicts({"*b.service"}));  // placed nowhere
  EXPECT_EQ(scheduler.ChooseFor("cb.service"), "a");
  EXPECT_EQ(scheduler.ChooseFor("ab.service"), std::nullopt);
}

}  // namespace
}  // namespace fleet::scheduler
