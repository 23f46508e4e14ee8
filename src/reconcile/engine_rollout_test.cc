#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/testing/rollout_fixture.h"

namespace fleet::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kTemplate;
using testing::Text;
using testing::Web;

using Rollout = testing::RolloutTest;

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

TEST_F(Rollout, TakesThoseThatASocketHasStartedOneByOne) {
  Begin(3);
  for (int number = 1; number <= 3; ++number) {
    cluster.model.SetDesired(Web(number), DesiredState::kLoaded);
  }
  Settle();
  Report(Web(1), "active");
  Report(Web(2), "active");
  Update("Weight=2");
  cluster.PassUntilIdle();
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(3)));
  Settle();
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(2), Web(3)));
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
  Resume();
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

TEST_F(Rollout, PausesWhenAUnitEndsThoughItDidNotFail) {
  Begin(2);
  Update("Weight=2");
  Settle();
  Report(Web(1), "inactive");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_EQ(record().reason, "web@1.service has failed: it has ended");
  EXPECT_THAT(Updated(), ElementsAre(Web(1)));
}

TEST_F(Rollout, OneshotsAreDoneWhenTheyEnd) {
  Begin(2, "HealthyAfter=0s");
  const std::string before = cluster.model.Unit(kTemplate).content_hash;
  cluster.model.PutUnit(
      kTemplate, "[Service]\nType=oneshot\nExecStart=/bin/true\n[X-Fleet]\nHealthyAfter=0s\n",
      DesiredState::kInactive);
  cluster.model.PutRollout(
      kTemplate, RolloutOf(nullptr, NextUid(), cluster.model.Unit(kTemplate).content_hash, before,
                           cluster.now, "update"));
  cluster.PassUntilIdle();
  Report(Web(1), "inactive");
  cluster.PassUntilIdle();
  Report(Web(2), "inactive");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kDone);
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

TEST_F(Rollout, DoesNothingWhileItIsPaused) {
  Begin(2);
  Update("Weight=2");
  RolloutRecord paused = record();
  paused.state = RolloutState::kPaused;
  cluster.model.PutRollout(kTemplate, paused);
  Wait(absl::Minutes(1));
  EXPECT_THAT(Updated(), IsEmpty());
}

TEST_F(Rollout, WatchesHealthAnewAfterAPause) {
  Begin(2, "HealthyAfter=60s");
  Update("HealthyAfter=60s\nWeight=2");
  Settle();
  ASSERT_THAT(Updated(), ElementsAre(Web(1)));
  RolloutRecord paused = record();
  paused.state = RolloutState::kPaused;
  cluster.model.PutRollout(kTemplate, paused);
  Wait(absl::Minutes(5));  // it may have come and gone
  Resume();
  Settle();
  Wait(absl::Seconds(59));
  EXPECT_THAT(Updated(), ElementsAre(Web(1)));
  Wait(absl::Seconds(1));
  EXPECT_THAT(Updated(), ElementsAre(Web(1), Web(2)));
}

TEST_F(Rollout, CountsInstancesThatHaveEndedAsDown) {
  Begin(3);
  Report(Web(3), "inactive");
  Update("Weight=2");
  Settle();
  EXPECT_THAT(Updated(), ElementsAre(Web(3)));
}

TEST_F(Rollout, AndADrainTakeNoMoreDownThanMaxUnavailableSays) {
  Begin(4);
  cluster.model.PutMachine("m2");
  Settle();
  Update("Weight=2");
  cluster.model.PutSettings("m1", {.drained = true});
  for (int pass = 0; pass < 200 && record().state == RolloutState::kRunning; ++pass) {
    cluster.Pass();
    size_t down = 0;
    for (int number = 1; number <= 4; ++number) {
      const UnitName name = *UnitName::Parse(Web(number));
      if (StatusOf(cluster.model.records(), name).progress != Progress::kReached) ++down;
    }
    EXPECT_LE(down, 1u);
    if (pass % 3 == 2) Wait(absl::Seconds(1));
  }
  EXPECT_EQ(record().state, RolloutState::kDone);
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

TEST_F(Rollout, AnInstancesOwnWaitsForThatOfItsTemplate) {
  Begin(2);
  const std::string hash = cluster.model.Unit(kTemplate).content_hash;
  RolloutRecord own = RestartOf(nullptr, NextUid(), hash);
  own.together = {Web(1), Web(2)};
  for (const std::string& unit : own.together) cluster.model.PutRollout(unit, own);
  Settle();
  cluster.model.PutRollout(kTemplate, RestartOf(nullptr, NextUid(), hash));
  for (int i = 0; i < 20; ++i) Wait(absl::Seconds(2));
  EXPECT_EQ(record().state, RolloutState::kDone);
  EXPECT_EQ(cluster.model.records().rollouts.Find(Web(1))->value.state, RolloutState::kDone);
  EXPECT_LE(cluster.model.Unit(Web(1)).restarts, 3) << "they take it from each other";
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

}  // namespace
}  // namespace fleet::reconcile
