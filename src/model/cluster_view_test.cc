#include "model/cluster_view.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ClusterView, FindsAllAssignmentsOfOneUnitAndNoOthers) {
  ClusterView view;
  for (const auto& [unit, machine] : std::vector<std::pair<std::string, std::string>>{
           {"a.service", "m1"}, {"b.service", "m2"}, {"b.service", "m1"}, {"b.servicf", "m1"}}) {
    view.assignments.Set(UnitOnMachine{unit, machine}, {});
  }
  std::vector<std::string> machines;
  for (auto it = FirstOf(view.assignments, "b.service"); InUnit(it, view.assignments, "b.service");
       ++it) {
    machines.push_back(it->first.machine);
  }
  EXPECT_THAT(machines, ElementsAre("m1", "m2"));
}

TEST(ClusterView, AFrozenCopyDoesNotSeeLaterChanges) {
  ClusterView view;
  view.units.Set("a.service", Stored<UnitRecord>{.value = {.uid = "1"}});
  view.states.Set(UnitOnMachine{"a.service", "m"}, {});
  view.unreadable.Set("units/b.service", 1);
  view.Freeze();
  const ClusterView snapshot = view;
  view.units.Set("a.service", Stored<UnitRecord>{.value = {.uid = "2"}});
  view.states.Erase(UnitOnMachine{"a.service", "m"});
  view.unreadable.Erase("units/b.service");
  EXPECT_EQ(snapshot.units.Find("a.service")->value.uid, "1");
  EXPECT_NE(snapshot.states.Find(UnitOnMachine{"a.service", "m"}), nullptr);
  EXPECT_NE(snapshot.unreadable.Find("units/b.service"), nullptr);
}

TEST(EffectiveMetadata, AppliesOverrides) {
  const MachineRecord machine = {.metadata = {{"zone", "a"}, {"disk", "ssd"}, {"role", "web"}}};
  EXPECT_EQ(EffectiveMetadata(machine, nullptr), machine.metadata);
  const MachineSettings settings = {.set_metadata = {{"zone", "b"}, {"new", "1"}},
                                    .removed_metadata = {"absent", "role"}};
  EXPECT_THAT(EffectiveMetadata(machine, &settings),
              ElementsAre(Pair("disk", "ssd"), Pair("new", "1"), Pair("zone", "b")));
}

TEST(DesiredState, ReadsWhatItWrites) {
  for (DesiredState state :
       {DesiredState::kInactive, DesiredState::kLoaded, DesiredState::kLaunched}) {
    EXPECT_EQ(ParseDesiredState(ToString(state)), state);
  }
  EXPECT_EQ(ParseDesiredState("bogus"), std::nullopt);
  EXPECT_EQ(ParseDesiredState("Loaded"), std::nullopt);
  EXPECT_EQ(ParseDesiredState(""), std::nullopt);
}

ClusterView ViewAt(int64_t revision) {
  ClusterView view;
  view.revision = revision;
  view.units.Set("a.service", {UnitRecord{.uid = "a"}, 3, 5});
  view.cluster_id = {ClusterIdRecord{.id = "id"}, 2, 2};
  view.Freeze();
  return view;
}

TEST(MayFollow, RecordsMayHaveChangedComeAndGoneSince) {
  const ClusterView before = ViewAt(10);
  ClusterView after = ViewAt(20);
  after.units.Set("a.service", {UnitRecord{.uid = "a"}, 3, 11});
  after.units.Set("b.service", {UnitRecord{.uid = "b"}, 12, 12});
  EXPECT_TRUE(MayFollow(before, after));
  after.units.Erase("a.service");
  EXPECT_TRUE(MayFollow(before, after));
}

TEST(MayFollow, WhatIsOlderThanTheViewBeforeMustHaveBeenInIt) {
  const ClusterView before = ViewAt(10);
  ClusterView other = ViewAt(20);
  other.units.Set("a.service", {UnitRecord{.uid = "a"}, 3, 4});
  EXPECT_FALSE(MayFollow(before, other));
  other = ViewAt(20);
  other.machines.Set("m1", {MachineRecord{}, 10, 10});
  EXPECT_FALSE(MayFollow(before, other));
  EXPECT_FALSE(MayFollow(before, ViewAt(9)));
}

TEST(MayFollow, AClusterKeepsItsId) {
  const ClusterView before = ViewAt(10);
  ClusterView other = ViewAt(20);
  other.cluster_id = {ClusterIdRecord{.id = "another"}, 15, 15};
  EXPECT_FALSE(MayFollow(before, other));
  other.cluster_id.reset();
  EXPECT_FALSE(MayFollow(before, other));
}

}  // namespace
}  // namespace fleet
