#include "api/entities.h"

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace fleet::api {
namespace {

using nlohmann::json;

// A view made by hand.
class Entities : public ::testing::Test {
 protected:
  void AddUnit(const std::string& name, const std::string& text, DesiredState desired,
               std::string refusal = {}) {
    auto file = UnitFile::Parse(text);
    ASSERT_TRUE(file.ok()) << file.status();
    const std::string hash = file->hash();
    view_.contents.Set(hash, {{std::make_shared<const UnitFile>(*std::move(file))}, 1, 1});
    view_.units.Set(
        name,
        {{.uid = "u1", .desired = desired, .content_hash = hash, .refusal = std::move(refusal)},
         1,
         1});
  }
  void Run(const std::string& unit, const std::string& machine, const std::string& active) {
    const std::string hash = view_.units.Find(unit)->value.content_hash;
    view_.assignments.Set(
        {unit, machine},
        {{.uid = "u1", .generation = 1, .content_hash = hash, .state = AssignmentState::kLaunched},
         1,
         1});
    view_.states.Set({unit, machine}, {{.uid = "u1",
                                        .generation = 1,
                                        .content_hash = hash,
                                        .load_state = "loaded",
                                        .active_state = active,
                                        .sub_state = active == "active" ? "running" : "failed",
                                        .settled = true,
                                        .result = active == "active" ? "" : "exit-code",
                                        .log_tail = active == "active" ? "" : "boom"},
                                       1,
                                       1});
  }
  void AddMachine(const std::string& id) { view_.machines.Set(id, {MachineRecord{}, 1, 1}); }

  json Unit(const std::string& name, Detail detail = Detail::kFull) {
    JsonWriter writer;
    WriteUnit(writer, view_, name, detail);
    return json::parse(writer.text());
  }

  ClusterView view_;
};

constexpr char kText[] = "[Unit]\nDescription=A \"sleeper\"\n[Service]\nExecStart=/bin/sleep 1d\n";

TEST_F(Entities, ARunningUnitSaysWhereItRuns) {
  AddMachine("m1");
  AddUnit("a.service", kText, DesiredState::kLaunched);
  Run("a.service", "m1", "active");
  const json unit = Unit("a.service");
  EXPECT_EQ(unit["currentState"], "launched");
  EXPECT_EQ(unit["machineID"], "m1");
  EXPECT_EQ(unit["target"], "m1");
  EXPECT_EQ(unit["progress"], "reached");
  EXPECT_EQ(unit["description"], "A \"sleeper\"");
  EXPECT_EQ(unit["systemdSubState"], "running");
  EXPECT_EQ(unit["content"], kText);
  EXPECT_EQ(unit["options"].size(), 2U);
  EXPECT_FALSE(unit.contains("reason"));
  EXPECT_FALSE(unit.contains("machines"));
  EXPECT_FALSE(unit.contains("logTail"));
}

TEST_F(Entities, AFailedUnitHasItsReasonAndLog) {
  AddMachine("m1");
  AddUnit("a.service", kText, DesiredState::kLaunched);
  Run("a.service", "m1", "failed");
  const json unit = Unit("a.service", Detail::kSummary);
  EXPECT_EQ(unit["progress"], "failed");
  EXPECT_EQ(unit["logTail"], "boom");
  EXPECT_NE(unit["reason"].get<std::string>().find("exit-code"), std::string::npos);
  EXPECT_FALSE(unit.contains("content"));
}

TEST_F(Entities, AUnitThatSomebodyElseHasStoppedSaysSo) {
  AddMachine("m1");
  AddUnit("a.service", kText, DesiredState::kLaunched);
  Run("a.service", "m1", "inactive");
  Stored<StateReport> report = *view_.states.Find(UnitOnMachine{"a.service", "m1"});
  EXPECT_FALSE(Unit("a.service").contains("drift"));
  report.value.drift = "stopped by hand";
  view_.states.Set({"a.service", "m1"}, report);
  EXPECT_EQ(Unit("a.service", Detail::kSummary)["drift"], "stopped by hand");
}

TEST_F(Entities, OnAMachineThatIsAwayAUnitHasATargetOnly) {
  AddUnit("a.service", kText, DesiredState::kLaunched);
  Run("a.service", "m1", "active");
  const json unit = Unit("a.service");
  EXPECT_EQ(unit["target"], "m1");
  EXPECT_FALSE(unit.contains("machineID"));
}

TEST_F(Entities, AnAssignmentOfAnEarlierIncarnationIsNotTheUnits) {
  AddMachine("m1");
  AddUnit("a.service", kText, DesiredState::kLaunched);
  view_.assignments.Set({"a.service", "m1"}, {{.uid = "before"}, 1, 1});
  EXPECT_FALSE(Unit("a.service").contains("target"));
}

TEST_F(Entities, AUnitThatFitsNowhereSaysWhy) {
  AddUnit("a.service", kText, DesiredState::kLaunched, "no machine is eligible: 2 of 2 …");
  const json unit = Unit("a.service");
  EXPECT_EQ(unit["progress"], "waiting");
  EXPECT_EQ(unit["reason"], "no machine is eligible: 2 of 2 …");
}

TEST_F(Entities, WhatHindersAMachineIsTheReasonOfItsUnit) {
  AddMachine("m1");
  AddUnit("a.service", kText, DesiredState::kLaunched);
  AddUnit("g.service", "[X-Fleet]\nGlobal=true\n[Service]\nExecStart=/b\n",
          DesiredState::kLaunched);
  for (const char* unit : {"a.service", "g.service"}) {
    Run(unit, "m1", "active");
    StateReport report = view_.states.Find(UnitOnMachine{unit, "m1"})->value;
    report.generation = 0;
    report.settled = false;
    report.result = "disk full";
    view_.states.Set({unit, "m1"}, {report, 1, 1});
    EXPECT_EQ(Unit(unit)["progress"], "pending") << unit;
    EXPECT_EQ(Unit(unit)["reason"], "disk full; this is tried again") << unit;
  }
  EXPECT_EQ(Unit("g.service")["machines"][0]["reason"], "disk full; this is tried again");
}

TEST_F(Entities, AGlobalUnitListsItsMachines) {
  AddMachine("m1");
  AddMachine("m2");
  AddUnit("g.service", "[X-Fleet]\nGlobal=true\n[Service]\nExecStart=/b\n",
          DesiredState::kLaunched);
  Run("g.service", "m1", "active");
  Run("g.service", "m2", "failed");
  const json unit = Unit("g.service");
  EXPECT_EQ(unit["global"], true);
  EXPECT_EQ(unit["progress"], "failed");
  ASSERT_EQ(unit["machines"].size(), 2U);
  EXPECT_EQ(unit["machines"][0]["machineID"], "m1");
  EXPECT_EQ(unit["machines"][0]["progress"], "reached");
  EXPECT_EQ(unit["machines"][1]["systemdActiveState"], "failed");
  EXPECT_FALSE(unit.contains("target"));
}

TEST_F(Entities, AUnitWhoseTextIsNotThereIsStillListed) {
  view_.units.Set("a.service", {{.uid = "u", .content_hash = "missing"}, 1, 1});
  const json unit = Unit("a.service");
  EXPECT_EQ(unit["hash"], "missing");
  EXPECT_FALSE(unit.contains("content"));
}

}  // namespace
}  // namespace fleet::api
