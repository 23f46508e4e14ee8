#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fmt/core.h"
#include "reconcile/rollout.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::Cluster;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StrEq;
using testing::Text;

const char* const kTemplate = "web@.service";

std::string Web(int number) { return fmt::format("web@{}.service", number); }

// Instances 1 to `count` that run, of a template with these options.
class Rollout : public ::testing::Test {
 protected:
  void Begin(int count, const std::string& options = "") {
    if (cluster.model.records().machines.Find("m1") == nullptr) cluster.model.PutMachine("m1");
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

  void Resume() {
    RolloutRecord resumed = record();
    resumed.state = RolloutState::kRunning;
    resumed.reason = "";
    cluster.model.PutRollout(kTemplate, resumed);
  }

  std::vector<std::string> StoppedOrMoved() const {
    std::vector<std::string> units;
    for (const EventEntry& event : cluster.events) {
      if (event.kind == "stopped" || event.kind == "moving") units.push_back(event.unit);
    }
    return units;
  }

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

TEST_F(Rollout, StopsNothingForATextThatFitsNowhere) {
  Begin(2);
  const int64_t before = cluster.model.AssignmentOf(Web(1), "m1")->generation;
  Update("MachineMetadata=disk=ssd");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_EQ(record().reason,
            "web@1.service goes on with the text that it has: with the one that is brought it may "
            "not stay on m1 (MachineMetadata disk=ssd), and no machine is eligible: 1 of 1 does "
            "not match MachineMetadata disk=ssd");
  EXPECT_THAT(Updated(), IsEmpty());
  EXPECT_EQ(cluster.model.AssignmentOf(Web(1), "m1")->generation, before);
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
  // Resumed when there is a machine for it.
  cluster.model.PutMachine("m2", {{"disk", "ssd"}});
  Resume();
  for (int turn = 0; turn < 3; ++turn) Wait(absl::Seconds(2));
  EXPECT_EQ(record().state, RolloutState::kDone);
  EXPECT_THAT(cluster.model.MachinesOf(Web(2)), ElementsAre("m2"));
}

TEST_F(Rollout, TakesBackATextThatFitsNowhereWithoutStoppingAnything) {
  Begin(2);
  const std::string former = cluster.model.Unit(kTemplate).content_hash;
  Update("MachineMetadata=disk=ssd", "", /*rolls_back=*/true);
  Settle();
  EXPECT_EQ(record().state, RolloutState::kFailed);
  EXPECT_EQ(cluster.model.Unit(kTemplate).content_hash, former);
  EXPECT_THAT(record().reason, HasSubstr("may not stay on m1"));
  EXPECT_THAT(StoppedOrMoved(), IsEmpty());
}

TEST_F(Rollout, CountsWhatABatchItselfWillReserve) {
  cluster.model.PutMachineOf("m1", 4, 4);
  Begin(2, "ReserveMemory=1G");
  Update("ReserveMemory=3G", "2");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_THAT(record().reason, HasSubstr("web@2.service goes on"));
  EXPECT_THAT(record().reason, HasSubstr("no room for ReserveMemory=3G"));
  EXPECT_THAT(StoppedOrMoved(), IsEmpty());
}

TEST_F(Rollout, CountsWhereABatchItselfWillGo) {
  cluster.model.PutMachineOf("m1", 4, 4, {{"disk", "hdd"}});
  Begin(2, "ReserveMemory=1G");
  cluster.model.PutMachineOf("m2", 4, 1, {{"disk", "ssd"}});
  Update("ReserveMemory=1G\nMachineMetadata=disk=ssd", "2");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_THAT(record().reason, HasSubstr("web@2.service goes on"));
  EXPECT_THAT(StoppedOrMoved(), IsEmpty());
}

TEST_F(Rollout, JudgesNoMoveWhileOneThatItHasReachedHasNotGotWhereItGoes) {
  cluster.model.PutMachineOf("m1", 4, 4, {{"disk", "hdd"}});
  Begin(2, "ReserveMemory=1G");
  cluster.model.PutMachineOf("m2", 4, 1, {{"disk", "ssd"}});
  Update("ReserveMemory=1G\nMachineMetadata=disk=ssd", "1");
  cluster.Pass();
  EXPECT_THAT(Updated(), ElementsAre(Web(1)));
  RolloutRecord faster = record();
  faster.max_unavailable = "2";
  cluster.model.PutRollout(kTemplate, faster);
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_THAT(Updated(), ElementsAre(Web(1)));
  EXPECT_THAT(cluster.model.MachinesOf(Web(1)), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf(Web(2)), ElementsAre("m1"));
}

TEST_F(Rollout, GoesOnWhereOthersArePushedOutForTheText) {
  cluster.model.PutMachineOf("m1", 4, 4, {{"disk", "hdd"}});
  Begin(1, "ReserveMemory=1G");
  cluster.model.PutMachineOf("m2", 4, 1, {{"disk", "ssd"}});
  cluster.model.PutUnit("low.service", Text("ReserveMemory=1G\nMachineMetadata=disk=ssd"));
  Settle();
  Update("ReserveMemory=1G\nMachineMetadata=disk=ssd\nPriority=5");
  for (int turn = 0; turn < 3; ++turn) Wait(absl::Seconds(2));
  EXPECT_EQ(record().state, RolloutState::kDone);
  EXPECT_THAT(cluster.model.MachinesOf(Web(1)), ElementsAre("m2"));
}

TEST_F(Rollout, GoesOnWhereTheTextFitsOnceWhatRunsHasEnded) {
  cluster.model.PutMachineOf("m1", 4, 4, {{"disk", "hdd"}});
  Begin(1, "ReserveMemory=4G");
  cluster.model.PutMachineOf("m2", 4, 1, {{"disk", "ssd"}});
  Update("ReserveMemory=1G\nMachineMetadata=disk=ssd");
  EXPECT_THAT(Updated(), IsEmpty());
  cluster.PassUntilIdle();
  EXPECT_THAT(Updated(), ElementsAre(Web(1)));
}

TEST_F(Rollout, StopsNothingWhereThoseThatFollowHaveNoPlace) {
  Begin(1);
  cluster.model.PutMachine("m2", {{"disk", "ssd"}});
  cluster.model.PutUnit("there.service", Text("MachineMetadata=disk=ssd"));
  Settle();
  cluster.model.PutUnit("follower.service",
                        Text("MachineOf=web@1.service\nConflicts=there.service"));
  Settle();
  Update("MachineMetadata=disk=ssd");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_THAT(record().reason, HasSubstr("conflicts with there.service"));
  EXPECT_THAT(StoppedOrMoved(), IsEmpty());
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

// One on each of three machines, of which m3 has gone: its instance waits for it.
class RolloutWithoutAMachine : public Rollout {
 protected:
  void BeginOnEach() {
    for (const char* machine : {"m1", "m2", "m3"}) cluster.model.PutMachine(machine);
    Begin(3, "Conflicts=web@*.service");
  }
  void LoseOne() {
    cluster.model.LoseMachine("m3");
    for (int turn = 0; turn < 15; ++turn) Wait(absl::Seconds(1));
  }
  size_t Waiting() const {
    size_t waiting = 0;
    for (int i = 1; i <= 3; ++i) waiting += cluster.model.Unit(Web(i)).refusal.empty() ? 0U : 1U;
    return waiting;
  }
};

TEST_F(RolloutWithoutAMachine, GoesOnWithTheOthersIfSoManyMayBeUnavailable) {
  BeginOnEach();
  LoseOne();
  ASSERT_EQ(Waiting(), 1u);
  Update("Conflicts=web@*.service\nWeight=2", "2");
  for (int turn = 0; turn < 4; ++turn) Wait(absl::Seconds(2));
  EXPECT_EQ(record().state, RolloutState::kDone);
  EXPECT_EQ(Updated().size(), 3u);
  EXPECT_THAT(cluster.events,
              Contains(Field(&EventEntry::reason,
                             StrEq("all its units have it, 1 of 3 wait for a machine"))));
}

TEST_F(RolloutWithoutAMachine, TakesNoOtherDownIfOneMayBeUnavailable) {
  BeginOnEach();
  LoseOne();
  Update("Conflicts=web@*.service\nWeight=2", "1");
  for (int turn = 0; turn < 4; ++turn) Wait(absl::Seconds(2));
  EXPECT_EQ(record().state, RolloutState::kRunning);
  EXPECT_EQ(Updated().size(), 1u) << "the one that waits costs nothing";
  cluster.model.PutMachine("m3");
  for (int turn = 0; turn < 4; ++turn) Wait(absl::Seconds(2));
  EXPECT_EQ(record().state, RolloutState::kDone);
  EXPECT_EQ(Updated().size(), 3u);
}

TEST_F(RolloutWithoutAMachine, TakesNothingBackForAMachineThatIsLostMeanwhile) {
  BeginOnEach();
  Update("Conflicts=web@*.service\nHealthyAfter=60s", "3", /*rolls_back=*/true);
  Settle();
  ASSERT_EQ(Updated().size(), 3u);
  LoseOne();
  ASSERT_EQ(Waiting(), 1u);
  for (int turn = 0; turn < 4; ++turn) Wait(absl::Seconds(30));
  EXPECT_EQ(record().state, RolloutState::kDone);
  EXPECT_EQ(Updated().size(), 3u);
}

TEST_F(RolloutWithoutAMachine, PausesForATextThatFitsNowhereThoughItMayTakeNoOtherDown) {
  BeginOnEach();
  LoseOne();
  Update("MachineMetadata=disk=ssd", "1");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_THAT(record().reason, HasSubstr("goes on with the text that it has"));
}

// Its machine is leaving, and there is another one for the text that it has.
TEST_F(Rollout, AlsoTriesATextForAUnitThatDoesNotRun) {
  Begin(1);
  cluster.model.PutMachine("m2");
  cluster.model.PutMachine("m1", {}, /*leaving=*/true);
  Update("MachineMetadata=disk=ssd");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_THAT(record().reason, HasSubstr("would have no place with the text that is brought"));
  EXPECT_THAT(Updated(), IsEmpty());
  EXPECT_THAT(cluster.model.MachinesOf(Web(1)), ElementsAre("m2"));
}

}  // namespace
}  // namespace fleet::reconcile
