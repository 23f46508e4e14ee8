#include "fleetd/command_line.h"

#include <gtest/gtest.h>

namespace fleet::fleetd {
namespace {

TEST(CommandLine, ReadsTheDefaultConfigurationUnlessOneIsNamed) {
  const auto parsed = ParseCommandLine({});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->config_path, "/etc/fleet/fleet.conf");
  EXPECT_FALSE(parsed->config_named);
  EXPECT_FALSE(parsed->show_version);
  EXPECT_FALSE(parsed->check_config);
}

TEST(CommandLine, TakesTheConfigurationFileInEverySpelling) {
  const std::vector<std::vector<std::string>> spellings = {{"--config", "/x/config"},
                                                           {"-config", "/x/config"},
                                                           {"--config=/x/config"},
                                                           {"-config=/x/config"}};
  for (const auto& arguments : spellings) {
    const auto parsed = ParseCommandLine(arguments);
    ASSERT_TRUE(parsed.ok()) << arguments[0];
    EXPECT_EQ(parsed->config_path, "/x/config") << arguments[0];
    EXPECT_TRUE(parsed->config_named);
  }
}

TEST(CommandLine, TakesAFileThatIsNamedLikeTheFlag) {
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{"--config=config"}, {"--config", "config"}}) {
    const auto parsed = ParseCommandLine(arguments);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->config_path, "config");
  }
}

TEST(CommandLine, AcceptsOneDashOrTwo) {
  for (const char* dashes : {"-", "--"}) {
    const auto parsed =
        ParseCommandLine({dashes + std::string("version"), dashes + std::string("check-config")});
    ASSERT_TRUE(parsed.ok());
    EXPECT_TRUE(parsed->show_version);
    EXPECT_TRUE(parsed->check_config);
  }
}

TEST(CommandLine, RefusesOtherArguments) {
  for (const char* argument : {"version", "--verbose", "-h", "extra", "---version", "--", ""}) {
    const auto parsed = ParseCommandLine({argument});
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << argument;
  }
}

TEST(CommandLine, RefusesAConfigFlagWithoutAFile) {
  EXPECT_EQ(ParseCommandLine({"--config"}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseCommandLine({"--config="}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace fleet::fleetd
