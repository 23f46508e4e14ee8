#include "reconcile/engine_reconciler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
using ::testing::SizeIs;
using ::testing::StrEq;

const std::string kSleep = "[Service]\nExecStart=/bin/sleep 1d\n";
std::string Fleet(const std::string& options) { return kSleep + "[X-Fleet]\n" + options + "\n"; }
const std::string kMysql = Fleet("Conflicts=mysql*.service");

TEST(Engine, SpreadsUnitsOverTheMachines) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2", "m3"}) cluster.model.PutMachine(machine);
  for (int i = 0; i < 6; ++i) cluster.model.PutUnit("u" + std::to_string(i) + ".service", kSleep);
  cluster.Settle();
  std::map<std::string, int> count;
  for (int i = 0; i < 6; ++i) {
    const auto machines = cluster.model.MachinesOf("u" + std::to_string(i) + ".service");
    ASSERT_THAT(machines, SizeIs(1));
    ++count[machines[0]];
  }
  EXPECT_EQ(count, (std::map<std::string, int>{{"m1", 2}, {"m2", 2}, {"m3", 2}}));
}

TEST(Engine, AnUnchangedClusterIsWrittenNothing) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.model.PutUnit("g.service", Fleet("Global=true"));
  cluster.model.PutUnit("x.service", Fleet("MachineMetadata=zone=nowhere"));
  cluster.Settle();
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST(Engine, MovesTheUnitsOfALostMachineAndLeavesATombstoneThere) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.Settle();
  const int64_t generation = cluster.model.AssignmentOf("a.service", "m1")->generation;
  cluster.model.PutMachine("m2");
  cluster.Settle();
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
  EXPECT_GT(cluster.model.AssignmentOf("a.service", "m2")->generation, generation);
  ASSERT_NE(cluster.model.AssignmentOf("a.service", "m1"), nullptr);
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1")->state, AssignmentState::kGone);
  // Back again, it gives up its copy, and the unit stays where it is.
  cluster.model.PutMachine("m1");
  cluster.Settle();
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1"), nullptr);
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
}

TEST(Engine, AUnitWithoutAnotherMachineWaitsForItsOwn) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  for (const char* unit : {"mysql.1.service", "mysql.2.service", "mysql.3.service"}) {
    cluster.model.PutUnit(unit, kMysql);
  }
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("mysql.3.service"), IsEmpty());
  EXPECT_THAT(cluster.model.Unit("mysql.3.service").refusal, HasSubstr("onflict"));
  const auto before = cluster.model.MachinesOf("mysql.1.service");
  cluster.model.LoseMachine(before[0]);
  cluster.Settle();
  EXPECT_THAT(cluster.model.Unit("mysql.1.service").refusal, HasSubstr("is gone"));
  cluster.model.PutMachine(before[0]);
  cluster.Settle();
  EXPECT_EQ(cluster.model.MachinesOf("mysql.1.service"), before);
  EXPECT_EQ(cluster.model.Unit("mysql.1.service").refusal, "");
}

TEST(Engine, ARefusedUnitIsPlacedWhenAMachineComes) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", Fleet("MachineMetadata=disk=ssd"));
  cluster.Settle();
  EXPECT_NE(cluster.model.Unit("a.service").refusal, "");
  cluster.model.PutMachine("m2", {{"disk", "ssd"}});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
  EXPECT_EQ(cluster.model.Unit("a.service").refusal, "");
}

TEST(Engine, ARefusedUnitIsPlacedWhenWhatItConflictsWithEnds) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("mysql.1.service", kMysql);
  cluster.model.PutUnit("mysql.2.service", kMysql);
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("mysql.2.service"), IsEmpty());
  cluster.model.DestroyUnit("mysql.1.service");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("mysql.2.service"), ElementsAre("m1"));
}

TEST(Engine, WaitsForTheOldMachineToReportStopped) {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"disk", "ssd"}});
  cluster.model.PutUnit("a.service", Fleet("MachineMetadata=disk=ssd"));
  cluster.Settle();
  cluster.model.PutMachine("m2", {{"disk", "ssd"}});
  cluster.model.PutMachine("m1", {{"disk", "hdd"}});
  while (cluster.Pass() > 0) {
  }
  // A tombstone with the target reserved, and nothing on the target yet.
  const Assignment* tombstone = cluster.model.AssignmentOf("a.service", "m1");
  ASSERT_NE(tombstone, nullptr);
  EXPECT_EQ(tombstone->state, AssignmentState::kGone);
  EXPECT_EQ(tombstone->next_machine, "m2");
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), IsEmpty());
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1"), nullptr);
}

TEST(Engine, ADestroyedUnitIsForgottenOnlyWhenItHasStopped) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.Settle();
  cluster.model.DestroyUnit("a.service");
  while (cluster.Pass() > 0) {
  }
  ASSERT_NE(cluster.model.AssignmentOf("a.service", "m1"), nullptr);
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1")->state, AssignmentState::kGone);
  cluster.Settle();
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1"), nullptr);
  EXPECT_TRUE(cluster.model.view()->states.empty());
}

TEST(Engine, AUnitCreatedAgainUnderItsNameStartsAfterTheOldOneIsGone) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.Settle();
  const std::string old_uid = cluster.model.Unit("a.service").uid;
  cluster.model.DestroyUnit("a.service");
  cluster.model.PutUnit("a.service", kSleep);
  while (cluster.Pass() > 0) {
  }
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1")->uid, old_uid);
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1")->state, AssignmentState::kGone);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
  EXPECT_NE(cluster.model.AssignmentOf("a.service", "m1")->uid, old_uid);
}

TEST(Engine, StopKeepsTheUnitLoadedWhereItIs) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("a.service", kSleep);
  cluster.Settle();
  const auto before = cluster.model.MachinesOf("a.service");
  cluster.model.SetDesired("a.service", DesiredState::kLoaded);
  cluster.Settle();
  EXPECT_EQ(cluster.model.MachinesOf("a.service"), before);
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", before[0])->state, AssignmentState::kLoaded);
}

TEST(Engine, EachChangeOfTheDesiredStateIsANewGeneration) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep, DesiredState::kLoaded);
  cluster.Settle();
  const int64_t loaded = cluster.model.AssignmentOf("a.service", "m1")->generation;
  cluster.model.SetDesired("a.service", DesiredState::kLaunched);
  while (cluster.Pass() > 0) {
  }
  // What was reported of it as loaded must not be read as the result of its start.
  EXPECT_GT(cluster.model.AssignmentOf("a.service", "m1")->generation, loaded);
}

TEST(Engine, RestartAndNewTextAreNewGenerationsInPlace) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("a.service", kSleep);
  cluster.Settle();
  const auto before = cluster.model.MachinesOf("a.service");
  int64_t generation = cluster.model.AssignmentOf("a.service", before[0])->generation;
  cluster.model.Restart("a.service");
  cluster.Settle();
  EXPECT_GT(cluster.model.AssignmentOf("a.service", before[0])->generation, generation);
  generation = cluster.model.AssignmentOf("a.service", before[0])->generation;
  cluster.model.PutUnit("a.service", kSleep + "# changed\n");
  cluster.Settle();
  EXPECT_EQ(cluster.model.MachinesOf("a.service"), before);
  EXPECT_GT(cluster.model.AssignmentOf("a.service", before[0])->generation, generation);
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", before[0])->content_hash,
            cluster.model.Unit("a.service").content_hash);
}

TEST(Engine, AGlobalUnitRunsOnEveryEligibleMachineAlsoOnLaterOnes) {
  Cluster cluster;
  cluster.model.PutMachine("m1", {{"role", "web"}});
  cluster.model.PutMachine("m2", {{"role", "db"}});
  cluster.model.PutUnit("g.service", Fleet("Global=true\nMachineMetadata=role=web"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("g.service"), ElementsAre("m1"));
  cluster.model.PutMachine("m3", {{"role", "web"}});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("g.service"), ElementsAre("m1", "m3"));
  cluster.model.PutMachine("m1", {{"role", "db"}});
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("g.service"), ElementsAre("m3"));
}

TEST(Engine, ARefusedUnitThatBecomesGlobalIsWrittenOnce) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("g.service", Fleet("MachineMetadata=zone=nowhere"));
  cluster.Settle();
  ASSERT_NE(cluster.model.Unit("g.service").refusal, "");
  cluster.model.PutUnit("g.service", Fleet("Global=true"));
  cluster.engine.Apply(cluster.model.TakeChange());
  int puts = 0;
  for (const Decision& decision : cluster.engine.Decide(cluster.now)) {
    for (const Write& write : decision.writes) {
      if (std::holds_alternative<reconcile::PutUnit>(write)) ++puts;
    }
    cluster.engine.OnCommitted(decision.id, cluster.model.Commit(decision));
  }
  EXPECT_LE(puts, 1);
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("g.service"), ElementsAre("m1", "m2"));
  EXPECT_EQ(cluster.model.Unit("g.service").refusal, "");
}

TEST(Engine, AGlobalUnitComesWhereWhatItConflictsWithHasGone) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("shy.service", Fleet("MachineID=m2\nConflicts=every.*"));
  cluster.Settle();
  cluster.model.PutUnit("every.service", Fleet("Global=true"));
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("every.service"), ElementsAre("m1"));
  cluster.model.DestroyUnit("shy.service");
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("every.service"), ElementsAre("m1", "m2"));
}

TEST(Engine, AChainOfFollowersIsNotRefusedWhileItsHeadIsBeingPlaced) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("a.service", Fleet("MachineOf=b.service"));
  cluster.model.PutUnit("b.service", Fleet("MachineOf=c.service"));
  cluster.model.PutUnit("c.service", kSleep);
  cluster.Settle();
  EXPECT_EQ(cluster.model.MachinesOf("a.service"), cluster.model.MachinesOf("c.service"));
  EXPECT_THAT(cluster.events, Not(Contains(Field(&EventEntry::kind, StrEq("refused")))));
}

TEST(Engine, AMoveThatIsNotWantedAnyMoreReservesNothing) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("v.service", Fleet("MachineID=m1"));
  cluster.Settle();
  cluster.model.PutUnit("v.service", Fleet("MachineID=m2"));
  while (cluster.Pass() > 0) {
  }
  ASSERT_EQ(cluster.model.AssignmentOf("v.service", "m1")->next_machine, "m2");
  cluster.model.DestroyUnit("v.service");
  cluster.model.LoseMachine("m1");
  cluster.model.PutUnit("enemy.service", Fleet("MachineID=m2\nConflicts=v.service"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("enemy.service"), ElementsAre("m2"));
}

TEST(Engine, AUnitBehindARefusedOneIsJudgedWhenTheHeadOfTheChainHasLanded) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("lead.service", Fleet("MachineID=m1"));
  cluster.model.PutUnit("mid.service", Fleet("MachineOf=lead.service\nMachineID=m2"));
  cluster.model.PutUnit("end.service", Fleet("MachineOf=mid.service"), DesiredState::kInactive);
  cluster.Settle();
  cluster.model.Restart("lead.service");
  cluster.model.SetDesired("end.service", DesiredState::kLaunched);
  cluster.Settle();
  EXPECT_NE(cluster.model.Unit("end.service").refusal, "");
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST(Engine, AUnitFollowsTheOneItNames) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2", "m3"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("a-backup.service", Fleet("MachineOf=db.service"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.Unit("a-backup.service").refusal, HasSubstr("db.service"));
  cluster.model.PutUnit("db.service", kSleep);
  cluster.Settle();
  EXPECT_EQ(cluster.model.MachinesOf("a-backup.service"), cluster.model.MachinesOf("db.service"));
  const std::string lost = cluster.model.MachinesOf("db.service")[0];
  cluster.model.LoseMachine(lost);
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("db.service"), SizeIs(1));
  EXPECT_NE(cluster.model.MachinesOf("db.service")[0], lost);
  EXPECT_EQ(cluster.model.MachinesOf("a-backup.service"), cluster.model.MachinesOf("db.service"));
}

TEST(Engine, ALeavingMachinesUnitsMoveOnceTheyAreReportedGone) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.model.PutMachine("m1", {}, /*leaving=*/true);
  cluster.Pass();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1"), nullptr);
}

TEST(Engine, ANewLeaderGivesMachinesItHasNotSeenOneTtlToComeBack) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutMachine("m2");
  cluster.model.PutUnit("a.service", Fleet("MachineID=m1"));
  cluster.model.PutUnit("b.service", kSleep);
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("b.service"), ElementsAre("m2"));
  cluster.model.LoseMachine("m2");
  EngineReconciler successor(EngineSettings{});
  successor.Apply(cluster.model.ReadAnew());
  successor.BeginLeading(cluster.now);
  EXPECT_THAT(successor.Decide(cluster.now), IsEmpty());
  EXPECT_EQ(successor.NextWakeup(), cluster.now + absl::Seconds(10));
  const auto decisions = successor.Decide(cluster.now + absl::Seconds(10));
  ASSERT_THAT(decisions, SizeIs(1));
  EXPECT_EQ(decisions[0].units[0], "b.service");
  EXPECT_EQ(decisions[0].events[0].kind, "moved");
}

TEST(Engine, AUnitWhoseRecordCannotBeReadIsNotStopped) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.Settle();
  cluster.model.PutUnreadableUnit("a.service");
  EXPECT_EQ(cluster.Pass(), 0u);
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST(Engine, AStaleDecisionIsRejectedAndJudgedAgain) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.engine.Apply(cluster.model.TakeChange());
  cluster.model.PutUnit("a.service", kSleep);
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_THAT(decisions, SizeIs(1));
  // Meanwhile the user changes his mind.
  cluster.model.SetDesired("a.service", DesiredState::kInactive);
  EXPECT_EQ(cluster.model.Commit(decisions[0]), 0);
  cluster.engine.OnRejected(decisions[0].id, cluster.model.revision());
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), IsEmpty());
}

TEST(Engine, ARejectionThatComesAfterItsCauseIsJudgedAtOnce) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_THAT(decisions, SizeIs(1));
  cluster.model.SetDesired("a.service", DesiredState::kLoaded);
  ASSERT_EQ(cluster.model.Commit(decisions[0]), 0);
  // The event is in the view before the answer is here; nothing else will ever happen.
  cluster.engine.Apply(cluster.model.TakeChange());
  cluster.engine.OnRejected(decisions[0].id, cluster.model.revision());
  EXPECT_THAT(cluster.engine.Decide(cluster.now), SizeIs(1));
}

TEST(Engine, AUnitDoesNotGoBackToAMachineInTheTurnThatForgetsItsTombstoneThere) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  ASSERT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m2"));
  // The next leader sees at once that m1 is back and has given the unit up, and that m2 is lost.
  cluster.model.PutMachine("m1");
  cluster.model.RunAgent("m1");
  cluster.model.LoseMachine("m2");
  cluster.engine.Apply(cluster.model.TakeChange());
  std::set<std::string> touched;
  for (const Decision& decision : cluster.engine.Decide(cluster.now)) {
    for (const Write& write : decision.writes) {
      std::string key;
      if (const auto* put = std::get_if<reconcile::PutAssignment>(&write)) key = put->machine;
      if (const auto* removed = std::get_if<DeleteAssignment>(&write)) key = removed->machine;
      EXPECT_TRUE(touched.insert(key).second) << key;
    }
    cluster.engine.OnCommitted(decision.id, cluster.model.Commit(decision));
  }
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST(Engine, AMachineThatCameBackKeepsTheUnitsItHadReportedGone) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.model.PutMachine("m1", {}, /*leaving=*/true);
  cluster.model.RunAgent("m1");
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_THAT(decisions, SizeIs(1));
  cluster.model.PutMachine("m1");  // fleetd was started again meanwhile
  EXPECT_EQ(cluster.model.Commit(decisions[0]), 0);
}

TEST(Engine, AStrayUnitIsStoppedBeforeANewOneOfItsNameIsPlaced) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.Report("m1", "a.service",
                       {.uid = "lost", .generation = 2, .active_state = "active"});
  cluster.model.PutUnit("a.service", kSleep);
  while (cluster.Pass() > 0) {
  }
  ASSERT_NE(cluster.model.AssignmentOf("a.service", "m1"), nullptr);
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1")->uid, "lost");
  EXPECT_EQ(cluster.model.AssignmentOf("a.service", "m1")->state, AssignmentState::kGone);
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), IsEmpty());
  cluster.Settle();
  EXPECT_THAT(cluster.model.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST(Engine, ARegistryThatWentBackIsJudgedAnewAfterOneTtl) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_THAT(decisions, SizeIs(1));
  cluster.engine.OnCommitted(decisions[0].id, 1'000'000);  // of a history that is gone
  ClusterView older = *cluster.model.view();
  older.revision = 1;
  cluster.engine.Apply({std::make_shared<const ClusterView>(older), {}, true});
  EXPECT_THAT(cluster.engine.Decide(cluster.now), IsEmpty());
  EXPECT_EQ(cluster.engine.NextWakeup(), cluster.now + absl::Seconds(10));
  EXPECT_THAT(cluster.engine.Decide(cluster.now + absl::Seconds(9)), IsEmpty());
  EXPECT_THAT(cluster.engine.Decide(cluster.now + absl::Seconds(10)), SizeIs(1));
}

TEST(Engine, ARegistryWithAnotherHistoryIsJudgedAfterMachinesHaveSaidWhatTheyRun) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  cluster.model.PutUnit("a.service", kSleep);
  cluster.model.PutUnit("b.service", kSleep);
  cluster.Settle();
  const std::string runs_on = cluster.model.MachinesOf("a.service")[0];
  const UnitRecord record = cluster.model.Unit("a.service");
  // The backup was made before the unit was placed; b.service was unwanted then.
  ClusterView restored = *cluster.model.view();
  restored.assignments.Erase(UnitOnMachine{"a.service", runs_on});
  restored.states.Erase(UnitOnMachine{"a.service", runs_on});
  restored.units.Erase("b.service");
  restored.revision += 100;
  ViewChange change = {std::make_shared<const ClusterView>(restored), {}, true};
  change.other_history = true;
  cluster.engine.Apply(change);
  cluster.engine.BeginLeading(cluster.now);
  EXPECT_THAT(cluster.engine.Decide(cluster.now), IsEmpty());  // stops neither
  restored.states.Set(
      UnitOnMachine{"a.service", runs_on},
      {StateReport{.uid = record.uid, .generation = 7, .content_hash = record.content_hash}});
  ++restored.revision;
  cluster.engine.Apply({std::make_shared<const ClusterView>(restored),
                        {{Change::Record::kState, "a.service", runs_on}}});
  const auto decisions = cluster.engine.Decide(cluster.now + absl::Seconds(10));
  ASSERT_THAT(decisions, SizeIs(2));
  EXPECT_EQ(decisions[0].events[0].kind, "adopted");
  EXPECT_EQ(decisions[0].events[0].machine, runs_on);
  EXPECT_EQ(decisions[1].events[0].kind, "stopped");
}

TEST(Engine, AUnitInFlightIsNotDecidedAgain) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.engine.Apply(cluster.model.TakeChange());
  ASSERT_THAT(cluster.engine.Decide(cluster.now), SizeIs(1));
  cluster.engine.JudgeAll();
  EXPECT_THAT(cluster.engine.Decide(cluster.now), IsEmpty());
}

TEST(Engine, APlacementRestsOnTheUnitTheMachineAndItsSettings) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_THAT(decisions, SizeIs(1));
  std::set<Guard::Kind> kinds;
  for (const Guard& guard : decisions[0].guards) kinds.insert(guard.kind);
  EXPECT_TRUE(kinds.contains(Guard::Kind::kUnit));
  EXPECT_TRUE(kinds.contains(Guard::Kind::kMachineRecord));
  EXPECT_TRUE(kinds.contains(Guard::Kind::kSettings));
}

TEST(Engine, EveryMoveAndRefusalHasAnEventWithItsReason) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  cluster.model.PutUnit("a.service", kSleep);
  cluster.model.PutUnit("x.service", Fleet("MachineMetadata=zone=c"));
  cluster.Settle();
  cluster.model.PutMachine("m2");
  cluster.model.LoseMachine("m1");
  cluster.Settle();
  std::set<std::string> kinds;
  for (const EventEntry& event : cluster.events) {
    EXPECT_NE(event.reason, "") << event.kind << " " << event.unit;
    kinds.insert(event.kind);
  }
  EXPECT_TRUE(kinds.contains("placed"));
  EXPECT_TRUE(kinds.contains("refused"));
  EXPECT_TRUE(kinds.contains("moved"));
}

TEST(Engine, AReadFromScratchChangesNothing) {
  Cluster cluster;
  for (const char* machine : {"m1", "m2"}) cluster.model.PutMachine(machine);
  for (int i = 0; i < 5; ++i) cluster.model.PutUnit("u" + std::to_string(i) + ".service", kSleep);
  cluster.Settle();
  cluster.engine.Apply(cluster.model.ReadAnew());
  EXPECT_THAT(cluster.engine.Decide(cluster.now), IsEmpty());
}

}  // namespace
}  // namespace fleet::reconcile
