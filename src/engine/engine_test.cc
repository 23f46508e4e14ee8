#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/features.h"
#include "registry/codec.h"
#include "registry/mirror.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"

namespace fleet::engine {
namespace {

using reconcile::EngineSettings;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const registry::Keys kKeys("/fleet/");

// One engine with its mirror, as fleetd wires them.
struct Node {
  Node(registry::testing::FakeStore* store, Executor* executor, const std::string& machine,
       EngineSettings settings)
      : engine(store, executor, kKeys,
               {.machine_id = machine, .settings = std::move(settings), .events_max = 5}),
        mirror(store, executor, kKeys,
               [this](const ViewChange& change) { engine.OnViewChange(change); }) {
    mirror.SetHealthListener(
        [this](const absl::Status& health) { engine.OnRegistryHealth(health); });
    mirror.Start();
  }
  Engine engine;
  registry::Mirror mirror;
};

class EngineTest : public ::testing::Test {
 protected:
  std::unique_ptr<Node> Lead(const std::string& machine, const EngineSettings& settings = {}) {
    auto node = std::make_unique<Node>(&store_, &executor_, machine, settings);
    executor_.RunUntilIdle();
    node->engine.OnLease(Grant());
    executor_.Advance(absl::Milliseconds(10));
    return node;
  }
  store::LeaseId Grant() {
    store_.LeaseGrant(absl::Seconds(10), [this](auto granted) { lease_ = granted->id; });
    executor_.RunUntilIdle();
    return lease_;
  }
  void PutMachine(const std::string& id) {
    store_.Set(kKeys.Machine(id), registry::Encode(MachineRecord{}));
  }
  void EnableFeature(const std::string& feature) {
    store_.Set(kKeys.Cluster("features"), registry::Encode(FeaturesRecord{.enabled = {feature}}));
  }
  void PutUnit(const std::string& name) {
    const UnitFile file = *UnitFile::Parse("[Service]\nExecStart=/bin/true\n");
    store_.Set(kKeys.Content(file.hash()),
               registry::Encode(Content{std::make_shared<const UnitFile>(file)}));
    store_.Set(kKeys.Unit(name),
               registry::Encode(UnitRecord{
                   .uid = name, .desired = DesiredState::kLaunched, .content_hash = file.hash()}));
  }
  std::vector<std::string> KeysBelow(const std::string& prefix) {
    std::vector<std::string> keys;
    for (const auto& [key, kv] : store_.contents()) {
      if (key.starts_with("/fleet/" + prefix)) keys.push_back(key.substr(7));
    }
    return keys;
  }
  // "machine-joined m1", of all events that are in the log.
  std::vector<std::string> Told() {
    std::vector<std::string> told;
    for (const std::string& key : KeysBelow("events/")) {
      const auto record = registry::DecodeEvent(store_.contents().at("/fleet/" + key).value);
      for (const EventEntry& event : record->entries) {
        told.push_back(event.kind + " " + (event.unit.empty() ? event.machine : event.unit));
      }
    }
    return told;
  }
  void Settle() { executor_.Advance(absl::Seconds(1)); }

  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  store::LeaseId lease_ = 0;
};

TEST_F(EngineTest, PlacesUnitsAndSaysWhy) {
  PutMachine("m1");
  const auto node = Lead("m1");
  EXPECT_TRUE(node->engine.leads());
  PutUnit("a.service");
  Settle();
  EXPECT_THAT(KeysBelow("assignments/"), ElementsAre("assignments/m1/a.service"));
  const auto events = KeysBelow("events/");
  ASSERT_EQ(events.size(), 1u);
  const auto event = registry::DecodeEvent(store_.contents().at("/fleet/" + events[0]).value);
  EXPECT_EQ(event->entries[0].kind, "placed");
}

TEST_F(EngineTest, AnIdleClusterIsWrittenNothing) {
  PutMachine("m1");
  const auto node = Lead("m1");
  PutUnit("a.service");
  Settle();
  const int64_t revision = store_.revision();
  const int ranges = store_.ranges();
  executor_.Advance(absl::Hours(2));  // with its sweeps
  EXPECT_EQ(store_.revision(), revision);
  EXPECT_EQ(store_.ranges(), ranges);
}

TEST_F(EngineTest, OnlyOneLeadsAndTheStandbyTakesOver) {
  PutMachine("m1");
  const auto first = Lead("m1");
  const auto first_lease = lease_;
  const auto second = Lead("m2");
  EXPECT_TRUE(first->engine.leads());
  EXPECT_FALSE(second->engine.leads());
  store_.EndLease(first_lease);
  first->engine.OnLeaseLost();
  Settle();
  EXPECT_FALSE(first->engine.leads());
  EXPECT_TRUE(second->engine.leads());
  PutUnit("a.service");
  Settle();
  EXPECT_THAT(KeysBelow("assignments/"), ElementsAre("assignments/m1/a.service"));
}

// What is enabled may be in records that it would take for something else.
TEST_F(EngineTest, OneThatLacksAFeatureThatIsEnabledLeavesTheLeadToOthers) {
  EnableFeature("teleportation");
  PutMachine("m1");
  const auto older = Lead("m1");
  executor_.Advance(absl::Seconds(9));
  EXPECT_FALSE(older->engine.leads());
  EngineSettings newer;
  newer.features.emplace_back("teleportation");
  const auto other = Lead("m2", newer);
  EXPECT_TRUE(other->engine.leads());
  executor_.Advance(absl::Minutes(1));
  EXPECT_FALSE(older->engine.leads());
  other->engine.Resign([] {});
  executor_.Advance(absl::Seconds(9));
  EXPECT_FALSE(older->engine.leads());
}

TEST_F(EngineTest, OneThatLacksAFeatureGivesUpTheLeadThatItHadBeforeACrash) {
  store_.Set(kKeys.Leader(), registry::Encode(LeaderRecord{.machine = "m1", .epoch = "old"}));
  EnableFeature("teleportation");
  EngineSettings newer;
  newer.features.emplace_back("teleportation");
  const auto other = Lead("m2", newer);
  EXPECT_FALSE(other->engine.leads());
  const auto older = Lead("m1");
  Settle();
  EXPECT_TRUE(other->engine.leads());
}

// Otherwise nothing would move off a lost machine.
TEST_F(EngineTest, OneThatLacksAFeatureLeadsIfNobodyElseDoes) {
  EnableFeature("teleportation");
  PutMachine("m1");
  const auto older = Lead("m1");
  PutUnit("a.service");
  executor_.Advance(absl::Seconds(11));
  EXPECT_TRUE(older->engine.leads());
  EXPECT_THAT(KeysBelow("assignments/"), ElementsAre("assignments/m1/a.service"));
}

TEST_F(EngineTest, WritesWhichFeaturesAllMachinesKnowOnceItHasLedForATtl) {
  store_.Set(kKeys.Machine("m1"), registry::Encode(MachineRecord{.features = KnownFeatures()}));
  store_.Set(kKeys.Cluster("id"), registry::Encode(ClusterIdRecord{.id = "id"}));
  const auto node = Lead("m1");
  EXPECT_THAT(KeysBelow("cluster/features"), IsEmpty());
  executor_.Advance(absl::Seconds(10));
  const auto& stored = store_.contents().at(kKeys.Cluster("features")).value;
  EXPECT_EQ(registry::DecodeFeatures(stored)->enabled, KnownFeatures());
  const int64_t revision = store_.revision();
  executor_.Advance(absl::Minutes(10));
  EXPECT_EQ(store_.revision(), revision);
}

TEST_F(EngineTest, WritesThemAtOnceInANewCluster) {
  store_.Set(kKeys.Machine("m1"), registry::Encode(MachineRecord{.features = KnownFeatures()}));
  const auto node = Lead("m1");
  EXPECT_THAT(KeysBelow("cluster/features"), SizeIs(1));
}

TEST_F(EngineTest, ACleanStopHandsTheLeadOverAtOnce) {
  const auto first = Lead("m1");
  const auto second = Lead("m2");
  bool done = false;
  first->engine.Resign([&] { done = true; });
  Settle();
  EXPECT_TRUE(done);
  EXPECT_FALSE(first->engine.leads());
  EXPECT_TRUE(second->engine.leads());
}

TEST_F(EngineTest, ADeposedLeaderCommitsNothing) {
  PutMachine("m1");
  const auto deposed = Lead("m1");
  PutUnit("a.service");
  // Before its decision arrives another engine has taken the lead; it does not know yet.
  store_.BeforeCommit([&] {
    store_.Set(kKeys.Leader(), registry::Encode(LeaderRecord{.machine = "m2", .epoch = "x"}));
  });
  Settle();
  EXPECT_THAT(KeysBelow("assignments/"), IsEmpty());
  EXPECT_FALSE(deposed->engine.leads());
}

TEST_F(EngineTest, ARestartedFleetdTakesItsOwnMachinesRecordOver) {
  store_.Set(kKeys.Leader(), registry::Encode(LeaderRecord{.machine = "m1", .epoch = "old"}));
  const auto node = Lead("m1");
  Settle();
  EXPECT_TRUE(node->engine.leads());
}

TEST_F(EngineTest, ACommitOfUnknownFateIsVoidedAndDecidedAgain) {
  PutMachine("m1");
  const auto node = Lead("m1");
  const int64_t fence = store_.contents().at(kKeys.Leader()).mod_revision;
  store_.FailNext(absl::DeadlineExceededError("no answer"), /*takes_effect=*/false);
  PutUnit("a.service");
  Settle();
  EXPECT_GT(store_.contents().at(kKeys.Leader()).mod_revision, fence);
  EXPECT_THAT(KeysBelow("assignments/"), ElementsAre("assignments/m1/a.service"));
}

// A rewrite of the leader's record that failed voids nothing, whatever else the view shows.
TEST_F(EngineTest, NothingIsDecidedBeforeWhatIsOfUnknownFateIsVoid) {
  PutMachine("m1");
  const auto node = Lead("m1");
  const int64_t fence = store_.contents().at(kKeys.Leader()).mod_revision;
  store_.FailNext(absl::DeadlineExceededError("no answer"), /*takes_effect=*/false);
  store_.FailNext(absl::DeadlineExceededError("no answer"), /*takes_effect=*/false);
  PutUnit("a.service");
  executor_.Advance(absl::Milliseconds(50));
  PutUnit("b.service");
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(store_.contents().at(kKeys.Leader()).mod_revision, fence);
  EXPECT_THAT(KeysBelow("assignments/"), IsEmpty());
  Settle();
  EXPECT_EQ(KeysBelow("assignments/").size(), 2u);
}

TEST_F(EngineTest, ACommitWhoseAnswerWasLostIsNotRepeated) {
  PutMachine("m1");
  PutMachine("m2");
  const auto node = Lead("m1");
  store_.FailNext(absl::DeadlineExceededError("no answer"), /*takes_effect=*/true);
  PutUnit("a.service");
  Settle();
  EXPECT_EQ(KeysBelow("assignments/").size(), 1u);
}

TEST_F(EngineTest, AFullStoreIsTriedAgainWithoutGivingUpTheLead) {
  PutMachine("m1");
  const auto node = Lead("m1");
  const int64_t fence = store_.contents().at(kKeys.Leader()).mod_revision;
  for (int i = 0; i < 3; ++i) store_.FailNext(absl::ResourceExhaustedError("database is full"));
  PutUnit("a.service");
  const int commits = store_.commits();
  executor_.Advance(absl::Milliseconds(900));
  EXPECT_LE(store_.commits() - commits, 3);  // not in a hot loop
  executor_.Advance(absl::Seconds(5));
  EXPECT_THAT(KeysBelow("assignments/"), ElementsAre("assignments/m1/a.service"));
  EXPECT_EQ(store_.contents().at(kKeys.Leader()).mod_revision, fence);
}

TEST_F(EngineTest, VoidingAWriteDoesNotEndTheReign) {
  PutMachine("m1");
  const auto node = Lead("m1");
  PutUnit("a.service");
  Settle();
  const auto before = KeysBelow("events/");
  store_.FailNext(absl::DeadlineExceededError("no answer"));
  PutUnit("b.service");
  Settle();
  const auto after = KeysBelow("events/");
  ASSERT_GT(after.size(), before.size());
  // No event was written over.
  const auto first = registry::DecodeEvent(store_.contents().at("/fleet/" + before[0]).value);
  EXPECT_EQ(first->entries[0].unit, "a.service");
}

TEST_F(EngineTest, AnEngineThatResignsWhileItTakesTheLeadLeavesNoRecord) {
  auto node = std::make_unique<Node>(&store_, &executor_, "m1", EngineSettings{});
  executor_.RunUntilIdle();
  const auto lease = Grant();
  node->engine.OnLease(lease);  // the campaign is on its way
  bool done = false;
  node->engine.Resign([&] { done = true; });
  Settle();
  EXPECT_TRUE(done);
  EXPECT_FALSE(node->engine.leads());
  EXPECT_FALSE(store_.contents().contains(kKeys.Leader()));
}

TEST_F(EngineTest, TextsThatNothingRefersToAreRemoved) {
  PutMachine("m1");
  const auto node = Lead("m1");
  PutUnit("a.service");
  Settle();
  store_.Set(kKeys.Content("unused"), registry::Encode(Content{std::make_shared<const UnitFile>(
                                          *UnitFile::Parse("[Service]\nExecStart=/bin/false\n"))}));
  ASSERT_EQ(KeysBelow("contents/").size(), 2u);
  executor_.Advance(absl::Hours(1));
  EXPECT_EQ(KeysBelow("contents/").size(), 1u);
  EXPECT_FALSE(store_.contents().contains(kKeys.Content("unused")));
}

TEST_F(EngineTest, EventsAreBoundedOverLeadersToo) {
  PutMachine("m1");
  auto node = Lead("m1");
  for (int i = 0; i < 12; ++i) {
    PutUnit("u" + std::to_string(i) + ".service");
    Settle();
  }
  EXPECT_EQ(KeysBelow("events/").size(), 5u);
  const auto before = KeysBelow("events/");
  node->engine.Resign([] {});
  Settle();
  node = Lead("m2");
  PutUnit("v.service");
  Settle();
  EXPECT_EQ(KeysBelow("events/").size(), 5u);
  EXPECT_GT(KeysBelow("events/").back(), before.back());  // in the order of time
}

TEST_F(EngineTest, TheFirstLeaderGivesTheClusterAnIdThatStays) {
  auto node = Lead("m1");
  const std::string id = store_.contents().at(kKeys.Cluster("id")).value;
  node->engine.Resign([] {});
  Settle();
  node = Lead("m2");
  EXPECT_EQ(store_.contents().at(kKeys.Cluster("id")).value, id);
}

TEST_F(EngineTest, ARestoredRegistryIsNamedAnew) {
  PutMachine("m1");
  const auto node = Lead("m1");
  PutUnit("a.service");
  Settle();
  const std::string id = store_.contents().at(kKeys.Cluster("id")).value;
  const int64_t backup = store_.revision();
  PutUnit("b.service");
  Settle();
  store_.RestoreTo(backup);
  Settle();
  const std::string other = store_.contents().at(kKeys.Cluster("id")).value;
  EXPECT_NE(other, id);
  store_.BreakWatches(absl::UnavailableError("connection lost"));
  PutUnit("c.service");
  Settle();
  EXPECT_EQ(store_.contents().at(kKeys.Cluster("id")).value, other);
  // The same backup once more, which has the first id.
  store_.RestoreTo(backup);
  Settle();
  EXPECT_NE(store_.contents().at(kKeys.Cluster("id")).value, id);
  EXPECT_NE(store_.contents().at(kKeys.Cluster("id")).value, other);
}

// What is assigned in the restored registry is what was then: machines run other units by now.
TEST_F(EngineTest, InARestoredRegistryNothingIsDecidedForOneTtl) {
  PutMachine("m1");
  const auto node = Lead("m1");
  Settle();
  const int64_t backup = store_.revision();
  PutUnit("a.service");
  Settle();
  ASSERT_THAT(KeysBelow("assignments/"), ElementsAre("assignments/m1/a.service"));
  store_.RestoreTo(backup);
  for (int i = 0; i < 20; ++i) PutMachine("m2");  // it overtakes the old one
  PutUnit("a.service");
  executor_.Advance(absl::Seconds(5));
  EXPECT_TRUE(node->engine.leads());
  EXPECT_THAT(KeysBelow("assignments/"), IsEmpty());
  // The unit runs already, and is adopted where it does.
  const UnitRecord record =
      *registry::DecodeUnit(store_.contents().at(kKeys.Unit("a.service")).value);
  store_.Set(kKeys.State("m2", "a.service"),
             registry::Encode(StateReport{.uid = record.uid,
                                          .generation = 3,
                                          .content_hash = record.content_hash,
                                          .active_state = "active"}));
  executor_.Advance(absl::Seconds(10));
  EXPECT_THAT(KeysBelow("assignments/"), ElementsAre("assignments/m2/a.service"));
}

TEST_F(EngineTest, ALeadersRecordThatCannotBeReadIsReplaced) {
  PutMachine("m1");
  store_.Set(kKeys.Leader(), "\x0a\xff");
  const auto node = Lead("m1");
  Settle();
  EXPECT_TRUE(node->engine.leads());
  store_.Set(kKeys.Leader(), "\x0a\xff");
  PutUnit("a.service");
  Settle();
  EXPECT_TRUE(node->engine.leads());
  EXPECT_THAT(KeysBelow("assignments/"), ElementsAre("assignments/m1/a.service"));
}

TEST_F(EngineTest, AGapInTheWatchIsNoOtherHistory) {
  PutMachine("m1");
  const auto node = Lead("m1");
  Settle();
  store_.BreakWatches(absl::OutOfRangeError("compacted"));
  PutUnit("a.service");
  store_.Compact(store_.revision());
  executor_.Advance(absl::Seconds(3));
  EXPECT_THAT(KeysBelow("assignments/"), ElementsAre("assignments/m1/a.service"));
}

TEST_F(EngineTest, TheLogSaysWhatHappensToMachinesAndThenRests) {
  PutMachine("m1");
  const auto node = Lead("m1");
  Settle();
  EXPECT_THAT(Told(), IsEmpty());  // it was there before
  PutMachine("m2");
  Settle();
  store_.Set(kKeys.Settings("m2"), registry::Encode(MachineSettings{.cordoned = true}));
  Settle();
  EXPECT_THAT(Told(), ElementsAre("machine-joined m2", "cordoned m2"));
  const int64_t revision = store_.revision();
  executor_.Advance(absl::Hours(2));
  EXPECT_EQ(store_.revision(), revision);
}

TEST_F(EngineTest, ManyMachinesThatComeAtOnceAreToldTogether) {
  const auto node = Lead("m1");
  Settle();
  const int before = store_.commits();
  for (int i = 0; i < 300; ++i) {
    PutMachine("n" + std::to_string(i));
    executor_.Advance(absl::Milliseconds(5));
  }
  Settle();
  EXPECT_LE(store_.commits() - before, 4);
  EXPECT_THAT(Told(), SizeIs(300));
}

TEST_F(EngineTest, AMachineThatTakesTheLeaderWithItIsToldByTheNextOne) {
  PutMachine("m1");
  PutMachine("m2");
  const auto first = Lead("m1");
  const auto first_lease = lease_;
  const auto second = Lead("m2");
  const auto third = Lead("m3");
  Settle();
  store_.Erase(kKeys.Machine("m1"));
  first->engine.OnLeaseLost();  // it hears of nothing any more
  executor_.Advance(absl::Milliseconds(500));
  EXPECT_THAT(Told(), IsEmpty());
  store_.EndLease(first_lease);
  Settle();
  ASSERT_NE(second->engine.leads(), third->engine.leads());
  EXPECT_THAT(Told(), ElementsAre("machine-lost m1"));
  // Who has not told it leaves it at that.
  (second->engine.leads() ? second : third)->engine.Resign([] {});
  Settle();
  EXPECT_TRUE(second->engine.leads() || third->engine.leads());
  EXPECT_THAT(Told(), ElementsAre("machine-lost m1"));
}

TEST_F(EngineTest, WhatHasHappenedToAMachineIsRecordedOnceWhateverBecomesOfTheFirstTry) {
  const auto node = Lead("m1");
  Settle();
  store_.FailNext(absl::DeadlineExceededError("no answer"), /*takes_effect=*/true);
  PutMachine("m2");
  executor_.Advance(absl::Seconds(3));
  store_.FailNext(absl::DeadlineExceededError("no answer"), /*takes_effect=*/false);
  PutMachine("m3");
  executor_.Advance(absl::Seconds(3));
  store_.FailNext(absl::ResourceExhaustedError("database is full"));
  PutMachine("m4");
  executor_.Advance(absl::Seconds(3));
  EXPECT_THAT(Told(), ElementsAre("machine-joined m2", "machine-joined m3", "machine-joined m4"));
  for (const std::string& key : KeysBelow("events/")) {
    const store::KeyValue& kv = store_.contents().at("/fleet/" + key);
    EXPECT_EQ(kv.mod_revision, kv.create_revision) << key;  // written once
  }
  const int commits = store_.commits();
  executor_.Advance(absl::Minutes(1));
  EXPECT_EQ(store_.commits(), commits);
}

TEST_F(EngineTest, WhatHasHappenedToAMachineIsRecordedThoughWhatIsUnderWayWasVoided) {
  PutMachine("m1");
  const auto node = Lead("m1");
  Settle();
  const int64_t fence = store_.contents().at(kKeys.Leader()).mod_revision;
  store_.FailNext(absl::UnavailableError("not reached"));
  PutMachine("m2");
  executor_.Advance(absl::Milliseconds(10));
  store_.FailNext(absl::DeadlineExceededError("no answer"));
  PutUnit("a.service");
  executor_.Advance(absl::Seconds(3));
  EXPECT_GT(store_.contents().at(kKeys.Leader()).mod_revision, fence);
  EXPECT_THAT(Told(), ElementsAre("machine-joined m2", "placed a.service"));
}

TEST_F(EngineTest, ADeposedLeaderTellsNothing) {
  const auto deposed = Lead("m1");
  Settle();
  // Before its record arrives another engine has taken the lead; it does not know yet.
  store_.BeforeCommit([&] {
    store_.Set(kKeys.Leader(), registry::Encode(LeaderRecord{.machine = "m2", .epoch = "x"}));
  });
  PutMachine("m3");
  executor_.Advance(absl::Seconds(3));
  EXPECT_THAT(Told(), IsEmpty());
}

}  // namespace
}  // namespace fleet::engine
