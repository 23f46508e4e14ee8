#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fmt/core.h"
#include "reconcile/planner.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using ::testing::AllOf;
using testing::Cluster;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StrEq;
using testing::Text;

std::string Web(int number) { return fmt::format("web@{}.service", number); }

void PutTemplate(Cluster& cluster, const std::string& text) {
  cluster.model.PutUnit("web@.service", text, DesiredState::kInactive);
}

// None: the number is taken back.
void Scale(Cluster& cluster, std::optional<int64_t> replicas) {
  UnitRecord record = cluster.model.Unit("web@.service");
  record.replicas = replicas;
  static_cast<SimulatedRegistry&>(cluster.model).PutUnit("web@.service", record);
}

std::vector<std::string> Instances(const Cluster& cluster) {
  std::vector<std::string> instances;
  for (const auto& [unit, record] : cluster.model.records().units) {
    if (unit != "web@.service") instances.push_back(unit);
  }
  return instances;
}

Cluster WithReplicas(int64_t replicas) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  PutTemplate(cluster, Text(fmt::format("Replicas={}", replicas)));
  cluster.Settle();
  return cluster;
}

TEST(Replicas, OfATemplateRunFromItsSubmitOn) {
  Cluster cluster = WithReplicas(3);
  EXPECT_THAT(Instances(cluster), ElementsAre(Web(1), Web(2), Web(3)));
  for (const std::string& unit : Instances(cluster)) {
    EXPECT_THAT(cluster.model.MachinesOf(unit), ElementsAre("m1"));
    EXPECT_TRUE(cluster.model.Unit(unit).made_by_replicas);
    EXPECT_EQ(cluster.model.Unit(unit).content_hash,
              cluster.model.Unit("web@.service").content_hash);
  }
  EXPECT_NE(cluster.model.Unit(Web(1)).uid, cluster.model.Unit(Web(2)).uid);
  EXPECT_THAT(
      cluster.events,
      Contains(AllOf(Field(&EventEntry::kind, StrEq("created")),
                     Field(&EventEntry::unit, StrEq(Web(3))),
                     Field(&EventEntry::reason, StrEq("web@.service asks for 3 instances")))));
  cluster.engine.JudgeAll();
  EXPECT_EQ(cluster.Pass(), 0u);
}

TEST(Replicas, OfTheRecordGoBeforeThoseOfTheText) {
  Cluster cluster = WithReplicas(3);
  Scale(cluster, 5);
  cluster.Settle();
  EXPECT_THAT(Instances(cluster), ElementsAre(Web(1), Web(2), Web(3), Web(4), Web(5)));
}

TEST(Replicas, OfTheTextHoldAgainOnceTheRecordHasNone) {
  Cluster cluster = WithReplicas(2);
  Scale(cluster, 4);
  cluster.Settle();
  Scale(cluster, std::nullopt);
  cluster.Settle();
  EXPECT_THAT(Instances(cluster), ElementsAre(Web(1), Web(2)));
  EXPECT_THAT(cluster.engine.Explain("web@.service").reason, HasSubstr("2 of them are kept"));
}

TEST(Replicas, StayWhenNeitherTheRecordNorTheTextHasANumberAnyMore) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  PutTemplate(cluster, Text());
  Scale(cluster, 3);
  cluster.Settle();
  Scale(cluster, std::nullopt);
  cluster.model.DestroyUnit(Web(2));
  cluster.Settle();
  EXPECT_THAT(Instances(cluster), ElementsAre(Web(1), Web(3)));
  EXPECT_THAT(cluster.engine.Explain("web@.service").reason, Not(HasSubstr("kept")));
}

TEST(Replicas, AreDestroyedTheHighestFirst) {
  Cluster cluster = WithReplicas(12);
  Scale(cluster, 9);
  cluster.events.clear();
  cluster.Settle();
  std::vector<std::string> destroyed;
  for (const EventEntry& event : cluster.events) {
    if (event.kind == "destroyed") destroyed.push_back(event.unit);
  }
  EXPECT_THAT(destroyed, ElementsAre(Web(12), Web(11), Web(10)));
  EXPECT_THAT(cluster.model.MachinesOf(Web(10)), IsEmpty());
  EXPECT_EQ(cluster.model.AssignmentOf(Web(10), "m1"), nullptr);
}

TEST(Replicas, LeaveAloneWhatWasMadeByHand) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  PutTemplate(cluster, Text());
  cluster.model.PutUnit(Web(2), Text("Weight=2"), DesiredState::kLoaded);
  cluster.model.PutUnit(Web(7), Text());
  cluster.model.PutUnit("web@blue.service", Text());
  cluster.model.PutUnit("web@007.service", Text());
  const UnitRecord second = cluster.model.Unit(Web(2));
  Scale(cluster, 3);
  cluster.Settle();
  EXPECT_THAT(Instances(cluster),
              ElementsAre("web@007.service", Web(1), Web(2), Web(3), Web(7), "web@blue.service"));
  EXPECT_EQ(cluster.model.Unit(Web(2)), second);
  Scale(cluster, 0);
  cluster.Settle();
  EXPECT_THAT(Instances(cluster),
              ElementsAre("web@007.service", Web(2), Web(7), "web@blue.service"));
}

TEST(Replicas, ComeBackAsAnotherUnitWhenTheyAreDestroyed) {
  Cluster cluster = WithReplicas(2);
  const std::string uid = cluster.model.Unit(Web(2)).uid;
  cluster.model.DestroyUnit(Web(2));
  cluster.Settle();
  EXPECT_NE(cluster.model.Unit(Web(2)).uid, uid);
  EXPECT_EQ(cluster.model.AssignmentOf(Web(2), "m1")->uid, cluster.model.Unit(Web(2)).uid);
}

TEST(Replicas, GoWithTheirTemplate) {
  Cluster cluster = WithReplicas(3);
  cluster.model.PutUnit(Web(9), Text());
  cluster.model.DestroyUnit("web@.service");
  cluster.Settle();
  EXPECT_THAT(Instances(cluster), ElementsAre(Web(9)));
  EXPECT_THAT(cluster.events,
              Contains(AllOf(Field(&EventEntry::kind, StrEq("destroyed")),
                             Field(&EventEntry::reason, HasSubstr("was destroyed")))));
}

TEST(Replicas, StayWhenTheTextDoesNotAskForThemAnyMore) {
  Cluster cluster = WithReplicas(3);
  PutTemplate(cluster, Text());
  cluster.Settle();
  EXPECT_THAT(Instances(cluster), ElementsAre(Web(1), Web(2), Web(3)));
}

TEST(Replicas, StayWhileTheTemplateCannotBeRead) {
  Cluster cluster = WithReplicas(3);
  cluster.model.PutUnreadableUnit("web@.service");
  cluster.engine.JudgeAll();
  cluster.Settle();
  EXPECT_THAT(Instances(cluster), ElementsAre(Web(1), Web(2), Web(3)));
}

TEST(Replicas, AreMadeByTheTemplateAsItIsWhenTheyAreCommitted) {
  Cluster cluster;
  cluster.model.PutMachine("m1");
  PutTemplate(cluster, Text("Replicas=2"));
  cluster.engine.Apply(cluster.model.TakeChange());
  const auto decisions = cluster.engine.Decide(cluster.now);
  ASSERT_EQ(decisions.size(), 2u);
  Scale(cluster, 1);
  EXPECT_EQ(cluster.model.Commit(decisions[1]), 0);
  for (const Decision& decision : decisions) {
    cluster.engine.OnRejected(decision.id, cluster.model.revision());
  }
  cluster.Settle();
  EXPECT_THAT(Instances(cluster), ElementsAre(Web(1)));
}

}  // namespace
}  // namespace fleet::reconcile
