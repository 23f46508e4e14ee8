// What somebody else than fleet has done to units, where an operator looks.

#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const char* const kDrift = "stopped by hand";

json StateOf(const std::string& unit) {
  return {{"name", unit}, {"machineID", FakeFleet::kMachine}, {"systemdActiveState", "inactive"}};
}

TEST(Drift, IsListedAndFilteredFor) {
  FakeFleet fleet;
  fleet.states = json::array({StateOf("a.service"), StateOf("b.service")});
  fleet.states[1]["drift"] = kDrift;
  EXPECT_THAT(fleet.Run({"list-units", "-o", "wide"}).out, HasSubstr(kDrift));
  EXPECT_EQ(fleet.Run({"list-units", "--no-legend", "--fields=unit,drift"}).out,
            "a.service\t-\nb.service\tstopped by hand\n");
  EXPECT_EQ(fleet.Run({"list-units", "-o", "name", "--state=drifted"}).out, "b.service\n");

  fleet.Add("a.service", "launched");
  fleet.Add("b.service", "launched");
  fleet.units["b.service"]["drift"] = kDrift;
  fleet.Add("g.service", "launched");
  fleet.units["g.service"]["global"] = true;
  fleet.units["g.service"]["machines"] =
      json::array({{{"machineID", FakeFleet::kMachine}, {"drift", "masked"}}});
  EXPECT_EQ(fleet.Run({"list-unit-files", "--no-legend", "--fields=unit,reason"}).out,
            "a.service\t-\nb.service\tstopped by hand\ng.service\tmasked\n");
  EXPECT_EQ(fleet.Run({"list-unit-files", "-o", "name", "--state=drifted"}).out,
            "b.service\ng.service\n");
}

TEST(Drift, IsSaidByStatusAndExplain) {
  FakeFleet fleet;
  fleet.Add("g.service", "launched");
  fleet.units["g.service"]["global"] = true;
  fleet.units["g.service"]["machines"] = json::array({{{"machineID", FakeFleet::kMachine},
                                                       {"systemdLoadState", "loaded"},
                                                       {"systemdActiveState", "active"},
                                                       {"systemdSubState", "running"}}});
  fleet.explanations["g.service"] = {{"unit", "g.service"}, {"state", "global"}};
  EXPECT_THAT(fleet.Run({"status", "g"}).err, Not(HasSubstr("WARNING")));
  EXPECT_THAT(fleet.Run({"explain", "g"}).out, Not(HasSubstr("as fleet wants it")));
  fleet.units["g.service"]["machines"][0]["drift"] = "its file was edited";
  const std::string said = "not as fleet wants it on 8be9f57e.../10.0.0.1: its file was edited\n";
  EXPECT_THAT(fleet.Run({"status", "g"}).err, HasSubstr("WARNING: Unit g.service is " + said));
  EXPECT_THAT(fleet.Run({"explain", "g"}).out, HasSubstr("\n  " + said));
}

TEST(Hindrance, IsSaidByStatusAndExplain) {
  FakeFleet fleet;
  fleet.Add("g.service", "launched");
  fleet.units["g.service"]["global"] = true;
  fleet.units["g.service"]["machines"] = json::array({{{"machineID", FakeFleet::kMachine},
                                                       {"progress", "pending"},
                                                       {"reason", "disk full; tried again"}}});
  fleet.explanations["g.service"] = {{"unit", "g.service"}, {"state", "global"}};
  const std::string said =
      "not as fleet wants it on 8be9f57e.../10.0.0.1: disk full; tried again\n";
  EXPECT_THAT(fleet.Run({"status", "g"}).err, HasSubstr("WARNING: Unit g.service is " + said));
  EXPECT_THAT(fleet.Run({"explain", "g"}).out, HasSubstr("\n  " + said));
}

}  // namespace
}  // namespace fleet::fleetctl
