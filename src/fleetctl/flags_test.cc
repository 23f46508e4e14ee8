#include "fleetctl/flags.h"

#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<FlagSpec> Specs() {
  return {{"full", 'l', "", "", "full"},      {"follow", 'f', "", "", "follow"},
          {"lines", 'n', "N", "10", "lines"}, {"strict", 0, "BOOL", "true", "strict"},
          {"no-block", 0, "", "", "no wait"}, {"timeout", 0, "DURATION", "", "limit"},
          {.name = "sign", .ignored = true}};
}

Parsed MustParse(const std::vector<std::string>& words, int stop_after = -1) {
  auto parsed = ParseFlags(Specs(), words, stop_after);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? *std::move(parsed) : Parsed{Flags({}), {}, {}};
}

TEST(Flags, StandBeforeBetweenAndAfterArguments) {
  const Parsed parsed = MustParse({"--full", "a", "--lines", "5", "b", "--no-block"});
  EXPECT_TRUE(parsed.flags.On("full"));
  EXPECT_TRUE(parsed.flags.On("no-block"));
  EXPECT_FALSE(parsed.flags.On("follow"));
  EXPECT_EQ(*parsed.flags.Number("lines"), 5);
  EXPECT_THAT(parsed.arguments, ElementsAre("a", "b"));
}

TEST(Flags, AreSpelledInManyWays) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"-l", "-n", "7"},
                                             {"-ln7"},
                                             {"-l", "-n=7"},
                                             {"--l", "--lines=7"},
                                             {"--l", "--n", "7"},
                                             {"-full", "-lines", "7"},
                                             {"-full", "-lines=7"},
                                             {"--full=true", "--n=7"}}) {
    const Parsed parsed = MustParse(words);
    EXPECT_TRUE(parsed.flags.On("full")) << Join(words, " ");
    EXPECT_EQ(*parsed.flags.Number("lines"), 7) << Join(words, " ");
    EXPECT_THAT(parsed.arguments, IsEmpty());
  }
}

TEST(Flags, LettersAreTakenTogether) {
  const Parsed parsed = MustParse({"-lf"});
  EXPECT_TRUE(parsed.flags.On("full"));
  EXPECT_TRUE(parsed.flags.On("follow"));
}

TEST(Flags, ASwitchIsTurnedOffWithItsValueOnly) {
  EXPECT_FALSE(MustParse({"--full=false"}).flags.On("full"));
  const Parsed parsed = MustParse({"--full", "false"});
  EXPECT_TRUE(parsed.flags.On("full"));
  EXPECT_THAT(parsed.arguments, ElementsAre("false"));
}

TEST(Flags, ADoubleDashEndsThem) {
  const Parsed parsed = MustParse({"-l", "--", "--full", "-x"});
  EXPECT_THAT(parsed.arguments, ElementsAre("--full", "-x"));
}

TEST(Flags, ACommandForAnotherMachineKeepsItsOwn) {
  const Parsed parsed = MustParse({"-l", "target", "ls", "-l", "--unknown"}, 1);
  EXPECT_THAT(parsed.arguments, ElementsAre("target", "ls", "-l", "--unknown"));
}

TEST(Flags, MistakesAreUsageErrors) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--unknown"}, {"-x"}, {"-lx"}, {"--lines"}, {"-n"}, {"--full=maybe"}}) {
    const auto parsed = ParseFlags(Specs(), words);
    ASSERT_FALSE(parsed.ok()) << Join(words, " ");
    EXPECT_EQ(ExitCodeOf(parsed.status()), kUsage);
  }
  EXPECT_THAT(std::string(MessageOf(ParseFlags(Specs(), {"--no-blok"}).status())),
              HasSubstr("did you mean --no-block?"));
}

TEST(Flags, ValuesThatDoNotReadAreUsageErrors) {
  EXPECT_EQ(ExitCodeOf(MustParse({"--lines=many"}).flags.Number("lines").status()), kUsage);
  EXPECT_EQ(ExitCodeOf(MustParse({"--lines=-1"}).flags.Number("lines").status()), kUsage);
  EXPECT_EQ(ExitCodeOf(MustParse({"--timeout=soon"}).flags.Duration("timeout").status()), kUsage);
  EXPECT_EQ(*MustParse({"--timeout=1m30s"}).flags.Duration("timeout"), absl::Seconds(90));
}

TEST(Flags, IgnoredOnesAreReported) {
  EXPECT_THAT(MustParse({"--sign"}).ignored, ElementsAre("sign"));
}

TEST(Flags, TheEnvironmentGivesWhatTheCommandLineDoesNot) {
  Parsed parsed = MustParse({"--lines=3"});
  ASSERT_TRUE(ApplyEnvironment(parsed.flags, {{"FLEETCTL_LINES", "9"},
                                              {"FLEETCTL_NO_BLOCK", "1"},
                                              {"FLEETCTL_STRICT", "false"}})
                  .ok());
  EXPECT_EQ(*parsed.flags.Number("lines"), 3);
  EXPECT_TRUE(parsed.flags.On("no-block"));
  EXPECT_EQ(parsed.flags.Text("strict"), "false");
  EXPECT_EQ(ExitCodeOf(ApplyEnvironment(parsed.flags, {{"FLEETCTL_FULL", "perhaps"}})), kUsage);
}

}  // namespace
}  // namespace fleet::fleetctl
