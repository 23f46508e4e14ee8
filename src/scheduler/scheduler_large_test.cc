// Clusters of several hundred machines that came in no order: what is indexed in blocks, followed
// by a journal and numbered anew is asked again and again while much changes.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "gtest/gtest.h"
#include "scheduler/scheduler.h"
#include "scheduler/testing/answer_texts.h"
#include "scheduler/testing/naive.h"
#include "scheduler/testing/random_cluster.h"

namespace fleet::scheduler {
namespace {

class LargeCluster : public ::testing::TestWithParam<uint32_t> {
 protected:
  void ExpectTheSameAnswers(const std::string& unit) {
    const UnitId id = both_.IdOf(unit);
    ASSERT_EQ(both_.Choose(unit), both_.naive.Choose({&unit, 1})) << unit;
    ASSERT_EQ(both_.MachineNamesOf(both_.scheduler.EligibleMachines(id)),
              both_.naive.Eligible({&unit, 1}))
        << unit;
  }

  void ExpectTheSameReasons(const std::string& unit) {
    const UnitId id = both_.IdOf(unit);
    ASSERT_EQ(Texts(both_.scheduler.Judge(std::vector{id})), Texts(both_.naive.Judge({&unit, 1})));
    const Explanation explanation = both_.scheduler.Explain(std::vector{id});
    const Explanation expected = both_.naive.Count({&unit, 1});
    ASSERT_EQ(WithoutUnits(explanation.ruled_out), WithoutUnits(expected.ruled_out));
    ASSERT_EQ(WithoutUnits(explanation.also), WithoutUnits(expected.also));
  }

  World world_ = LargeWorld();
  Both both_ = Story(TapeOf(GetParam(), 10'000), world_, true);
  Tape tape_ = TapeOf(GetParam() + 1000, 100'000);
};

TEST_P(LargeCluster, ChoosesWhatLookingAtEveryMachineChooses) {
  for (int i = 0; i < 120 && !HasFatalFailure(); ++i) {
    for (int j = 0; j < 5; ++j) HappenOnce(tape_, world_, both_);
    ExpectTheSameAnswers(tape_.Of(world_.units));
    const std::vector<std::string> group = AnyGroup(tape_, both_);
    ASSERT_EQ(both_.NameOf(both_.scheduler.ChooseTogether(both_.IdsOf(group))),
              both_.naive.Choose(group));
    if (i % 25 == 0) ExpectTheSameReasons(tape_.Of(world_.units));
  }
  EXPECT_EQ(both_.mismatches(), std::vector<std::string>());
}

// More than the journal keeps.
TEST_P(LargeCluster, CatchesUpWithThousandsOfChanges) {
  for (int i = 0; i < 4 && !HasFatalFailure(); ++i) {
    for (int j = 0; j < 20; ++j) ExpectTheSameAnswers(tape_.Of(world_.units));
    for (int j = 0; j < 5000; ++j) {
      const std::string& unit = tape_.Of(world_.units);
      const std::string& machine = tape_.Of(world_.machines);
      if (tape_.OneIn(2)) {
        both_.Place(unit, machine, Hold::kRuns);
      } else {
        both_.Unplace(unit, machine);
      }
    }
  }
}

TEST_P(LargeCluster, IsTheSameAsOneBuiltFromTheFinalState) {
  for (int i = 0; i < 100; ++i) ExpectTheSameAnswers(tape_.Of(world_.units));
  Scheduler rebuilt = both_.Rebuilt();
  const auto anything = [](UnitId) { return true; };
  for (size_t i = 0; i < world_.units.size(); i += 7) {
    const std::string& unit = world_.units[i];
    const std::vector<UnitId> a = {both_.IdOf(unit)};
    const std::vector<UnitId> b = {*rebuilt.FindUnit(unit)};
    ASSERT_EQ(Texts(both_.scheduler.Explain(a)), Texts(rebuilt.Explain(b))) << unit;
    ASSERT_EQ(Texts(both_.scheduler.Judge(a)), Texts(rebuilt.Judge(b))) << unit;
    const auto preemption = both_.scheduler.Preempt(a, anything);
    const auto other = rebuilt.Preempt(b, anything);
    ASSERT_EQ(preemption.has_value(), other.has_value()) << unit;
    if (!preemption) continue;
    ASSERT_EQ(both_.scheduler.MachineName(preemption->machine),
              rebuilt.MachineName(other->machine));
    ASSERT_EQ(preemption->victims.size(), other->victims.size());
  }
  const std::vector<Move> moves = both_.scheduler.Rebalance(1000, anything);
  const std::vector<Move> others = rebuilt.Rebalance(1000, anything);
  ASSERT_EQ(moves.size(), others.size());
  for (size_t i = 0; i < moves.size(); ++i) {
    ASSERT_EQ(both_.scheduler.UnitName(moves[i].unit), rebuilt.UnitName(others[i].unit));
    ASSERT_EQ(both_.scheduler.MachineName(moves[i].to), rebuilt.MachineName(others[i].to));
    ASSERT_EQ(moves[i].reason, others[i].reason);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, LargeCluster, ::testing::Range(0U, 5U));

// Each comes right before the one that came last, and behind the first.
TEST(LargeClusters, FindsRoomInTheOrderForIdsThatComeAllInTheSamePlace) {
  Both both(Placement::kSpread);
  both.SetUnit("a.service", std::make_shared<Requirements>());
  both.SetMachine({.id = "a"});
  both.SetUnit("x.service", std::make_shared<Requirements>());
  both.Place("x.service", "a", Hold::kRuns);
  std::string id = "b";
  for (int i = 0; i < 300; ++i) {
    both.SetMachine({.id = id});
    ASSERT_EQ(both.Choose("a.service"), id);
    id.insert(0, "a");
  }
  const std::string unit = "a.service";
  EXPECT_EQ(both.MachineNamesOf(both.scheduler.EligibleMachines(both.IdOf(unit))),
            both.naive.Eligible({&unit, 1}));
}

TEST(LargeClusters, MachinesThatCameAndWentLeaveNothingBehind) {
  Both both(Placement::kSpread);
  const std::string unit = "web@1.service";
  both.SetUnit(unit, std::make_shared<Requirements>(Requirements{.spread_over = "zone"}));
  for (int i = 0; i < 3000; ++i) {
    both.SetMachine({.id = fmt::format("m{:04}", i * 37 % 3000),
                     .metadata = {{"zone", fmt::format("z{}", i % 300)}}});
    if (i >= 50) both.RemoveMachine(fmt::format("m{:04}", (i - 50) * 37 % 3000));
    if (i % 10 != 0) continue;
    ASSERT_EQ(both.Choose(unit), both.naive.Choose({&unit, 1}));
  }
  EXPECT_EQ(both.scheduler.present_machines(), 50U);
  EXPECT_EQ(both.MachineNamesOf(both.scheduler.EligibleMachines(both.IdOf(unit))),
            both.naive.PresentMachines());
}

// Where the processors decide the load, memory comes and goes without changing it.
TEST(LargeClusters, FindsTheFewMachinesThatHaveRoom) {
  Both both(Placement::kSpread);
  Tape tape = TapeOf(7, 20'000);
  std::vector<std::string> machines;
  for (int i = 0; i < 120; ++i) {
    machines.push_back(fmt::format("m{:03}", i * 37 % 120));
    both.SetMachine({.id = machines.back(), .capacity = {1000, 1000}});
    const std::string burner = fmt::format("burner{}.service", i);
    both.SetUnit(burner, std::make_shared<Requirements>(Requirements{.reserve_milli_cores = 900}));
    both.Place(burner, machines.back(), Hold::kRuns);
    const std::string hoarder = fmt::format("hoarder{}.service", i);
    both.SetUnit(hoarder, std::make_shared<Requirements>(Requirements{.reserve_memory = 800}));
    both.Place(hoarder, machines.back(), Hold::kRuns);
  }
  const std::string large = "large.service";
  both.SetUnit(large, std::make_shared<Requirements>(Requirements{.reserve_memory = 500}));
  const std::string huge = "huge.service";
  both.SetUnit(huge, std::make_shared<Requirements>(
                         Requirements{.reserve_milli_cores = 100, .reserve_memory = 900}));
  for (int i = 0; i < 1000; ++i) {
    const size_t at = tape.Below(machines.size());
    const std::string hoarder = fmt::format("hoarder{}.service", at);
    if (tape.OneIn(40)) {
      both.Unplace(hoarder, machines[at]);
    } else {
      both.Place(hoarder, machines[at], Hold::kRuns);
    }
    ASSERT_EQ(both.Choose(large), both.naive.Choose({&large, 1}));
    ASSERT_EQ(both.Choose(huge), both.naive.Choose({&huge, 1}));
  }
}

// More than there are indexes for at once.
TEST(LargeClusters, ManyKindsOfUnitsTakeTurns) {
  constexpr int kKinds = 700;
  Both both(Placement::kSpread);
  std::vector<Machine> machines;
  for (int i = 0; i < 40; ++i) {
    Machine machine = {.id = fmt::format("m{:02}", i * 17 % 40)};
    for (int kind = 0; kind < kKinds; ++kind) {
      if ((i + kind) % 3 > 0) machine.metadata[fmt::format("k{}", kind)] = "v";
    }
    both.SetMachine(machine);
    machines.push_back(machine);
  }
  for (int round = 0; round < 3; ++round) {
    for (int kind = 0; kind < kKinds; ++kind) {
      const std::string unit = fmt::format("u{}.service", kind);
      both.SetUnit(unit, std::make_shared<Requirements>(
                             Requirements{.metadata = {{fmt::format("k{}", kind), {"v"}}}}));
      const auto chosen = both.naive.Choose({&unit, 1});
      ASSERT_EQ(both.Choose(unit), chosen);
      both.Place(unit, *chosen, Hold::kRuns);
    }
    machines[0].metadata.clear();
    both.SetMachine(machines[0]);
    both.RemoveMachine(machines[static_cast<size_t>(round) + 1].id);
  }
}

}  // namespace
}  // namespace fleet::scheduler
