#include "fleetctl/restore_plan.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Kind = UnitStep::Kind;

constexpr char kText[] = "[Service]\nExecStart=/x\n";
constexpr char kOther[] = "[Service]\nExecStart=/y\n";

BackupUnit Following(const std::string& name, const std::string& parents) {
  return {name, "launched", kText + ("[X-Fleet]\nMachineOf=" + parents + "\n")};
}

std::vector<std::string> OrderOf(const std::vector<BackupUnit>& units) {
  std::vector<std::string> names;
  for (const UnitStep& step : MakeRestorePlan({.units = units}, {}, false).units)
    names.push_back(step.name);
  return names;
}

UnitStep StepFor(const BackupUnit& wanted, const BackupUnit& registered, bool replace) {
  return MakeRestorePlan({.units = {wanted}}, {.units = {registered}}, replace).units[0];
}

TEST(RestorePlan, MakesUnitsThatTheRegistryLacksWithTextAndState) {
  const RestorePlan plan = MakeRestorePlan({.units = {{"a.service", "launched", kText}}},
                                           {.units = {{"b.service", "loaded", kText}}}, false);
  ASSERT_THAT(plan.units, SizeIs(1)) << "what the backup lacks is left alone";
  const UnitStep& step = plan.units[0];
  EXPECT_EQ(step.kind, Kind::kRestore);
  EXPECT_EQ(step.registered_state, "");
  EXPECT_EQ(step.change.name, "a.service");
  EXPECT_EQ(step.change.content, kText);
  EXPECT_EQ(step.change.desired_state, "launched");
  EXPECT_FALSE(step.change.replace);
  EXPECT_TRUE(step.change.force);
}

TEST(RestorePlan, ANumberOfReplicasIsSetWhereThereIsNone) {
  const auto plan = [](std::optional<int64_t> registered, bool replace) {
    const BackupUnit wanted{"a@.service", "inactive", kText, 3};
    const BackupUnit there{"a@.service", "inactive", kText, registered};
    return MakeRestorePlan({.units = {wanted}}, {.units = {there}}, replace).replicas;
  };
  ASSERT_THAT(plan(std::nullopt, false), SizeIs(1));
  EXPECT_EQ(plan(std::nullopt, false)[0].wanted, 3);
  EXPECT_EQ(plan(std::nullopt, false)[0].registered, std::nullopt);
  EXPECT_THAT(plan(3, false), IsEmpty());
  EXPECT_EQ(plan(5, false)[0].registered, 5);
  EXPECT_EQ(plan(5, true)[0].registered, std::nullopt);
}

TEST(RestorePlan, ANumberOfReplicasThatTheBackupDoesNotHaveIsTakenBackIfThatIsAskedFor) {
  const auto plan = [](std::optional<int64_t> registered, bool replace) {
    const BackupUnit wanted{"a@.service", "inactive", kText};
    const BackupUnit there{"a@.service", "inactive", kText, registered};
    return MakeRestorePlan({.units = {wanted}}, {.units = {there}}, replace).replicas;
  };
  EXPECT_THAT(plan(std::nullopt, true), IsEmpty());
  ASSERT_THAT(plan(5, false), SizeIs(1));
  EXPECT_EQ(plan(5, false)[0].wanted, std::nullopt);
  EXPECT_EQ(plan(5, false)[0].registered, 5);
  ASSERT_THAT(plan(5, true), SizeIs(1));
  EXPECT_EQ(plan(5, true)[0].wanted, std::nullopt);
  EXPECT_EQ(plan(5, true)[0].registered, std::nullopt);
}

TEST(RestorePlan, ATemplateThatIsMadeHasItsNumberFromTheBeginning) {
  const BackupUnit wanted{"a@.service", "inactive", kText, 3};
  const RestorePlan plan = MakeRestorePlan({.units = {wanted}}, {}, false);
  EXPECT_EQ(plan.units.at(0).change.replicas, 3);
  EXPECT_THAT(plan.replicas, IsEmpty());
}

TEST(RestorePlan, MachinesAreClosedAndNeverOpened) {
  const auto step = [](const BackupMachine& wanted, const BackupMachine& registered) {
    return MakeRestorePlan({.machines = {wanted}}, {.machines = {registered}}, true).machines[0];
  };
  const BackupMachine open{.id = "m1"};
  const BackupMachine cordoned{.id = "m1", .cordoned = true};
  const BackupMachine drained{.id = "m1", .drained = true};
  EXPECT_TRUE(step(cordoned, open).cordons);
  EXPECT_TRUE(step(drained, cordoned).drains);
  EXPECT_FALSE(step(cordoned, drained).cordons);
  EXPECT_FALSE(step(open, drained).drains);
}

TEST(RestorePlan, AHistoryIsRestoredWhereThereIsNone) {
  const BackupHistory history{"a.service", {{kOther, "", "update"}}};
  EXPECT_THAT(MakeRestorePlan({.rollouts = {history}}, {}, false).rollouts, ElementsAre(history));
  EXPECT_THAT(
      MakeRestorePlan({.rollouts = {history}}, {.rollouts = {{"a.service", {}}}}, true).rollouts,
      IsEmpty());
}

TEST(RestorePlan, ParentsComeBeforeTheirFollowers) {
  const BackupUnit free{"m.service", "launched", kText};
  EXPECT_THAT(OrderOf({Following("a.service", "z.service"),
                       free,
                       Following("n.service", "absent.service"),
                       Following("z.service", "y.service"),
                       {"y.service", "loaded", kText}}),
              ElementsAre("m.service", "n.service", "y.service", "z.service", "a.service"));
  EXPECT_THAT(OrderOf({Following("a@1.service", "b@%i.service"), {"b@1.service", "loaded", kText}}),
              ElementsAre("b@1.service", "a@1.service"));
  EXPECT_THAT(
      OrderOf({Following("a.service", "b.service"), Following("b.service", "a.service"), free}),
      ElementsAre("m.service", "a.service", "b.service"))
      << "a circle is left to the API to refuse";
}

TEST(RestorePlan, WithoutReplaceOnlyRaisesAStateOfTheSameText) {
  const auto kind = [](const char* wanted, const char* registered, const char* text) {
    return StepFor({"a.service", wanted, kText}, {"a.service", registered, text}, false).kind;
  };
  EXPECT_EQ(kind("loaded", "loaded", kText), Kind::kThere);
  EXPECT_EQ(kind("launched", "inactive", kText), Kind::kRestore);
  EXPECT_EQ(kind("inactive", "loaded", kText), Kind::kStateHigher);
  EXPECT_EQ(kind("launched", "inactive", kOther), Kind::kTextDiffers);
  EXPECT_EQ(kind("launched", "launched", kOther), Kind::kTextDiffers);
}

TEST(RestorePlan, WithReplaceMakesUnitsAsInTheBackup) {
  for (const char* registered : {"inactive", "loaded", "launched"}) {
    const UnitStep step =
        StepFor({"a.service", "loaded", kText}, {"a.service", registered, kOther}, true);
    EXPECT_EQ(step.kind, Kind::kRestore);
    EXPECT_TRUE(step.text_differs);
    EXPECT_TRUE(step.change.replace);
    EXPECT_EQ(step.change.desired_state, "loaded");
  }
  EXPECT_EQ(StepFor({"a.service", "loaded", kText}, {"a.service", "loaded", kText}, true).kind,
            Kind::kThere);
}

TEST(RestorePlan, TellsOfUnknownKeysAndOfGlobalUnits) {
  const RestorePlan plan =
      MakeRestorePlan({.units = {{"a.service", "loaded", "[X-Fleet]\nMachineOff=b.service\n"},
                                 {"g.service", "loaded", "[X-Fleet]\nGlobal=true\n"}}},
                      {}, false);
  EXPECT_THAT(plan.units[0].warning, HasSubstr("MachineOf"));
  EXPECT_FALSE(plan.units[0].global);
  EXPECT_THAT(plan.units[1].warning, IsEmpty());
  EXPECT_TRUE(plan.units[1].global);
}

TEST(RestorePlan, KeepsMetadataThatTheRegistryHas) {
  const BackupDocument backup{
      .machines = {{"m1",
                    {{"both", "1"}, {"new", "1"}, {"other", "1"}, {"was", "1"}},
                    {"gone", "hide", "same"}},
                   {"m2", {{"a", "1"}}, {}}}};
  const BackupDocument registry{
      .machines = {
          {"m1", {{"both", "1"}, {"other", "2"}, {"hide", "3"}, {"mine", "4"}}, {"same", "was"}}}};
  const auto text = [](const MachineStep& step) {
    std::string all;
    for (const client::MetadataChange& change : step.changes)
      all += change.key + (change.value ? "=" + *change.value : "-") + " ";
    for (const MachineStep::Kept& kept : step.kept)
      all += kept.key + ":" + kept.registered + "/" + kept.wanted + " ";
    return all;
  };
  RestorePlan plan = MakeRestorePlan(backup, registry, false);
  ASSERT_THAT(plan.machines, SizeIs(2));
  EXPECT_EQ(text(plan.machines[0]), "new=1 gone- other:2/1 was:removed/1 hide:3/removed ");
  EXPECT_EQ(text(plan.machines[1]), "a=1 ");
  EXPECT_EQ(plan.machines[1].changes[0].machine_id, "m2");
  plan = MakeRestorePlan(backup, registry, true);
  EXPECT_EQ(text(plan.machines[0]), "new=1 other=1 was=1 gone- hide- ");
}

}  // namespace
}  // namespace fleet::fleetctl
