// Units with OnIsolation=stop and the guard.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/testing/agent_machine.h"

namespace fleet::reconcile {
namespace {

using testing::Assigned;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::File;
using ::testing::IsEmpty;
using testing::Machine;
using ::testing::Not;

const auto kSingleton = File("[Service]\nExecStart=/bin/sleep 1d\n[X-Fleet]\nOnIsolation=stop\n");

Machine Assign(AssignmentState state = AssignmentState::kLaunched) {
  Machine machine;
  machine.contents[kSingleton->hash()] = kSingleton;
  machine.agent.OnAssignments({{"a.service", Assigned(state, 1, kSingleton)}});
  machine.Run();
  return machine;
}

Machine Guarded() {
  Machine machine = Assign();
  machine.agent.OnGuard({"a.service"}, "");
  machine.Run();
  machine.log.clear();
  return machine;
}

TEST(AgentIsolation, AUnitIsStartedOnlyOnceTheGuardIsArmedForIt) {
  Machine machine = Assign();
  EXPECT_THAT(machine.log, ElementsAre("fetch", "install a.service"));
  EXPECT_THAT(machine.agent.guarded_units(), ElementsAre("a.service"));
  machine.agent.OnGuard({"b.service"}, "");
  machine.Run();
  EXPECT_THAT(machine.log, Not(Contains("start a.service")));
  machine.agent.OnGuard({"a.service"}, "");
  machine.Run();
  EXPECT_THAT(machine.log, Contains("start a.service"));
  EXPECT_TRUE(machine.reports["a.service"].settled);
}

TEST(AgentIsolation, AUnitIsNotEvenLoadedBefore) {
  Machine machine = Assign(AssignmentState::kLoaded);
  EXPECT_THAT(machine.log, Not(Contains("load a.service")));
  machine.agent.OnGuard({"a.service"}, "");
  machine.Run();
  EXPECT_THAT(machine.log, Contains("load a.service"));
}

TEST(AgentIsolation, AGuardThatCannotBeArmedIsTheUnitsError) {
  Machine machine = Assign();
  machine.agent.OnGuard({}, "fleet-guard does not answer");
  machine.Run();
  EXPECT_EQ(machine.reports["a.service"].result, "fleet-guard does not answer");
  EXPECT_TRUE(machine.reports["a.service"].settled);
  machine.agent.OnGuard({"a.service"}, "");
  machine.Run();
  EXPECT_EQ(machine.reports["a.service"].result, "");
  EXPECT_EQ(machine.reports["a.service"].active_state, "active");
}

TEST(AgentIsolation, UnitsThatAreKeptNeedNoGuard) {
  Machine machine = testing::Running();
  EXPECT_EQ(machine.statuses["a.service"].active_state, "active");
  EXPECT_THAT(machine.agent.guarded_units(), IsEmpty());
}

TEST(AgentIsolation, WhatTheGuardHasStoppedStartsAgainOnceItIsArmed) {
  Machine machine = Guarded();
  machine.agent.OnGuard({}, "");
  machine.Change("a.service", "inactive", "dead");
  machine.Run();
  machine.agent.OnGuardStopped({"a.service"});
  machine.Run();
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_FALSE(machine.reports["a.service"].settled);
  machine.agent.OnGuard({"a.service"}, "");
  machine.Run();
  EXPECT_THAT(machine.log, ElementsAre("start a.service"));
}

TEST(AgentIsolation, WhatTheGuardHasStoppedAndTheEngineMovedDoesNotStart) {
  Machine machine = Guarded();
  machine.agent.OnGuard({}, "");
  machine.agent.OnMembershipLost();
  machine.Change("a.service", "inactive", "dead");
  machine.agent.OnGuardStopped({"a.service"});
  machine.agent.OnGuard({"a.service"}, "");
  machine.agent.OnAssignments({{"a.service", Assigned(AssignmentState::kGone, 2, kSingleton)}});
  machine.Run();
  EXPECT_THAT(machine.log, Not(Contains("start a.service")));
  EXPECT_TRUE(machine.reports["a.service"].gone);
  EXPECT_THAT(machine.agent.guarded_units(), IsEmpty());
}

TEST(AgentIsolation, AnAdoptedUnitIsGuardedAlsoWhenNothingIsAssigned) {
  Machine machine = Guarded();
  machine.Begin();
  EXPECT_THAT(machine.agent.guarded_units(), ElementsAre("a.service"));
}

}  // namespace
}  // namespace fleet::reconcile
