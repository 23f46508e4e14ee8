// Rollouts of several templates and units at once.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fmt/core.h"
#include "reconcile/rollout.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Text;

// a.service, b.service and c.service run.
class Together : public ::testing::Test {
 protected:
  Together() {
    cluster.model.PutMachine("m1");
    for (const std::string& name : names) cluster.model.PutUnit(name, Text());
    cluster.Settle();
  }

  // As the API does it: one rollout of `of`, which brings each the same new text.
  void Update(const std::vector<std::string>& of, const std::string& max_unavailable = "",
              bool rolls_back = false, const std::string& options = "Weight=2") {
    const auto file = std::make_shared<const UnitFile>(*UnitFile::Parse(Text(options)));
    cluster.model.PutContent(file);
    const std::string uid = fmt::format("rollout {}", ++rollouts);
    for (const std::string& name : of) {
      const auto* last = cluster.model.records().rollouts.Find(name);
      RolloutRecord rollout =
          RolloutOf(last == nullptr ? nullptr : &last->value, uid, file->hash(),
                    cluster.model.Unit(name).content_hash, cluster.now, "update");
      rollout.max_unavailable = max_unavailable;
      rollout.rolls_back = rolls_back;
      if (of.size() > 1) rollout.together = of;
      cluster.model.PutRollout(name, rollout);
    }
    hash = file->hash();
  }

  const RolloutRecord& Record(const std::string& name) const {
    return cluster.model.records().rollouts.Find(name)->value;
  }
  std::vector<RolloutState> States() const {
    std::vector<RolloutState> states;
    for (const std::string& name : names) states.push_back(Record(name).state);
    return states;
  }
  std::vector<std::string> Updated() const {
    std::vector<std::string> units;
    for (const auto& [unit, stored] : cluster.model.records().units) {
      if (stored.value.content_hash == hash) units.push_back(unit);
    }
    return units;
  }
  void Wait() {
    cluster.now += absl::Seconds(2);
    cluster.Settle();
  }
  void Fail(const std::string& unit) {
    const Assignment& assignment = *cluster.model.AssignmentOf(unit, "m1");
    cluster.model.Report("m1", unit,
                         {.uid = assignment.uid,
                          .generation = assignment.generation,
                          .content_hash = assignment.content_hash,
                          .active_state = "failed",
                          .settled = true,
                          .result = "exit-code"});
    cluster.Settle();
  }

  static constexpr RolloutState kRunning = RolloutState::kRunning;
  static constexpr RolloutState kPaused = RolloutState::kPaused;
  static constexpr RolloutState kDone = RolloutState::kDone;
  const std::vector<std::string> names = {"a.service", "b.service", "c.service"};
  Cluster cluster;
  std::string hash;
  int rollouts = 0;
};

TEST_F(Together, OneUnitAfterTheOtherAndAllEndAtOnce) {
  Update(names);
  cluster.Settle();
  EXPECT_THAT(Updated(), ElementsAre("a.service"));
  Wait();
  EXPECT_THAT(Updated(), ElementsAre("a.service", "b.service"));
  Wait();
  EXPECT_THAT(States(), ElementsAre(kRunning, kRunning, kRunning));
  Wait();
  EXPECT_THAT(Updated(), ElementsAre("a.service", "b.service", "c.service"));
  EXPECT_THAT(States(), ElementsAre(kDone, kDone, kDone));
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST_F(Together, AreLookedAtOnceInAPassHoweverManyNamesTheyHave) {
  Update(names);
  cluster.Settle();
  const size_t before = cluster.engine.rollout_walks();
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);  // the first one has not been active for long enough
  EXPECT_EQ(cluster.engine.rollout_walks(), before + names.size());
}

TEST_F(Together, TheirLimitSpansThemAll) {
  Update(names, "2");
  cluster.Settle();
  EXPECT_THAT(Updated(), ElementsAre("a.service", "b.service"));
  const auto progress = ProgressOf(cluster.model.records(), "c.service", Record("c.service"));
  EXPECT_EQ(progress.total, 3u);
  EXPECT_EQ(progress.reached, 2u);
}

TEST_F(Together, AShareIsOneOfAllUnitsOfATemplateAndBesideIt) {
  cluster.model.PutUnit("web@.service", Text("Replicas=7"), DesiredState::kInactive);
  cluster.Settle();
  Update({"a.service", "web@.service"}, "50%");
  cluster.Settle();
  EXPECT_THAT(Updated(),
              ElementsAre("a.service", "web@1.service", "web@2.service", "web@3.service"));
}

TEST_F(Together, OneThatFailsPausesAll) {
  Update(names);
  cluster.Settle();
  Fail("a.service");
  EXPECT_THAT(States(), ElementsAre(kPaused, kPaused, kPaused));
  EXPECT_THAT(Record("c.service").reason, HasSubstr("a.service has failed"));
  Wait();
  EXPECT_THAT(Updated(), ElementsAre("a.service"));
}

TEST_F(Together, OneThatFailsTakesBackWhatAllHaveGot) {
  Update(names, "2", /*rolls_back=*/true);
  cluster.Settle();
  Fail("b.service");
  EXPECT_EQ(Record("a.service").uid, Record("c.service").uid);
  EXPECT_THAT(Record("a.service").together, ElementsAre("a.service", "b.service", "c.service"));
  for (int i = 0; i < 4; ++i) Wait();
  EXPECT_THAT(Updated(), ElementsAre());
  const RolloutState failed = RolloutState::kFailed;
  EXPECT_THAT(States(), ElementsAre(failed, failed, failed));
}

TEST_F(Together, OneThatAnotherRolloutTakesLeavesTheRest) {
  Update(names);
  cluster.Settle();
  const std::string before = hash;
  Update({"a.service"}, "", false, "Weight=3");
  Wait();
  Wait();
  Wait();
  EXPECT_THAT(Updated(), ElementsAre("a.service"));
  hash = before;
  EXPECT_THAT(Updated(), ElementsAre("b.service", "c.service"));
  EXPECT_THAT(States(), ElementsAre(kDone, kDone, kDone));
}

TEST_F(Together, TheRestGoesOnWhenTheFirstIsDestroyed) {
  Update(names);
  cluster.Settle();
  cluster.model.DestroyUnit("a.service");
  Wait();
  Wait();
  EXPECT_THAT(Updated(), ElementsAre("b.service", "c.service"));
  EXPECT_EQ(cluster.model.records().rollouts.Find("a.service"), nullptr);
  Wait();
  EXPECT_EQ(Record("b.service").state, kDone);
}

TEST_F(Together, TheNextLeaderGoesOn) {
  Update(names);
  cluster.Settle();
  EngineReconciler successor(EngineSettings{});
  successor.Apply(cluster.model.ReadAnew());
  successor.BeginLeading(cluster.now);
  EXPECT_TRUE(successor.Decide(cluster.now).empty());  // a.service has to be healthy first
  const auto decisions = successor.Decide(cluster.now + absl::Seconds(2));
  ASSERT_EQ(decisions.size(), 1u);
  EXPECT_THAT(decisions[0].units, ElementsAre("b.service"));
}

// What the one will reserve counts when the other one, which shares its machine, is tried.
TEST(TogetherOnOneMachine, TextsForWhichThereIsNoRoomTogetherStopNothing) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachineOf(machine, 4, 4);
  cluster.model.PutUnit("app.service", Text("ReserveMemory=1G"));
  cluster.model.PutUnit("side.service", Text("MachineOf=app.service\nReserveMemory=1G"));
  cluster.Settle();
  const auto before = cluster.model.MachinesOf("side.service");
  ASSERT_EQ(before.size(), 1u);
  const std::vector<std::string> names = {"app.service", "side.service"};
  const auto update = [&](const std::string& name, const std::string& options) {
    const auto file = std::make_shared<const UnitFile>(*UnitFile::Parse(Text(options)));
    cluster.model.PutContent(file);
    RolloutRecord rollout = RolloutOf(nullptr, "rollout", file->hash(),
                                      cluster.model.Unit(name).content_hash, cluster.now, "update");
    rollout.max_unavailable = "2";
    rollout.together = names;
    cluster.model.PutRollout(name, rollout);
  };
  update("app.service", "ReserveMemory=3G");
  update("side.service", "MachineOf=app.service\nReserveMemory=2G");
  cluster.Settle();
  const RolloutRecord& rollout = cluster.model.records().rollouts.Find("side.service")->value;
  EXPECT_EQ(rollout.state, RolloutState::kPaused);
  EXPECT_THAT(rollout.reason, HasSubstr("side.service goes on with the text that it has"));
  EXPECT_EQ(cluster.model.MachinesOf("side.service"), before);
}

}  // namespace
}  // namespace fleet::reconcile
