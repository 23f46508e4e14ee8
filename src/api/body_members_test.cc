#include "api/body_members.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fleet::api {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string Wrong(const char* body, std::string_view schema) {
  return std::string(CheckMembers(json::parse(body), schema).message());
}

TEST(BodyMembers, AMistypedOneIsNamedWithThoseThatThereAre) {
  EXPECT_EQ(Wrong(R"({"dedline":"5m"})", "DrainRequest"),
            R"(DrainRequest has no member "dedline": it has deadline, force)");
  EXPECT_EQ(Wrong(R"({"deadline":"5m","force":true})", "DrainRequest"), "");
}

TEST(BodyMembers, NamesMatchInAnyCase) {
  EXPECT_EQ(Wrong(R"({"Deadline":"5m"})", "DrainRequest"), "");
}

TEST(BodyMembers, AreLookedAtInElementsAndInWhatSchemasReferTo) {
  EXPECT_THAT(Wrong(R"({"units":[{"name":"a.service"},{"nam":"b.service"}]})", "RolloutsRequest"),
              HasSubstr(R"(units has no member "nam")"));
  EXPECT_THAT(Wrong(R"({"changes":[{"options":[{"sektion":"Unit"}]}]})", "Batch"),
              HasSubstr(R"(options has no member "sektion")"));
}

TEST(BodyMembers, OfAMemberThatIsOfAnotherTypeNothingIsSaid) {
  EXPECT_EQ(Wrong(R"({"units":7})", "RolloutsRequest"), "");
  EXPECT_EQ(Wrong(R"({"units":[7,null]})", "RolloutsRequest"), "");
}

TEST(BodyMembers, ABodyOfAnotherTypeIsWrong) {
  EXPECT_EQ(Wrong("[1]", "DrainRequest"), "DrainRequest must be an object, and not array");
  for (const char* body : {"null", "1", "true", "\"deadline\"", "[]"}) {
    EXPECT_NE(Wrong(body, "DrainRequest"), "") << body;
  }
  EXPECT_EQ(Wrong("[]", "MachinePatch"), "");
  EXPECT_NE(Wrong("{}", "MachinePatch"), "");
}

}  // namespace
}  // namespace fleet::api
