#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fmt/core.h"
#include "reconcile/rollout.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Text;

const char* const kTemplate = "web@.service";

std::string Web(int number) { return fmt::format("web@{}.service", number); }

// Instances 1 to `count` that run, of a template with these options.
class Rollout : public ::testing::Test {
 protected:
  void Begin(int count, const std::string& options = "") {
    cluster.model.PutMachine("m1");
    cluster.model.PutUnit(kTemplate, Text(options), DesiredState::kInactive);
    UnitRecord record = cluster.model.Unit(kTemplate);
    record.replicas = count;
    Put(kTemplate, record);
    cluster.Settle();
  }

  void Put(const std::string& unit, const UnitRecord& record) {
    static_cast<SimulatedRegistry&>(cluster.model).PutUnit(unit, record);
  }

  // As the API does it. The new text's options; how many at once.
  void Update(const std::string& options, const std::string& max_unavailable = "",
              bool rolls_back = false) {
    const std::string before = cluster.model.Unit(kTemplate).content_hash;
    cluster.model.PutUnit(kTemplate, Text(options), DesiredState::kInactive);
    const auto* last = cluster.model.records().rollouts.Find(kTemplate);
    RolloutRecord rollout =
        RolloutOf(last == nullptr ? nullptr : &last->value, NextUid(),
                  cluster.model.Unit(kTemplate).content_hash, before, cluster.now, "update");
    rollout.max_unavailable = max_unavailable;
    rollout.rolls_back = rolls_back;
    cluster.model.PutRollout(kTemplate, rollout);
  }

  std::string NextUid() { return fmt::format("rollout {}", ++rollouts); }

  const RolloutRecord& record() const {
    return cluster.model.records().rollouts.Find(kTemplate)->value;
  }

  // Those that have this text and are told to run with it.
  std::vector<std::string> With(const std::string& hash) const {
    std::vector<std::string> units;
    for (const std::string& unit : InstancesIn(cluster.model.records(), kTemplate)) {
      if (cluster.model.Unit(unit).content_hash == hash) units.push_back(unit);
    }
    return units;
  }
  std::vector<std::string> Updated() const { return With(record().content_hash); }

  // The engine comes to rest without the time passing, and agents do as they are told.
  void Settle() { cluster.Settle(); }
  void Wait(absl::Duration duration) {
    cluster.now += duration;
    cluster.Settle();
  }

  // What the agent says of the run that is asked for now.
  void Report(const std::string& unit, const std::string& active_state) {
    const Assignment& assignment = *cluster.model.AssignmentOf(unit, "m1");
    cluster.model.Report("m1", unit,
                         {.uid = assignment.uid,
                          .generation = assignment.generation,
                          .content_hash = assignment.content_hash,
                          .load_state = "loaded",
                          .active_state = active_state,
                          .settled = true,
                          .result = active_state == "failed" ? "exit-code" : ""});
  }

  Cluster cluster;
  int rollouts = 0;
};

TEST_F(Rollout, BringsATextOneByOneEachActiveForItsTime) {
  Begin(3);
  Update("Weight=2");
  Settle();
  EXPECT_THAT(Updated(), ElementsAre(Web(1)));
  Wait(absl::Milliseconds(1900));
  EXPECT_THAT(Updated(), ElementsAre(Web(1)));
  Wait(absl::Milliseconds(100));
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(2)));
  Wait(absl::Seconds(2));
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(2), Web(3)));
  EXPECT_EQ(record().state, RolloutState::kRunning);
  Wait(absl::Seconds(2));
  EXPECT_EQ(record().state, RolloutState::kDone);
  for (int number = 1; number <= 3; ++number) {
    EXPECT_EQ(cluster.model.AssignmentOf(Web(number), "m1")->content_hash, record().content_hash);
  }
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST_F(Rollout, TakesAsManyAtOnceAsItIsTold) {
  Begin(10, "MaxUnavailable=20%\nHealthyAfter=10s");
  Update("MaxUnavailable=20%\nHealthyAfter=10s\nWeight=2");
  Settle();
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(2)));
  Wait(absl::Seconds(10));
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(2), Web(3), Web(4)));
  Update("HealthyAfter=1s\nWeight=3", "5");
  Settle();
  EXPECT_EQ(Updated().size(), 5u);
}

TEST_F(Rollout, CountsThoseThatAreNotActiveForOtherReasons) {
  Begin(4);
  Report(Web(4), "activating");
  Update("Weight=2", "2");
  Settle();
  // What does not run is given the new text at once; beside it one more may be down.
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(4)));
}

TEST_F(Rollout, WaitsForWhatIsDownOutsideIt) {
  Begin(3);
  cluster.model.PutUnit(Web(4), Text("Weight=2"));  // already with the new text, by hand
  Settle();
  Report(Web(4), "activating");
  Update("Weight=2");
  Settle();
  EXPECT_THAT(Updated(), ElementsAre(Web(4)));
  EXPECT_THAT(ProgressOf(cluster.model.records(), kTemplate, record()).not_started,
              ElementsAre(HasSubstr(Web(4))));
  Report(Web(4), "active");
  Settle();
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(4)));
}

TEST_F(Rollout, LeavesTextsAloneThatInstancesHaveOfTheirOwn) {
  Begin(2);
  cluster.model.PutUnit(Web(1), Text("Weight=7"));
  Settle();
  Update("Weight=2");
  for (int turn = 0; turn < 3; ++turn) Wait(absl::Seconds(2));
  EXPECT_THAT(Updated(), ElementsAre(Web(2)));
  EXPECT_EQ(record().state, RolloutState::kDone);
}

TEST_F(Rollout, BringsTextsAtOnceToThoseThatDoNotRun) {
  Begin(3);
  cluster.model.SetDesired(Web(2), DesiredState::kInactive);
  cluster.model.SetDesired(Web(3), DesiredState::kLoaded);
  Settle();
  Update("Weight=2");
  Settle();
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(2), Web(3)));
  Wait(absl::Seconds(2));
  EXPECT_EQ(record().state, RolloutState::kDone);
}

TEST_F(Rollout, PausesWhenAUnitFails) {
  Begin(3);
  Update("Weight=2");
  Settle();
  Report(Web(1), "failed");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_EQ(record().reason, "web@1.service has failed: exit-code");
  Wait(absl::Minutes(1));
  EXPECT_THAT(Updated(), ElementsAre(Web(1)));
  // Resumed, and the unit started again.
  UnitRecord again = cluster.model.Unit(Web(1));
  ++again.restarts;
  Put(Web(1), again);
  RolloutRecord resumed = record();
  resumed.state = RolloutState::kRunning;
  resumed.reason = "";
  cluster.model.PutRollout(kTemplate, resumed);
  for (int turn = 0; turn < 4; ++turn) Wait(absl::Seconds(2));
  EXPECT_EQ(record().state, RolloutState::kDone);
}

TEST_F(Rollout, RollsBackWhenAUnitFails) {
  Begin(4);
  Update("Weight=2", "2", /*rolls_back=*/true);
  Settle();
  const std::string brought = record().content_hash;
  const std::string former = record().former_hash;
  Report(Web(2), "failed");
  Settle();
  EXPECT_EQ(record().content_hash, former);
  EXPECT_EQ(cluster.model.Unit(kTemplate).content_hash, former);
  for (int turn = 0; turn < 4; ++turn) Wait(absl::Seconds(2));
  EXPECT_THAT(With(brought), IsEmpty());
  EXPECT_EQ(With(former).size(), 4u);
  EXPECT_EQ(record().state, RolloutState::kFailed);
  EXPECT_EQ(record().reason, "web@2.service has failed: exit-code");
  EXPECT_EQ(record().history[0].how, "roll-back");
  EXPECT_EQ(record().history[1].content_hash, brought);
}

TEST_F(Rollout, PausesWhenRollingBackFailsToo) {
  Begin(2);
  Update("Weight=2", "", /*rolls_back=*/true);
  Settle();
  Report(Web(1), "failed");
  Settle();
  Report(Web(1), "failed");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_THAT(record().reason, HasSubstr("then, rolling back, web@1.service has failed"));
}

TEST_F(Rollout, SaysThatANewTextFitsNowhere) {
  Begin(2);
  Update("MachineMetadata=disk=ssd");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_THAT(record().reason, HasSubstr("web@1.service has failed: "));
}

TEST_F(Rollout, DoesNothingWhileItIsPaused) {
  Begin(2);
  Update("Weight=2");
  RolloutRecord paused = record();
  paused.state = RolloutState::kPaused;
  cluster.model.PutRollout(kTemplate, paused);
  Wait(absl::Minutes(1));
  EXPECT_THAT(Updated(), IsEmpty());
}

TEST_F(Rollout, ThatSupersedesAnotherTakesItsUnitsToo) {
  Begin(3);
  Update("Weight=2");
  Settle();
  Update("Weight=3");
  for (int turn = 0; turn < 4; ++turn) Wait(absl::Seconds(2));
  EXPECT_EQ(Updated().size(), 3u);
  EXPECT_EQ(record().state, RolloutState::kDone);
  EXPECT_EQ(record().history.size(), 3u);
}

TEST_F(Rollout, NewInstancesHaveTheNewTextAndCount) {
  Begin(2);
  Update("Weight=2");
  Settle();
  UnitRecord scaled = cluster.model.Unit(kTemplate);
  scaled.replicas = 3;
  Put(kTemplate, scaled);
  Settle();
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(3)));
  Report(Web(3), "failed");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
}

TEST_F(Rollout, RestartsInTheSameWay) {
  Begin(3);
  cluster.model.SetDesired(Web(2), DesiredState::kLoaded);
  Settle();
  cluster.model.PutRollout(
      kTemplate, RestartOf(nullptr, NextUid(), cluster.model.Unit(kTemplate).content_hash));
  Settle();
  EXPECT_EQ(cluster.model.Unit(Web(1)).restarts, 1);
  EXPECT_EQ(cluster.model.Unit(Web(3)).restarts, 0);
  Wait(absl::Seconds(2));
  EXPECT_EQ(cluster.model.Unit(Web(3)).restarts, 1);
  Wait(absl::Seconds(2));
  EXPECT_EQ(record().state, RolloutState::kDone);
  EXPECT_EQ(cluster.model.Unit(Web(1)).restarts, 1);
  EXPECT_EQ(cluster.model.Unit(Web(2)).restarts, 0);
}

TEST_F(Rollout, OfASingleUnitWaitsForItsHealth) {
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", Text());
  Settle();
  const std::string before = cluster.model.Unit("a.service").content_hash;
  cluster.model.PutUnit("b.service", Text("Weight=2"), DesiredState::kInactive);
  cluster.model.PutRollout(
      "a.service", RolloutOf(nullptr, NextUid(), cluster.model.Unit("b.service").content_hash,
                             before, cluster.now, "update"));
  Settle();
  const auto state = [&] {
    return cluster.model.records().rollouts.Find("a.service")->value.state;
  };
  EXPECT_NE(cluster.model.Unit("a.service").content_hash, before);
  EXPECT_EQ(state(), RolloutState::kRunning);
  Wait(absl::Seconds(2));
  EXPECT_EQ(state(), RolloutState::kDone);
}

TEST_F(Rollout, IsForgottenWithItsUnit) {
  Begin(1);
  Update("Weight=2");
  for (int turn = 0; turn < 3; ++turn) Wait(absl::Seconds(2));
  ASSERT_NE(cluster.model.records().rollouts.Find(kTemplate), nullptr);
  cluster.model.DestroyUnit(kTemplate);
  Settle();
  EXPECT_EQ(cluster.model.records().rollouts.Find(kTemplate), nullptr);
}

TEST_F(Rollout, ANewLeaderWaitsAnew) {
  Begin(2);
  Update("Weight=2");
  Settle();
  Wait(absl::Milliseconds(1500));
  cluster.engine.BeginLeading(cluster.now);
  Settle();
  Wait(absl::Milliseconds(1500));
  EXPECT_THAT(Updated(), ElementsAre(Web(1)));
  Wait(absl::Milliseconds(500));
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(2)));
}

TEST_F(Rollout, WithdrawsAStepThatWasDecidedBeforeAPause) {
  Begin(2);
  Update("Weight=2");
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_EQ(decisions.size(), 1u);
  RolloutRecord paused = record();
  paused.state = RolloutState::kPaused;
  cluster.model.PutRollout(kTemplate, paused);
  EXPECT_EQ(cluster.model.Commit(decisions[0]), 0);
}

TEST(RolloutHistory, KeepsTheLastTenTextsEachOnce) {
  RolloutRecord rollout = RolloutOf(nullptr, "1", "t1", "t0", absl::UnixEpoch(), "update");
  for (int i = 2; i < 14; ++i) {
    rollout = RolloutOf(&rollout, fmt::format("{}", i), fmt::format("t{}", i), rollout.content_hash,
                        absl::UnixEpoch(), "update");
  }
  rollout = RolloutOf(&rollout, "undo", "t12", "t13", absl::UnixEpoch(), "undo");
  ASSERT_EQ(rollout.history.size(), 10u);
  EXPECT_EQ(rollout.history[0].content_hash, "t12");
  EXPECT_EQ(rollout.history[1].content_hash, "t13");
  EXPECT_EQ(rollout.history[2].content_hash, "t11");
}

}  // namespace
}  // namespace fleet::reconcile
