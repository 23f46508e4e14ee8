#include "engine/engine_metrics.h"

#include <string>

#include "engine/engine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "registry/codec.h"
#include "registry/mirror.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"

namespace fleet::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const registry::Keys kKeys("/fleet/");

// An engine that leads, with its mirror.
class EngineMetricsTest : public ::testing::Test {
 protected:
  EngineMetricsTest() {
    mirror_.SetHealthListener(
        [this](const absl::Status& health) { engine_.OnRegistryHealth(health); });
    mirror_.Start();
    executor_.RunUntilIdle();
    store_.LeaseGrant(absl::Seconds(10), [this](auto granted) { engine_.OnLease(granted->id); });
    Settle();
  }
  void PutMachine(const std::string& id) {
    store_.LeaseGrant(absl::Seconds(10), [this, id](auto granted) {
      store::Txn txn;
      txn.ops.emplace_back(
          store::Put{kKeys.Machine(id), registry::Encode(MachineRecord{}), granted->id});
      leases_[id] = granted->id;
      store_.Commit(std::move(txn), [](const auto&) {});
    });
    Settle();
  }
  void PutUnit(const std::string& name) {
    const UnitFile file = *UnitFile::Parse("[Service]\nExecStart=/bin/true\n");
    store_.Set(kKeys.Content(file.hash()),
               registry::Encode(Content{std::make_shared<const UnitFile>(file)}));
    store_.Set(kKeys.Unit(name),
               registry::Encode(UnitRecord{
                   .uid = name, .desired = DesiredState::kLaunched, .content_hash = file.hash()}));
  }
  void Settle() { executor_.Advance(absl::Seconds(1)); }
  std::string Text() const {
    metrics::TextWriter text;
    metrics_registry_.WriteTo(text);
    return text.Take();
  }

  int Passes() const {
    const std::string name = "\nfleet_engine_pass_duration_seconds_count ";
    const std::string text = Text();
    return std::stoi(text.substr(text.find(name) + name.size()));
  }

  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  std::map<std::string, store::LeaseId> leases_;
  metrics::Registry metrics_registry_;
  EngineMetrics metrics_{metrics_registry_};
  Engine engine_{
      &store_,
      &executor_,
      kKeys,
      {.machine_id = "m1", .settings = {.ttl = absl::Seconds(10)}, .metrics = &metrics_}};
  registry::Mirror mirror_{&store_, &executor_, kKeys,
                           [this](const ViewChange& change) { engine_.OnViewChange(change); }};
};

TEST_F(EngineMetricsTest, ALeaderSaysSoUntilItsLeaseHasEnded) {
  EXPECT_THAT(Text(), HasSubstr("fleet_engine_leads 1\n"));
  engine_.OnLeaseLost();
  Settle();
  EXPECT_THAT(Text(), HasSubstr("fleet_engine_leads 0\n"));
}

TEST_F(EngineMetricsTest, APlacementCountsOnceItIsCommitted) {
  PutMachine("m1");
  store_.FailNext(absl::UnavailableError("down"));
  PutUnit("a.service");
  executor_.Advance(absl::Milliseconds(100));
  EXPECT_THAT(Text(), HasSubstr("fleet_engine_decisions_total{result=\"failed\"} 1\n"));
  EXPECT_THAT(Text(), Not(HasSubstr("fleet_engine_placements_total{")));
  Settle();
  EXPECT_THAT(Text(), HasSubstr("fleet_engine_placements_total{reason=\"scheduled\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fleet_engine_events_total{kind=\"placed\"} 1\n"));
  EXPECT_THAT(Text(), Not(HasSubstr("fleet_engine_pass_duration_seconds_count 0\n")));
}

TEST_F(EngineMetricsTest, EverythingIsLookedAtEachMinuteThoughSomethingWaitsForItsTime) {
  PutMachine("m1");
  store_.Set(kKeys.Settings("m0"),
             registry::Encode(MachineSettings{.lock_group = "web", .lock_granted = true}));
  store_.Set(kKeys.Settings("m1"),
             registry::Encode(MachineSettings{
                 .lock_group = "web", .lock_repeated = absl::UnixEpoch() + absl::Hours(1)}));
  Settle();
  const int before = Passes();
  executor_.Advance(absl::Minutes(10));  // the request is withdrawn later
  EXPECT_GE(Passes() - before, 9);
}

TEST_F(EngineMetricsTest, AUnitOfALostMachineCountsAsMoved) {
  PutMachine("m1");
  PutUnit("a.service");
  Settle();
  PutMachine("m2");
  store_.EndLease(leases_["m1"]);
  executor_.Advance(absl::Seconds(30));
  EXPECT_THAT(Text(), HasSubstr("fleet_engine_moves_total{reason=\"machine_lost\"} 1\n"));
}

TEST_F(EngineMetricsTest, ADestroyedUnitCountsAsStopped) {
  PutMachine("m1");
  PutUnit("a.service");
  Settle();
  store_.Erase(kKeys.Unit("a.service"));
  Settle();
  EXPECT_THAT(Text(), HasSubstr("fleet_engine_stops_total{reason=\"destroyed\"} 1\n"));
}

TEST_F(EngineMetricsTest, AUnitThatIsPushedOutIsMovedIfItHasSomewhereToGoElseStopped) {
  reconcile::Decision decision;
  decision.events = {{"preempted", "a.service", "m1", "big.service of priority 7 needs its room"},
                     {"preempted", "b.service", "m1", "big.service of priority 7 needs its room"}};
  decision.writes = {
      reconcile::PutAssignment{
          "a.service", "m1", {.state = AssignmentState::kGone, .next_machine = "m2"}},
      reconcile::PutAssignment{"b.service", "m1", {.state = AssignmentState::kGone}}};
  metrics_.OnAnswered({decision}, "committed");
  EXPECT_THAT(Text(), HasSubstr("fleet_engine_moves_total{reason=\"preempted\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fleet_engine_stops_total{reason=\"preempted\"} 1\n"));
}

TEST_F(EngineMetricsTest, ADecisionThatCameTooLateCountsAsAConflict) {
  PutMachine("m1");
  PutUnit("a.service");
  store_.BeforeCommit([this] { PutUnit("a.service"); });
  Settle();
  EXPECT_THAT(Text(), HasSubstr("fleet_engine_decisions_total{result=\"conflict\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fleet_engine_placements_total{reason=\"scheduled\"} 1\n"));
}

}  // namespace
}  // namespace fleet::engine
