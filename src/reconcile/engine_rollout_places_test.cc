// Rollouts of texts that ask for another machine, or for one that there is not.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/testing/rollout_fixture.h"

namespace fleet::reconcile {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kTemplate;
using ::testing::StrEq;
using testing::Text;
using testing::Web;

using RolloutPlaces = testing::RolloutTest;

TEST_F(RolloutPlaces, StopsNothingForATextThatFitsNowhere) {
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

TEST_F(RolloutPlaces, TakesBackATextThatFitsNowhereWithoutStoppingAnything) {
  Begin(2);
  const std::string former = cluster.model.Unit(kTemplate).content_hash;
  Update("MachineMetadata=disk=ssd", "", /*rolls_back=*/true);
  Settle();
  EXPECT_EQ(record().state, RolloutState::kFailed);
  EXPECT_EQ(cluster.model.Unit(kTemplate).content_hash, former);
  EXPECT_THAT(record().reason, HasSubstr("may not stay on m1"));
  EXPECT_THAT(StoppedOrMoved(), IsEmpty());
}

TEST_F(RolloutPlaces, CountsWhatABatchItselfWillReserve) {
  cluster.model.PutMachineOf("m1", 4, 4);
  Begin(2, "ReserveMemory=1G");
  Update("ReserveMemory=3G", "2");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_THAT(record().reason, HasSubstr("web@2.service goes on"));
  EXPECT_THAT(record().reason, HasSubstr("no room for ReserveMemory=3G"));
  EXPECT_THAT(StoppedOrMoved(), IsEmpty());
}

TEST_F(RolloutPlaces, CountsWhereABatchItselfWillGo) {
  cluster.model.PutMachineOf("m1", 4, 4, {{"disk", "hdd"}});
  Begin(2, "ReserveMemory=1G");
  cluster.model.PutMachineOf("m2", 4, 1, {{"disk", "ssd"}});
  Update("ReserveMemory=1G\nMachineMetadata=disk=ssd", "2");
  Settle();
  EXPECT_EQ(record().state, RolloutState::kPaused);
  EXPECT_THAT(record().reason, HasSubstr("web@2.service goes on"));
  EXPECT_THAT(StoppedOrMoved(), IsEmpty());
}

TEST_F(RolloutPlaces, WaitsForTheRoomThatItsOwnMovesLeave) {
  cluster.model.PutMachineOf("m1", 4, 10);
  Begin(2, "ReserveMemory=5G");
  cluster.model.PutMachineOf("m2", 4, 7);
  Update("ReserveMemory=7G", "2");
  for (int turn = 0; turn < 4; ++turn) Wait(absl::Seconds(2));
  EXPECT_EQ(record().state, RolloutState::kDone);
  EXPECT_THAT(cluster.model.MachinesOf(Web(1)), ElementsAre("m2"));
  EXPECT_THAT(cluster.model.MachinesOf(Web(2)), ElementsAre("m1"));
}

TEST_F(RolloutPlaces, JudgesNoMoveWhileOneThatItHasReachedHasNotGotWhereItGoes) {
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

TEST_F(RolloutPlaces, GoesOnWhereOthersArePushedOutForTheText) {
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

TEST_F(RolloutPlaces, GoesOnWhereTheTextFitsOnceWhatRunsHasEnded) {
  cluster.model.PutMachineOf("m1", 4, 4, {{"disk", "hdd"}});
  Begin(1, "ReserveMemory=4G");
  cluster.model.PutMachineOf("m2", 4, 1, {{"disk", "ssd"}});
  Update("ReserveMemory=1G\nMachineMetadata=disk=ssd");
  EXPECT_THAT(Updated(), IsEmpty());
  cluster.PassUntilIdle();
  EXPECT_THAT(Updated(), ElementsAre(Web(1)));
}

TEST_F(RolloutPlaces, StopsNothingWhereThoseThatFollowHaveNoPlace) {
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

// One on each of three machines, of which m3 has gone: its instance waits for it.
class RolloutWithoutAMachine : public RolloutPlaces {
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
TEST_F(RolloutPlaces, AlsoTriesATextForAUnitThatDoesNotRun) {
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
