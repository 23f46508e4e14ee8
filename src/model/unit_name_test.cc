#include "model/unit_name.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet {
namespace {

using ::testing::HasSubstr;

std::string WhyInvalid(std::string_view name) {
  auto parsed = UnitName::Parse(name);
  if (parsed.ok()) return "valid";
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(parsed.status().message());
}

TEST(UnitName, HasPartsWithoutAnInstance) {
  auto name = UnitName::Parse("my.web-app.service");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->full(), "my.web-app.service");
  EXPECT_EQ(name->type(), UnitType::kService);
  EXPECT_EQ(name->suffix(), "service");
  EXPECT_EQ(name->stem(), "my.web-app");
  EXPECT_EQ(name->prefix(), "my.web-app");
  EXPECT_EQ(name->instance(), "");
  EXPECT_FALSE(name->is_template());
  EXPECT_FALSE(name->is_instance());
}

TEST(UnitName, SplitsAnInstanceAtTheFirstAt) {
  auto name = UnitName::Parse("web@a@b.socket");
  ASSERT_TRUE(name.ok());
  EXPECT_TRUE(name->is_instance());
  EXPECT_EQ(name->type(), UnitType::kSocket);
  EXPECT_EQ(name->stem(), "web@a@b");
  EXPECT_EQ(name->prefix(), "web");
  EXPECT_EQ(name->instance(), "a@b");
  EXPECT_EQ(name->TemplateName(), "web@.socket");
}

TEST(UnitName, KnowsATemplateByItsEmptyInstance) {
  auto name = UnitName::Parse("web@.timer");
  ASSERT_TRUE(name.ok());
  EXPECT_TRUE(name->is_template());
  EXPECT_FALSE(name->is_instance());
  EXPECT_EQ(name->TemplateName(), "web@.timer");
}

TEST(UnitName, AcceptsEachTypeAndRefusesTemplatesOfThoseThatHaveNone) {
  for (const char* suffix : {"path", "service", "socket", "target", "timer"}) {
    EXPECT_TRUE(UnitName::Parse(std::string("a.") + suffix).ok()) << suffix;
    EXPECT_TRUE(UnitName::Parse(std::string("a@.") + suffix).ok()) << suffix;
  }
  for (const char* suffix : {"automount", "device", "mount", "scope", "slice", "swap"}) {
    EXPECT_TRUE(UnitName::Parse(std::string("a.") + suffix).ok()) << suffix;
    EXPECT_THAT(WhyInvalid(std::string("a@.") + suffix), HasSubstr("cannot be a template"));
  }
}

TEST(UnitName, AcceptsWhatSystemdEscapeMakes) {
  EXPECT_TRUE(UnitName::Parse("var-lib-my\\x2ddata.mount").ok());
  EXPECT_TRUE(UnitName::Parse("a:b_C-1.service").ok());
}

TEST(UnitName, SaysWhichCharacterIsWrongAndWhere) {
  EXPECT_THAT(WhyInvalid("web 1.service"), HasSubstr("' ' at position 4"));
  EXPECT_THAT(WhyInvalid("../etc/passwd.service"), HasSubstr("'/' at position 3"));
  EXPECT_THAT(WhyInvalid("we\nb.service"), HasSubstr("'\\n' at position 3"));
  EXPECT_THAT(WhyInvalid(std::string_view("a\0.service", 10)), HasSubstr("'\\x00' at position 2"));
  EXPECT_THAT(WhyInvalid("w\xC3\xA4.service"), HasSubstr("position 2"));
}

TEST(UnitName, SaysWhatElseIsWrong) {
  EXPECT_THAT(WhyInvalid(""), HasSubstr("empty"));
  EXPECT_THAT(WhyInvalid("web"), HasSubstr("does not end in a unit type"));
  EXPECT_THAT(WhyInvalid("web.conf"), HasSubstr("does not end in a unit type"));
  EXPECT_THAT(WhyInvalid("web."), HasSubstr("does not end in a unit type"));
  EXPECT_THAT(WhyInvalid(".service"), HasSubstr("nothing stands before the suffix"));
  EXPECT_THAT(WhyInvalid("@1.service"), HasSubstr("nothing stands before the @"));
  EXPECT_EQ(WhyInvalid(std::string(247, 'a') + ".service"), "valid");
  EXPECT_THAT(WhyInvalid(std::string(248, 'a') + ".service"), HasSubstr("256 bytes"));
}

TEST(UnitName, AnAtInTheSuffixIsNoInstance) {
  EXPECT_THAT(WhyInvalid("web.ser@vice"), HasSubstr("does not end in a unit type"));
}

TEST(WithDefaultSuffix, AddsServiceOnlyWhereNoSuffixIsKnown) {
  EXPECT_EQ(WithDefaultSuffix("web"), "web.service");
  EXPECT_EQ(WithDefaultSuffix("web@1"), "web@1.service");
  EXPECT_EQ(WithDefaultSuffix("mysql.1"), "mysql.1.service");
  EXPECT_EQ(WithDefaultSuffix("web.socket"), "web.socket");
  EXPECT_EQ(WithDefaultSuffix("web*.timer"), "web*.timer");
}

}  // namespace
}  // namespace fleet
