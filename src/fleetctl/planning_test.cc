// explain, plan and rebalance as commands, and what a start that is refused says.

#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr char kText[] = "[Service]\nExecStart=/bin/sleep 1d\n";
const std::string kMachine(FakeFleet::kMachine);
const std::string kOther = "b1b2b3b4b5b6b7b8b9b0b1b2b3b4b5b6";

json Waiting(const std::string& unit) {
  return {
      {"revision", 7},
      {"unit", unit},
      {"state", "waiting"},
      {"machines", json::array()},
      {"reason", "no machine is eligible: 2 of 3 have too little memory"},
      {"together", {unit, "side.service"}},
      {"total", 3},
      {"ruledOut",
       {{{"constraint", "ReserveMemory=4G"}, {"machines", 2}, {"inAll", 3}, {"alone", 2}},
        {{"constraint", "Conflicts with a.service"}, {"machines", 1}, {"inAll", 1}, {"alone", 0}}}},
      {"remedies",
       {{{"kind", "reserveMemory"},
         {"change", "2 machines fit but for ReserveMemory=4G (at most 3G)"},
         {"machines", 2}}}},
      {"conflicts", {"a.service"}},
      {"notes", {"no machine has zone=c"}},
      {"verdicts",
       {{{"machineID", kMachine},
         {"eligible", false},
         {"ruledOutBy", {"ReserveMemory=4G", "Conflicts with a.service"}}},
        {{"machineID", kOther},
         {"eligible", true},
         {"ruledOutBy", json::array()},
         {"score", {{"spreadValue", "a"}, {"spread", 1}, {"load", 375'000}, {"byShare", true}}}}}}};
}

json Change(const std::string& change, const std::string& unit, const std::string& from,
            const std::string& machine, const std::string& reason = "why") {
  return {
      {"change", change}, {"unit", unit}, {"from", from}, {"machine", machine}, {"reason", reason}};
}

json PlanOf(const json& changes) { return {{"revision", 7}, {"changes", changes}}; }

TEST(Explain, SaysWhatRulesMachinesOutAndWhatWouldHelp) {
  FakeFleet fleet;
  fleet.Add("db.service", "launched", kText);
  fleet.explanations["db.service"] = Waiting("db.service");
  const Result result = fleet.Run({"explain", "db"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out,
            "db.service: not placed: no machine is eligible: 2 of 3 have too little memory\n"
            "  shares its machine with side.service\n"
            "  OF 3 MACHINES, RULED OUT BY\tIN ALL\tALONE\n"
            "  ReserveMemory=4G           \t3     \t2\n"
            "  Conflicts with a.service   \t1     \t0\n"
            "  what would help:\n"
            "    2 machines fit but for ReserveMemory=4G (at most 3G)\n"
            "  conflicts with a.service\n"
            "  note: no machine has zone=c\n");
}

TEST(Explain, HasALineForEachMachineWhenAskedTo) {
  FakeFleet fleet;
  fleet.Add("db.service", "launched", kText);
  fleet.explanations["db.service"] = Waiting("db.service");
  const Result result = fleet.Run({"explain", "-l", "db"});
  EXPECT_THAT(
      result.out,
      AllOf(HasSubstr(Cat(kMachine, "/10.0.0.1\tReserveMemory=4G; Conflicts with a.service\n")),
            HasSubstr(Cat(kOther, "         \teligible: load 37.5%, 1 instance in a\n"))));
}

TEST(Explain, SaysWhereAUnitIs) {
  FakeFleet fleet;
  for (const std::string name : {"a.service", "b.service"}) {
    fleet.Add(name, "launched", kText);
    fleet.explanations[name] = {{"unit", name},
                                {"state", "placed"},
                                {"machines", {kMachine}},
                                {"reason", "the least loaded of 3; next best " + kOther}};
  }
  const std::string line =
      "on 8be9f57e.../10.0.0.1: the least loaded of 3; next best b1b2b3b4...\n";
  EXPECT_EQ(fleet.Run({"explain", "*"}).out,
            Cat("a.service: placed ", line, "\nb.service: placed ", line));
  fleet.explanations["a.service"]["state"] = "moving";
  EXPECT_THAT(fleet.Run({"explain", "a"}).out, StartsWith("a.service: moving, on 8be9f57e..."));
  fleet.explanations["a.service"]["state"] = "global";
  EXPECT_THAT(fleet.Run({"explain", "a"}).out, StartsWith("a.service: global, on 8be9f57e..."));
}

TEST(Explain, PrintsTheAnswerItself) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched", kText);
  fleet.Add("b.service", "launched", kText);
  fleet.explanations["a.service"] = Waiting("a.service");
  fleet.explanations["b.service"] = Waiting("b.service");
  EXPECT_EQ(json::parse(fleet.Run({"explain", "a", "-o", "json"}).out), Waiting("a.service"));
  EXPECT_THAT(json::parse(fleet.Run({"explain", "a", "b", "-o", "json"}).out), SizeIs(2));
  EXPECT_THAT(fleet.Run({"explain", "a", "-o", "yaml"}).out, HasSubstr("unit: a.service\n"));
  EXPECT_EQ(fleet.Run({"explain", "a", "-o", "cat"}).code, kUsage);
}

TEST(Explain, AnUnknownUnitEndsWithFour) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched", kText);
  fleet.explanations["a.service"] = Waiting("a.service");
  const Result result = fleet.Run({"explain", "none", "a"});
  EXPECT_EQ(result.code, kNotFound);
  EXPECT_THAT(result.err, HasSubstr("none.service not found"));
  EXPECT_THAT(result.out, HasSubstr("a.service: not placed"));
}

TEST(Start, ThatIsRefusedSaysWhatWouldHelp) {
  FakeFleet fleet;
  fleet.after_change = [](json& unit) {
    unit["progress"] = "waiting";
    unit["reason"] = "no machine is eligible: 3 of 3 have too little memory";
  };
  fleet.explanations["db.service"] = Waiting("db.service");
  const Result result = fleet.Run({"start", fleet.Write("db.service", kText)});
  EXPECT_EQ(result.code, kNotEligible);
  EXPECT_EQ(result.err,
            "Error: unit db.service cannot be launched: no machine is eligible: 3 of 3 have too "
            "little memory\n"
            "  2 machines fit but for ReserveMemory=4G (at most 3G)\n");
}

TEST(Start, ThatIsRefusedSaysWhyEvenIfNobodyExplains) {
  FakeFleet fleet;
  fleet.after_change = [](json& unit) { unit["progress"] = "waiting"; };
  const Result result = fleet.Run({"start", fleet.Write("db.service", kText)});
  EXPECT_EQ(result.code, kNotEligible);
  EXPECT_EQ(result.err, "Error: unit db.service cannot be launched: no machine is eligible\n");
}

TEST(Plan, IsATableAndACountOfEachKind) {
  FakeFleet fleet;
  fleet.plan = PlanOf(
      {Change("place", "a.service", "", kMachine), Change("move", "b.service", kMachine, kOther),
       Change("stop", "c.service", kMachine, ""), Change("wait", "d.service", kMachine, ""),
       Change("place", "e.service", "", kOther)});
  const Result result = fleet.Run({"plan", "lose", "8be9"});
  EXPECT_EQ(result.code, kPlanChanges);
  EXPECT_EQ(result.out,
            "CHANGE\tUNIT     \tFROM                \tMACHINE             \tREASON\n"
            "place \ta.service\t-                   \t8be9f57e.../10.0.0.1\twhy\n"
            "move  \tb.service\t8be9f57e.../10.0.0.1\tb1b2b3b4...         \twhy\n"
            "stop  \tc.service\t8be9f57e.../10.0.0.1\t-                   \twhy\n"
            "wait  \td.service\t8be9f57e.../10.0.0.1\t-                   \twhy\n"
            "place \te.service\t-                   \tb1b2b3b4...         \twhy\n");
  EXPECT_EQ(result.err, "2 placed, 1 moved, 1 stopped, 1 would wait\n");
  EXPECT_THAT(fleet.Run({"plan", "lose", "8be9", "--no-legend", "-l"}).out,
              StartsWith(Cat("place\ta.service\t-", std::string(40, ' '), "\t", kMachine)));
  EXPECT_EQ(fleet.Run({"plan", "lose", "8be9", "-o", "name"}).out,
            "a.service\nb.service\nc.service\nd.service\ne.service\n");
  EXPECT_EQ(json::parse(fleet.Run({"plan", "lose", "8be9", "-o", "json"}).out), fleet.plan);
  EXPECT_THAT(fleet.Changes(), IsEmpty());
}

TEST(Plan, OfNothingEndsWithZero) {
  FakeFleet fleet;
  fleet.plan = PlanOf(json::array());
  const Result result = fleet.Run({"plan", "rebalance"});
  EXPECT_EQ(result.code, kDone);
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_EQ(result.err, "Nothing would change.\n");
}

TEST(Plan, OfAStartTakesFilesAndTheRegistryAsStartDoes) {
  FakeFleet fleet;
  fleet.plan = PlanOf(json::array());
  fleet.Add("old.service", "inactive", kText);
  fleet.Add("web@.service", "inactive", kText);
  const std::string path = fleet.Write("old.service", "[Service]\nExecStart=/new\n");
  const std::string fresh = fleet.Write("new.service", kText);
  const Result result = fleet.Run({"plan", "start", fresh, path, "web@1"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(result.err, HasSubstr("WARNING: Unit old.service in registry differs"));
  EXPECT_EQ(fleet.PlanRequests().back().first, "/plan");
  EXPECT_EQ(fleet.PlanRequests().back().second,
            json({{"verb", "start"},
                  {"units",
                   {{{"name", "new.service"}, {"content", kText}},
                    {{"name", "old.service"}},
                    {{"name", "web@1.service"}}}}}));
  EXPECT_THAT(fleet.Run({"plan", "start", "--replace", path}).err, Not(HasSubstr("WARNING")));
  EXPECT_EQ(fleet.PlanRequests().back().second["units"][0]["content"],
            "[Service]\nExecStart=/new\n");
}

TEST(Plan, SendsWhatEachVerbNeeds) {
  FakeFleet fleet;
  fleet.plan = PlanOf(json::array());
  fleet.Add("web@.service", "inactive", kText);
  fleet.Add("web@1.service", "launched", kText);
  const auto sent = [&](const std::vector<std::string>& words) {
    const Result result = fleet.Run(words);
    EXPECT_EQ(result.code, kDone) << result.err;
    return fleet.PlanRequests().back().second;
  };
  EXPECT_EQ(sent({"plan", "drain", "8be9"}), json({{"verb", "drain"}, {"machine", "8be9"}}));
  EXPECT_EQ(sent({"plan", "add", "--like", "8be9", "-n", "2"}),
            json({{"verb", "add"}, {"machine", "8be9"}, {"count", 2}}));
  EXPECT_EQ(sent({"plan", "scale", "web@", "3"}),
            json({{"verb", "scale"}, {"units", {{{"name", "web@.service"}}}}, {"count", 3}}));
  EXPECT_EQ(sent({"plan", "scale", "--reset", "web@"}),
            json({{"verb", "scale"}, {"units", {{{"name", "web@.service"}}}}, {"reset", true}}));
  EXPECT_EQ(sent({"plan", "rebalance", "--max-moves=0"}),
            json({{"verb", "rebalance"}, {"maxMoves", 0}}));
  EXPECT_EQ(sent({"plan", "destroy", "web@*"}),
            json({{"verb", "destroy"},
                  {"units", {{{"name", "web@.service"}}, {{"name", "web@1.service"}}}}}));
}

TEST(Plan, NoErrorEndsWithTheCodeOfChanges) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched", kText);
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"plan"},
                                             {"plan", "stop", "a"},
                                             {"plan", "start"},
                                             {"plan", "scale", "a", "2"},
                                             {"plan", "scale", "web@", "many"},
                                             {"plan", "scale", "--reset", "web@", "2"},
                                             {"plan", "scale", "--reset", "a"},
                                             {"plan", "scale", "web@"},
                                             {"plan", "drain"},
                                             {"plan", "add"},
                                             {"plan", "add", "--like=x", "-n0"},
                                             {"plan", "rebalance", "--max-moves=-1"},
                                             {"plan", "rebalance", "-o", "xml"}}) {
    EXPECT_EQ(fleet.Run(words).code, kUsage) << Join(words, " ");
  }
  EXPECT_EQ(fleet.Run({"plan", "destroy", "none"}).code, kNotFound);
  EXPECT_EQ(fleet.Run({"plan", "start", "none"}).code, kNotFound);
  EXPECT_THAT(fleet.PlanRequests(), IsEmpty());
  fleet.plan = {{"error", {{"code", 503}, {"message", "too many plans"}}}};
  const Result busy = fleet.Run({"plan", "lose", "8be9"});
  EXPECT_EQ(busy.code, kPlanFailed);
  EXPECT_THAT(busy.err, HasSubstr("too many plans"));
  fleet.plan = {{"error", {{"code", 404}, {"message", "no machine"}}}};
  EXPECT_EQ(fleet.Run({"plan", "lose", "x"}).code, kNotFound);
}

class RebalanceTest : public testing::Test {
 protected:
  RebalanceTest() {
    fleet_.Add("a.service", "launched", kText);
    fleet_.machines.push_back({{"id", kOther}, {"primaryIP", "10.0.0.2"}});
    fleet_.plan = PlanOf(json::array({Change("move", "a.service", kMachine, kOther)}));
  }

  FakeFleet fleet_;
};

TEST_F(RebalanceTest, WaitsUntilTheUnitsRunWhereTheyWereToGo) {
  fleet_.units["a.service"]["machineID"] = kOther;
  const Result result = fleet_.Run({"rebalance", "--max-moves=3"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out,
            "Unit a.service moves from 8be9f57e.../10.0.0.1 to b1b2b3b4.../10.0.0.2\n"
            "Unit a.service launched on b1b2b3b4.../10.0.0.2\n");
  EXPECT_EQ(fleet_.PlanRequests().back().first, "/rebalance");
  EXPECT_EQ(fleet_.PlanRequests().back().second, json({{"maxMoves", 3}}));
}

TEST_F(RebalanceTest, MayLeaveTheMovesToTheCluster) {
  const Result result = fleet_.Run({"rebalance", "--no-block"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_THAT(result.out, Not(HasSubstr("launched")));
}

TEST_F(RebalanceTest, IsBoundedByItsTimeout) {
  fleet_.units["a.service"]["moveTo"] = kOther;
  const Result result = fleet_.Run({"rebalance", "--timeout=50ms"});
  EXPECT_EQ(result.code, kTimedOut);
  EXPECT_THAT(result.err, HasSubstr("unit a.service to be moved: its move has not begun yet"));
}

TEST_F(RebalanceTest, SaysWhatStaysWhereItIs) {
  Result result = fleet_.Run({"rebalance"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("a.service was not moved: it is on 8be9f57e.../10.0.0.1\n"));
  fleet_.plan = {{"revision", 7}, {"changes", json::array()}, {"skipped", {"a.service"}}};
  result = fleet_.Run({"rebalance"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("a.service is not moved: others changed it"));
}

TEST_F(RebalanceTest, OfWhatIsEvenDoesNothing) {
  fleet_.plan = PlanOf(json::array());
  const Result result = fleet_.Run({"rebalance"});
  EXPECT_EQ(result.code, kDone);
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_EQ(result.err, "Nothing to do: the load is even.\n");
}

TEST_F(RebalanceTest, ADryRunIsThePlan) {
  const Result result = fleet_.Run({"rebalance", "--dry-run", "--max-moves=1"});
  EXPECT_EQ(result.code, kPlanChanges);
  EXPECT_THAT(result.out, HasSubstr("move  \ta.service"));
  EXPECT_EQ(result.err, "1 moved\n");
  EXPECT_EQ(fleet_.PlanRequests().back().first, "/plan");
  EXPECT_EQ(fleet_.PlanRequests().back().second, json({{"verb", "rebalance"}, {"maxMoves", 1}}));
}

TEST(ListUnitFiles, ShowsTheReasonInShort) {
  FakeFleet fleet;
  fleet.Add("a.service", "launched", kText);
  fleet.units["a.service"]["reason"] = std::string(59, 'x') + "\xC3\xA4 tail";
  EXPECT_EQ(fleet.Run({"list-unit-files", "--fields=reason", "--no-legend"}).out,
            std::string(59, 'x') + "...\n");
  EXPECT_THAT(fleet.Run({"list-unit-files", "--fields=reason", "-l"}).out, HasSubstr("tail"));
  EXPECT_THAT(fleet.Run({"list-unit-files", "-o", "wide"}).out, HasSubstr("\tREASON\n"));
  EXPECT_THAT(fleet.Run({"list-unit-files"}).out, Not(HasSubstr("REASON")));
}

}  // namespace
}  // namespace fleet::fleetctl
