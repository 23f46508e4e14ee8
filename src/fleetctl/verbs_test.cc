#include "fleetctl/verbs.h"

#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> Shown(std::string_view arguments) {
  std::vector<std::string> shown;
  for (const Verb& verb : VerbsOf(arguments))
    shown.push_back(std::string(verb.name) + ": " + std::string(verb.arguments));
  return shown;
}

TEST(Verbs, AreReadFromTheUsageLine) {
  EXPECT_THAT(Shown("status|undo [UNIT…]"), ElementsAre("status: [UNIT…]", "undo: [UNIT…]"));
  EXPECT_THAT(Shown("start NAME|FILE… | add | drain MACHINE"),
              ElementsAre("start: NAME|FILE…", "add: ", "drain: MACHINE"));
  EXPECT_THAT(Shown("NAME…"), IsEmpty());
  EXPECT_THAT(Shown("[NAME…]"), IsEmpty());
  EXPECT_THAT(Shown(""), IsEmpty());
}

TEST(Verbs, MayBeShortenedAndAreSuggested) {
  FakeFleet fleet;
  fleet.rollouts["web@.service"] = {{{"name", "web@.service"}, {"state", "done"}}};
  EXPECT_EQ(fleet.Run({"rollout", "stat", "web@"}).code, kDone);
  Result result = fleet.Run({"rollout", "stauts", "web@"});
  EXPECT_EQ(result.code, kUsage);
  EXPECT_THAT(result.err, HasSubstr("unknown verb \"stauts\", did you mean \"status\"?"));
  EXPECT_THAT(fleet.Run({"plan", "d"}).err, HasSubstr("\"d\" may be destroy, drain"));
  EXPECT_THAT(fleet.Run({"stauts"}).err, HasSubstr("did you mean \"status\"?"));
  EXPECT_THAT(fleet.Run({"help", "lst"}).err,
              HasSubstr("did you mean \"list-machines\" or \"list-unit-files\" or "
                        "\"list-units\"?"));
}

TEST(Arguments, ThatCannotBeMeantAreUsageErrors) {
  FakeFleet fleet;
  for (const std::string command : {"cordon", "uncordon", "drain", "forget", "metadata"}) {
    const Result result = fleet.Run({command, ""});
    EXPECT_EQ(result.code, kUsage) << command;
    EXPECT_THAT(result.err, HasSubstr("an empty word stands for no machine"));
  }
  EXPECT_EQ(fleet.Run({"plan", "drain", ""}).code, kUsage);
  EXPECT_THAT(fleet.machine_posts, IsEmpty());
  const Result scale = fleet.Run({"scale", "app@", "-1"});
  EXPECT_EQ(scale.code, kUsage);
  EXPECT_THAT(scale.err, HasSubstr("a number from 0 up, not -1"));
  EXPECT_THAT(fleet.Run({"scale", "app@", "-x"}).err, HasSubstr("unknown flag -x"));
}

}  // namespace
}  // namespace fleet::fleetctl
