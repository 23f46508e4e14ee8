// The scripts of `completion`, run by the shells that are here.

#include <cstdio>
#include <cstdlib>

#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

class BashTest : public ::testing::Test {
 protected:
  BashTest() {
    fleet_.Write("script", fleet_.Run({"completion", "bash"}).out);
    // Stands for the program: the names it has been asked for, and with which cluster.
    fleet_.Write("fleetctl",
                 "#!/bin/sh\ncase \"$*\" in\n"
                 "  *list-unit-files*) echo web@1.service; echo web@2.service; echo db.service ;;\n"
                 "  *list-machines*) echo 8be9f57e; echo b1b2 ;;\nesac\n"
                 "echo \"$*\" >>" +
                     fleet_.directory() + "asked\n");
    EXPECT_EQ(std::system(Cat("chmod +x ", fleet_.directory(), "fleetctl").c_str()), 0);
  }

  // What bash would offer behind `line`.
  std::vector<std::string> Complete(const std::string& line) {
    fleet_.Write("line", line);
    const std::string command =
        Cat("cd ", fleet_.directory(), " && PATH=.:$PATH bash -c 'compopt() { :; }; . ./script; ",
            "COMP_LINE=$(cat line; echo x); COMP_LINE=${COMP_LINE%x}; COMP_POINT=${#COMP_LINE}; ",
            "_fleetctl && printf \"%s\\n\" \"${COMPREPLY[@]}\"' 2>&1");
    FILE* pipe = popen(command.c_str(), "r");
    std::string text;
    char bytes[4096];
    for (size_t n = 0; (n = fread(bytes, 1, sizeof(bytes), pipe)) > 0;) text.append(bytes, n);
    pclose(pipe);
    return SplitList(text, '\n');
  }

  FakeFleet fleet_;
};

TEST_F(BashTest, CompletesCommands) {
  EXPECT_THAT(Complete("fleetctl list-u"), UnorderedElementsAre("list-unit-files", "list-units"));
  EXPECT_THAT(Complete("fleetctl "), IsSupersetOf({"start", "logs", "top"}));
  EXPECT_THAT(Complete("fleetctl --endpoint http://x list-m"), ElementsAre("list-machines"));
  EXPECT_THAT(Complete("fleetctl help lo"), UnorderedElementsAre("load", "logs"));
}

TEST_F(BashTest, CompletesFlagsOfTheCommandAndOfAll) {
  EXPECT_THAT(Complete("fleetctl logs --fol"), ElementsAre("--follow"));
  EXPECT_THAT(Complete("fleetctl logs --endp"), ElementsAre("--endpoint="));
  EXPECT_THAT(Complete("fleetctl start --fol"), Not(Contains("--follow")));
}

TEST_F(BashTest, CompletesUnitsOfTheCluster) {
  EXPECT_THAT(Complete("fleetctl stop d"), ElementsAre("db.service"));
  EXPECT_THAT(Complete("fleetctl stop db.service w"),
              UnorderedElementsAre("web@1.service", "web@2.service"));
  // bash takes what stands before @ for a word of its own.
  EXPECT_THAT(Complete("fleetctl stop web@"), UnorderedElementsAre("1.service", "2.service"));
  EXPECT_THAT(Complete("fleetctl stop --no-block d"), ElementsAre("db.service"));
}

TEST_F(BashTest, CompletesMachinesAndFormats) {
  EXPECT_THAT(Complete("fleetctl metadata 8"), ElementsAre("8be9f57e"));
  EXPECT_THAT(Complete("fleetctl list-units --machine b"), ElementsAre("b1b2"));
  EXPECT_THAT(Complete("fleetctl list-units --machine=b"), ElementsAre("b1b2"));
  EXPECT_THAT(Complete("fleetctl list-units -o ya"), ElementsAre("yaml"));
  EXPECT_THAT(Complete("fleetctl logs -o c"), ElementsAre("cat"));
  EXPECT_THAT(Complete("fleetctl ssh "), IsSupersetOf({"db.service", "b1b2"}));
}

TEST_F(BashTest, CompletesFilesBesideUnitsWhereBothMayStand) {
  fleet_.Write("dx.service", "");
  EXPECT_THAT(Complete("fleetctl start d"), UnorderedElementsAre("db.service", "dx.service"));
}

TEST_F(BashTest, AsksTheClusterOfTheLine) {
  Complete("fleetctl --endpoint=http://far:1 stop d");
  std::string asked;
  if (FILE* file = fopen((fleet_.directory() + "asked").c_str(), "r")) {
    char bytes[1024] = {};
    asked.assign(bytes, fread(bytes, 1, sizeof(bytes), file));
    fclose(file);
  }
  EXPECT_THAT(asked, HasSubstr("--endpoint=http://far:1 list-unit-files -o name"));
}

TEST(Completion, NamesEachCommandInEachShell) {
  FakeFleet fleet;
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const Result result = fleet.Run({"completion", shell});
    EXPECT_EQ(result.code, kDone);
    for (const Command& command : Commands())
      EXPECT_THAT(result.out, HasSubstr(std::string(command.name))) << shell;
  }
  EXPECT_EQ(fleet.Run({"completion", "tcsh"}).code, kUsage);
}

TEST(Help, HasAnExampleForEachCommand) {
  for (const Command& command : Commands()) {
    EXPECT_THAT(std::string(command.example), HasSubstr(Cat("fleetctl ", command.name)))
        << command.name;
  }
}

}  // namespace
}  // namespace fleet::fleetctl
