#include "base/yaml.h"

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace fleet {
namespace {

TEST(Yaml, IsBlockStyle) {
  const auto json = nlohmann::json::parse(
      R"([{"name":"a.service","units":3,"global":true,"metadata":{"zone":"a"},"none":[],
           "options":[{"name":"X"},{"name":"Y"}]}])");
  EXPECT_EQ(ToYaml(json),
            "- global: true\n"
            "  metadata:\n"
            "    zone: a\n"
            "  name: a.service\n"
            "  none: []\n"
            "  options:\n"
            "    - name: X\n"
            "    - name: \"Y\"\n"
            "  units: 3\n");
}

TEST(Yaml, QuotesWhatWouldReadAsSomethingElse) {
  EXPECT_EQ(ToYaml(nlohmann::json("true")), "\"true\"\n");
  EXPECT_EQ(ToYaml(nlohmann::json("12")), "\"12\"\n");
  EXPECT_EQ(ToYaml(nlohmann::json("a: b")), "\"a: b\"\n");
  EXPECT_EQ(ToYaml(nlohmann::json("line\nline")), "\"line\\nline\"\n");
  EXPECT_EQ(ToYaml(nlohmann::json("")), "\"\"\n");
  EXPECT_EQ(ToYaml(nlohmann::json("/bin/sleep 1d")), "/bin/sleep 1d\n");
}

TEST(Yaml, KeepsTheOrderOfMembersThatHaveOne) {
  const nlohmann::ordered_json json = {{"b", 1}, {"a", 2}};
  EXPECT_EQ(ToYaml(json), "b: 1\na: 2\n");
}

}  // namespace
}  // namespace fleet
