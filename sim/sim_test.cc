// The simulator itself: it repeats, it can fail, and it breaks everything that it says it breaks.

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>

#include "base/mute.h"
#include "sim/mutants.h"
#include "sim/report.h"
#include "sim/simulation.h"

namespace fleet::sim {

// What a failed test is called in its output.
static void PrintTo(const Mutant& mutant, std::ostream* out) { *out << mutant.name; }

namespace {

class Simulation : public ::testing::Test {
 protected:
  Simulation() { log::Mute(); }
};

TEST_F(Simulation, ASeedGivesTheSameRunAgain) {
  for (const uint64_t seed : {3, 13, 52}) {
    const RunResult first = RunOnce({.seed = seed});
    const RunResult second = RunOnce({.seed = seed});
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.steps, second.steps) << "seed " << seed;
  }
}

TEST_F(Simulation, AnotherSeedGivesAnotherRun) {
  EXPECT_NE(RunOnce({.seed = 1}).trace_hash, RunOnce({.seed = 2}).trace_hash);
}

TEST_F(Simulation, ARunHasAtLeastTheStepsAndFaultsThatAreAskedFor) {
  const RunResult result = RunOnce({.seed = 5, .steps = 4000, .faults = 30});
  EXPECT_GE(result.steps, 4000);
  uint64_t faults = 0;
  for (const uint64_t count : result.faults) faults += count;
  EXPECT_GE(faults, 30);
}

// In the middle of an update what an older version would not heed is asked for, and refused.
TEST_F(Simulation, VersionsThatDifferMeetWhatTheyDoNotKnow) {
  uint64_t refused = 0;
  for (const uint64_t seed : {9, 15, 24}) {
    const RunResult result = RunOnce({.seed = seed});
    EXPECT_TRUE(result.violations.empty()) << "seed " << seed;
    refused += result.refused;
  }
  EXPECT_GT(refused, 0);
}

// Seeds that have shown a mistake of fleet's, and what it was.
struct Found {
  uint64_t seed;
  const char* what;
};
void PrintTo(const Found& found, std::ostream* out) { *out << "seed " << found.seed; }

class FoundBySeed : public Simulation, public ::testing::WithParamInterface<Found> {};
TEST_P(FoundBySeed, IsMended) {
  // As they were when there were no drains.
  const RunResult result = RunOnce({.seed = GetParam().seed, .drains = false});
  for (const Violation& violation : result.violations) {
    ADD_FAILURE() << violation.invariant << ": " << violation.what << " (" << GetParam().what
                  << ")";
  }
}
INSTANTIATE_TEST_SUITE_P(
    Seeds, FoundBySeed,
    ::testing::Values(
        Found{52, "a stop that fleetd did not live to finish was forgotten: the unit stayed down"},
        Found{20, "an agent that had lost its lease woke itself without a pause"},
        Found{14, "a guarded unit that came back within the deadline was not confirmed again"},
        Found{33, "the guard took a second stop for the first one"},
        Found{214, "the guard forgot a stop before fleetd had noted it"},
        Found{18, "a rewrite of the leader's record that failed was taken for one that voids"},
        Found{195, "what was reported before a restore was not reported again"},
        Found{1381, "what a destroyed unit asked for where it had not ended yet was forgotten"},
        Found{99, "an adopted unit got a lower generation"}));

// Which seeds are tried for each mutant.
constexpr uint64_t kMutantSeeds = 120;

class EachMutant : public Simulation, public ::testing::WithParamInterface<Mutant> {};
TEST_P(EachMutant, IsCaught) {
  const Mutant& mutant = GetParam();
  for (uint64_t seed = 1; seed <= kMutantSeeds; ++seed) {
    const RunResult result =
        RunOnce({.seed = seed, .mutant = mutant.name, .without = "etcd restored"});
    for (const Violation& violation : result.violations) {
      if (std::count(mutant.invariants.begin(), mutant.invariants.end(), violation.invariant) > 0) {
        return;
      }
    }
  }
  ADD_FAILURE() << "nothing has noticed that " << mutant.what;
}
INSTANTIATE_TEST_SUITE_P(Mutants, EachMutant, ::testing::ValuesIn(Mutants()),
                         [](const auto& instance) {
                           std::string name = instance.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Totals, AddUpAndSurviveTheWayThroughAPipe) {
  RunResult result;
  result.steps = 2000;
  result.faults[3] = 7;
  result.violations.push_back({"S1", "twice"});
  Totals one;
  one.Add(result);
  Totals sum = Totals::Parse(one.Serialize());
  sum.Add(one);
  EXPECT_EQ(sum.violating_seeds(), 2);
  EXPECT_EQ(sum.faults()[3], 14);
  EXPECT_NE(sum.LastLine().find("2 seeds, 4000 steps"), std::string::npos) << sum.LastLine();
}

}  // namespace
}  // namespace fleet::sim
