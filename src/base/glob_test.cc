#include "base/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace fleet {
namespace {

TEST(Glob, MatchesTheWholeNameOnly) {
  EXPECT_TRUE(GlobMatches("mysql*.service", "mysql.1.service"));
  EXPECT_TRUE(GlobMatches("mysql*.service", "mysql.service"));
  EXPECT_FALSE(GlobMatches("mysql*.service", "mysql.1.service.old"));
  EXPECT_FALSE(GlobMatches("mysql*.service", "a-mysql.1.service"));
  EXPECT_TRUE(GlobMatches("", ""));
  EXPECT_FALSE(GlobMatches("", "a"));
  EXPECT_TRUE(GlobMatches("*", ""));
}

TEST(Glob, QuestionMarkIsExactlyOneCharacter) {
  EXPECT_TRUE(GlobMatches("web@?.service", "web@1.service"));
  EXPECT_FALSE(GlobMatches("web@?.service", "web@.service"));
  EXPECT_FALSE(GlobMatches("web@?.service", "web@12.service"));
}

TEST(Glob, BracketsHoldRangesAndNegations) {
  EXPECT_TRUE(GlobMatches("db[0-9].service", "db7.service"));
  EXPECT_FALSE(GlobMatches("db[^0-9].service", "db7.service"));
  EXPECT_TRUE(GlobMatches("db[^0-9].service", "dbx.service"));
  EXPECT_TRUE(GlobMatches("a[xyz-]b", "a-b"));
  EXPECT_TRUE(GlobMatches("a[]]b", "a]b"));
}

TEST(Glob, BackslashTakesTheNextCharacterLiterally) {
  EXPECT_TRUE(GlobMatches(R"(a\*b)", "a*b"));
  EXPECT_FALSE(GlobMatches(R"(a\*b)", "axb"));
  EXPECT_TRUE(GlobMatches(R"(a[\]]b)", "a]b"));
}

TEST(Glob, SeveralStarsDoNotTakeExponentialTime) {
  std::string glob;
  for (int i = 0; i < 30; ++i) glob += "*a";
  EXPECT_FALSE(GlobMatches(glob + "b", std::string(2000, 'a')));
  EXPECT_TRUE(GlobMatches(glob, std::string(2000, 'a')));
}

TEST(Glob, MalformedOnesAreRefusedAndMatchNothing) {
  for (const char* glob : {"[", "a[b", "[z-a]", "a\\", "[^", "[]"}) {
    EXPECT_EQ(CheckGlob(glob).code(), absl::StatusCode::kInvalidArgument) << glob;
    EXPECT_FALSE(GlobMatches(glob, "a")) << glob;
  }
  EXPECT_TRUE(CheckGlob("mysql*.[a-z]?\\*").ok());
}

TEST(Glob, LiteralPrefixBeginsEveryMatch) {
  EXPECT_EQ(GlobLiteralPrefix("mysql*.service"), "mysql");
  EXPECT_EQ(GlobLiteralPrefix("hello.service"), "hello.service");
  EXPECT_EQ(GlobLiteralPrefix("[ab]c"), "");
  EXPECT_TRUE(IsGlob("web@*.service"));
  EXPECT_FALSE(IsGlob("web@1.service"));
}

}  // namespace
}  // namespace fleet
