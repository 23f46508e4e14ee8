// --output, which takes the same formats wherever data is printed.

#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;
using testing::HasSubstr;

using Words = std::vector<std::string>;

class FormatsTest : public ::testing::Test {
 protected:
  FormatsTest() {
    fleet_.plan = {{"revision", 7}, {"changes", json::array()}};
    for (const std::string name : {"api@.service", "web@.service"}) {
      fleet_.rollouts[name] = {{{"name", name},
                                {"id", "r1"},
                                {"state", "running"},
                                {"restarts", false},
                                {"hash", "abcdef01" + name},
                                {"formerHash", "98765432"},
                                {"together", {"api@.service", "web@.service"}},
                                {"history", {{{"hash", "of-" + name}, {"how", "submit"}}}}}};
    }
    fleet_.journals["a.service"] = {
        {{"time", "2026-01-02T03:04:05.000001Z"}, {"unit", "a.service"}, {"message", "hello"}}};
    fleet_.Add("a.service", "launched");
  }

  Result Run(Words words, const std::string& format) {
    words.insert(words.end(), {"-o", format});
    return fleet_.Run(words);
  }

  FakeFleet fleet_;
};

TEST_F(FormatsTest, AreTheSameForEachCommandThatPrintsData) {
  for (const Words& words :
       {Words{"list-machines"}, Words{"list-units"}, Words{"list-unit-files"},
        Words{"status", "nosuch"}, Words{"explain", "nosuch"}, Words{"plan", "rebalance"},
        Words{"rebalance", "--dry-run"}, Words{"events"}, Words{"logs", "a.service"},
        Words{"features"}, Words{"rollout", "status"}, Words{"rollout", "history", "web@.service"},
        Words{"metadata", "8be9"}, Words{"drain", "--status", "8be9"}, Words{"version"}}) {
    for (const std::string format : {"text", "table", "wide", "json", "yaml"})
      EXPECT_NE(Run(words, format).code, kUsage) << words[0] << " -o " << format;
    EXPECT_EQ(Run(words, "text").out, Run(words, "table").out) << words[0];
    EXPECT_EQ(Run(words, "toml").code, kUsage) << words[0];
  }
}

TEST_F(FormatsTest, MayBeEntitiesWhereSettingsAndTheVersionAreShown) {
  EXPECT_EQ(json::parse(Run({"metadata", "8be9"}, "json").out),
            json({{"id", FakeFleet::kMachine}, {"metadata", {{"disk", "ssd"}, {"zone", "a"}}}}));
  EXPECT_EQ(Run({"metadata", "8be9"}, "wide").out, "disk=ssd\nzone=a\n");
  EXPECT_EQ(json::parse(Run({"version"}, "json").out), json({{"version", FLEET_VERSION}}));
  EXPECT_EQ(Run({"logs", "a.service"}, "yaml").out.substr(0, 4), "---\n");
  EXPECT_THAT(Run({"logs", "a.service"}, "wide").out, HasSubstr("a.service/"));
}

TEST_F(FormatsTest, MayBeTheNamesAlone) {
  fleet_.explanations["a.service"] = {{"unit", "a.service"}, {"state", "placed"}};
  fleet_.drains = {{{"machineID", FakeFleet::kMachine}, {"drained", true}}};
  const std::string machine = std::string(FakeFleet::kMachine) + "\n";
  EXPECT_EQ(Run({"explain", "a.service"}, "name").out, "a.service\n");
  EXPECT_EQ(Run({"status", "a.service"}, "name").out, "a.service\n");
  EXPECT_EQ(Run({"metadata", "8be9"}, "name").out, machine);
  EXPECT_EQ(Run({"drain", "--status", "8be9"}, "name").out, machine);
  for (const Words& words : {Words{"events"}, Words{"logs", "a.service"}, Words{"version"}})
    EXPECT_EQ(Run(words, "name").code, kUsage) << words[0];
}

TEST_F(FormatsTest, OfADrainAreForItsStatusOnly) {
  fleet_.drains = {{{"machineID", FakeFleet::kMachine}, {"drained", true}, {"unitsLeft", 0}}};
  EXPECT_EQ(json::parse(Run({"drain", "--status", "8be9"}, "json").out), fleet_.drains[0]);
  EXPECT_EQ(json::parse(Run({"drain", "--status", "8be9", "node1"}, "json").out).size(), 2u);
  EXPECT_EQ(Run({"drain", "8be9"}, "json").code, kUsage);
  EXPECT_THAT(fleet_.machine_posts, testing::IsEmpty());
}

// Those of fleetctl are not journalctl's, and --force of texts that are submitted stops no unit.
TEST_F(FormatsTest, AreNotTakenFromTheEnvironmentWhereTheyMeanSomethingElse) {
  fleet_.variables = {{"FLEETCTL_OUTPUT", "yaml"}, {"FLEETCTL_FORCE", "true"}};
  fleet_.drains = {{{"machineID", FakeFleet::kMachine}, {"drained", true}, {"unitsLeft", 0}}};
  EXPECT_EQ(fleet_.Run({"drain", "--no-block", "8be9"}).code, kDone);
  EXPECT_THAT(fleet_.machine_posts, testing::ElementsAre("8be9/drain"));
  EXPECT_FALSE(JournalCommand().flags[2].from_environment);
  EXPECT_EQ(JournalCommand().flags[2].name, "output");
}

TEST_F(FormatsTest, OfAnExplanationHaveEachMachineWhereTheyAreWide) {
  fleet_.explanations["a.service"] = {
      {"unit", "a.service"},
      {"state", "pending"},
      {"verdicts", json::array({json{{"machineID", FakeFleet::kMachine},
                                     {"ruledOutBy", json::array({"it is cordoned"})}}})}};
  EXPECT_THAT(Run({"explain", "a.service"}, "wide").out, HasSubstr("it is cordoned"));
  EXPECT_THAT(Run({"explain", "a.service"}, "text").out, testing::Not(HasSubstr("cordoned")));
}

TEST_F(FormatsTest, HaveNoHeaderLineIfAsked) {
  fleet_.features = json::array({json{{"name", "isolation"}, {"enabled", true}}});
  EXPECT_EQ(fleet_.Run({"features", "--no-legend"}).out, "isolation\tyes\t-\n");
  EXPECT_EQ(fleet_.Run({"rollout", "history", "--no-legend", "-l", "web@.service"}).out,
            "of-web@.service\t-\tsubmit\n");
}

TEST_F(FormatsTest, OfARebalanceAreThoseOfItsPlan) {
  EXPECT_EQ(json::parse(Run({"rebalance", "--dry-run"}, "json").out), fleet_.plan);
  EXPECT_EQ(Run({"rebalance"}, "json").code, kUsage);
  fleet_.variables["FLEETCTL_OUTPUT"] = "json";
  EXPECT_EQ(fleet_.Run({"rebalance"}).code, kDone);
}

TEST_F(FormatsTest, OfRolloutsSayOfWhichUnitEachLineIs) {
  EXPECT_EQ(fleet_.Run({"rollout", "status"}).out,
            "api@.service, web@.service: update running, 0 of 0 units\n"
            "  api@.service brings abcdef0 instead of 9876543\n"
            "  web@.service brings abcdef0 instead of 9876543\n");
  EXPECT_EQ(fleet_.Run({"rollout", "history", "-l", "api@.service", "web@.service"}).out,
            "UNIT        \tHASH           \tSINCE\tHOW\n"
            "api@.service\tof-api@.service\t-    \tsubmit\n"
            "web@.service\tof-web@.service\t-    \tsubmit\n");
  EXPECT_EQ(fleet_.Run({"rollout", "history", "-l", "web@.service"}).out,
            "HASH           \tSINCE\tHOW\nof-web@.service\t-    \tsubmit\n");
  EXPECT_EQ(Run({"rollout", "status"}, "name").out, "api@.service\nweb@.service\n");
}

}  // namespace
}  // namespace fleet::fleetctl
