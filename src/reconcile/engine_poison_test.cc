// Records that cannot be read, of every kind: a newer version, or something else, has written them.
// Nothing is decided on what they might say, and nothing else suffers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/planner.h"
#include "reconcile/testing/cluster_model.h"

namespace fleet::reconcile {
namespace {

using testing::ClusterModel;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Text;

class PoisonedModel : public ClusterModel {
 public:
  // As the mirror shows it: neither present nor absent.
  void Poison(const std::string& key) { PutUnreadable(key); }
  void PoisonUnit(const std::string& unit) {
    view_.units.Erase(unit);
    Poison("units/" + unit);
    Note(Change::Record::kUnit, unit);
  }
  void PoisonContentOf(const std::string& unit) {
    const std::string hash = Unit(unit).content_hash;
    view_.contents.Erase(hash);
    Poison("contents/" + hash);
  }
  void PoisonSettings(const std::string& machine) {
    view_.settings.Erase(machine);
    Poison("settings/" + machine);
    Note(Change::Record::kSettings, machine);
  }
  void PoisonMachine(const std::string& machine) {
    view_.machines.Erase(machine);
    Poison("machines/" + machine);
    Note(Change::Record::kMachine, machine);
  }
  void PoisonAssignment(const std::string& unit, const std::string& machine) {
    view_.assignments.Erase(UnitOnMachine{unit, machine});
    Poison("assignments/" + machine + "/" + unit);
    Note(Change::Record::kAssignment, unit, machine);
  }
  void PoisonState(const std::string& unit, const std::string& machine) {
    view_.states.Erase(UnitOnMachine{unit, machine});
    Poison("states/" + machine + "/" + unit);
    Note(Change::Record::kState, unit, machine);
  }
};

// a.service runs on m1, which alone has what it needs, by its settings; there are others.
class Poison : public ::testing::Test {
 protected:
  Poison() {
    for (const char* machine : {"m1", "m2"}) model_.PutMachine(machine);
    model_.PutSettings("m1", {.set_metadata = {{"disk", "ssd"}}});
    model_.PutUnit("a.service", Text("MachineMetadata=disk=ssd"));
    Begin();
    model_.PutSettings("m2", {.set_metadata = {{"disk", "ssd"}}});
    engine_->Settle(100);
  }
  void Begin() {
    const absl::Time now = engine_ == nullptr ? absl::UnixEpoch() : engine_->now;
    engine_ = std::make_unique<Simulation>(&model_, EngineSettings{});
    engine_->now = now;
    engine_->engine.BeginLeading(now);
    ASSERT_TRUE(engine_->Settle(100));
  }
  // The engine that has seen it come, then one that finds it there, long after.
  void ExpectNothingIsDoneAboutIt() {
    const auto count = [&](const std::string& kind) {
      return std::count_if(engine_->events.begin(), engine_->events.end(), [&](const auto& event) {
        return event.unit == "a.service" && event.kind == kind;
      });
    };
    for (int turn = 0; turn < 2; ++turn) {
      ASSERT_TRUE(engine_->Settle(100));
      engine_->now += absl::Hours(1);
      ASSERT_TRUE(engine_->Settle(100));
      engine_->engine.JudgeAll();
      ASSERT_TRUE(engine_->Settle(100));
      for (const char* kind : {"stopped", "moving", "moved", "ended", "adopted"}) {
        EXPECT_EQ(count(kind), 0) << kind;
      }
      EXPECT_EQ(engine_->Pass(), 0u);
      Begin();
    }
    // Others are placed.
    model_.PutUnit("b.service", Text());
    ASSERT_TRUE(engine_->Settle(100));
    EXPECT_THAT(model_.MachinesOf("b.service"), Not(IsEmpty()));
  }

  PoisonedModel model_;
  std::unique_ptr<Simulation> engine_;
};

TEST_F(Poison, OfAUnit) {
  model_.PoisonUnit("a.service");
  ExpectNothingIsDoneAboutIt();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST_F(Poison, OfAContent) {
  model_.PoisonContentOf("a.service");
  ExpectNothingIsDoneAboutIt();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST_F(Poison, OfAMachinesSettings) {
  model_.PoisonSettings("m1");
  ExpectNothingIsDoneAboutIt();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m1"));
  // What it would be for new units is not known.
  EXPECT_THAT(model_.MachinesOf("b.service"), ElementsAre("m2"));
}

TEST_F(Poison, OfAMachine) {
  model_.PoisonMachine("m1");
  ExpectNothingIsDoneAboutIt();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST_F(Poison, OfAnAssignment) {
  model_.PoisonAssignment("a.service", "m1");
  ExpectNothingIsDoneAboutIt();
  EXPECT_THAT(model_.MachinesOf("a.service"), IsEmpty());  // not placed anew either
}

TEST_F(Poison, OfAState) {
  model_.PoisonState("a.service", "m1");
  ExpectNothingIsDoneAboutIt();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m1"));
}

TEST_F(Poison, OfTheHold) {
  model_.Poison("cluster/hold");
  ExpectNothingIsDoneAboutIt();
}

// A newer version has written it, and knows what it means.
TEST_F(Poison, AUnitThatNeedsAFeatureOfANewerVersionIsLeftAsItIs) {
  UnitRecord record = model_.Unit("a.service");
  record.features = {"isolation", "teleportation"};
  record.desired = DesiredState::kInactive;
  static_cast<SimulatedRegistry&>(model_).PutUnit("a.service", record);
  ExpectNothingIsDoneAboutIt();
  EXPECT_THAT(model_.MachinesOf("a.service"), ElementsAre("m1"));
  EXPECT_THAT(ExplainUnit(model_.view(), {}, "a.service")->reason,
              ::testing::HasSubstr("teleportation"));
}

}  // namespace
}  // namespace fleet::reconcile
