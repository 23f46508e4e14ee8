#include "model/machine_word.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet {
namespace {

using ::testing::HasSubstr;

// Of the machines aa1, aa2 (whose host name is web) and bb1 (whose host name is aa2x).
absl::StatusOr<std::string> Find(const std::string& text) {
  MachineWord word(text);
  word.Consider("aa1");
  word.Consider("aa2", "web");
  word.Consider("bb1", "aa2x");
  word.Consider("bb1");
  return word.Find();
}

TEST(MachineWord, IsAnIdOrTheBeginningOfOneOrAHostName) {
  EXPECT_EQ(*Find("aa1"), "aa1");
  EXPECT_EQ(*Find("b"), "bb1");
  EXPECT_EQ(*Find("web"), "aa2");
  EXPECT_EQ(*Find("aa2x"), "bb1");
}

TEST(MachineWord, ThatMayMeanSeveralNamesThem) {
  const auto found = Find("aa");
  EXPECT_TRUE(absl::IsInvalidArgument(found.status()));
  EXPECT_THAT(std::string(found.status().message()),
              HasSubstr("any of the machines aa1, aa2: say more"));
}

TEST(MachineWord, ThatIsOneMachinesHostNameAndBeginsAnothersIdMayMeanBoth) {
  MachineWord word("aa");
  word.Consider("aa1");
  word.Consider("bb1", "aa");
  EXPECT_TRUE(absl::IsInvalidArgument(word.Find().status()));
}

TEST(MachineWord, ThatIsAWholeIdMeansThatMachineWhateverElseBeginsSo) {
  MachineWord word("aa");
  word.Consider("aa1", "aa");
  word.Consider("aa");
  EXPECT_EQ(*word.Find(), "aa");
}

TEST(MachineWord, OfNoMachineIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(Find("cc").status()));
  EXPECT_TRUE(absl::IsNotFound(Find("we").status()));
  EXPECT_TRUE(absl::IsNotFound(MachineWord("").Find().status()));
}

TEST(MachineWord, MayMeanAMachineThatIsAwayWhereThatIsKnown) {
  ClusterView view;
  view.machines.Set("aa1", {.value = {.hostname = "web"}});
  view.settings.Set("bb1", {});
  view.assignments.Set({"x.service", "cc1"}, {});
  EXPECT_EQ(*FindPresentMachine(view, "web"), "aa1");
  EXPECT_EQ(*FindKnownMachine(view, "web"), "aa1");
  for (const char* const away : {"bb1", "bb", "cc1", "c"}) {
    EXPECT_TRUE(absl::IsNotFound(FindPresentMachine(view, away).status())) << away;
    EXPECT_TRUE(FindKnownMachine(view, away).ok()) << away;
  }
}

}  // namespace
}  // namespace fleet
