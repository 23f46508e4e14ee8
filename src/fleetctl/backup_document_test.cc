#include "fleetctl/backup_document.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr char kHead[] = R"({"format": "fleet backup", "version": 1, )";

std::string MessageFor(const std::string& text) {
  const auto document = ParseBackup(text, "f.json");
  EXPECT_FALSE(document.ok()) << text;
  return std::string(document.status().message());
}

TEST(BackupDocument, ReadsBackWhatItWrites) {
  const BackupDocument document{
      .created = "2026-01-02T03:04:05Z",
      .fleet_version = "2.0.0",
      .revision = int64_t{1} << 40,
      .units = {{"a.service", "launched", "# \"größe\" \\\r\n[Service]\r\nExecStart=/x \\\n  y"},
                {"empty.target", "inactive", ""},
                {"mark.service", "loaded", "\xEF\xBB\xBF[Service]\n\tA=\x01\x7F\xF0\x9F\x9A\x80\n"},
                {"web@.service", "inactive", "[Service]\n", 3},
                {"web@1.service", "launched", "[Service]\n", std::nullopt, true}},
      .machines = {{"m1", {{"zone", "a/b~c"}, {"ü", "\"x\" y"}}, {"disk"}},
                   {"m2", {}, {}, true, true}},
      .rollouts = {{"web@.service",
                    {{"[Service]\n", "2026-01-02T03:04:05+00:00", "update"}, {"", "", "submit"}}}},
      .unreadable = {"units/b.service"}};
  const auto read = ParseBackup(FormatBackup(document), "f.json");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, document);
}

TEST(BackupDocument, IsForPeopleToReadToo) {
  EXPECT_EQ(FormatBackup({.created = "2026-01-02T03:04:05Z",
                          .fleet_version = "2.0.0",
                          .revision = 7,
                          .units = {{"a.service", "launched", "[Service]\nExecStart=/x\n"}},
                          .machines = {{"m1", {{"zone", "a"}}, {"disk"}}}}),
            R"({
  "format": "fleet backup",
  "version": 1,
  "created": "2026-01-02T03:04:05Z",
  "fleetVersion": "2.0.0",
  "revision": 7,
  "units": [
    {
      "name": "a.service",
      "desiredState": "launched",
      "content": "[Service]\nExecStart=/x\n"
    }
  ],
  "machines": [
    {
      "id": "m1",
      "metadata": {
        "zone": "a"
      },
      "removedMetadata": [
        "disk"
      ]
    }
  ]
}
)");
}

TEST(BackupDocument, TellsWhatIsCutShortFromWhatIsForeign) {
  const std::string whole = FormatBackup({.units = {{"a.service", "loaded", "[Service]\n"}}});
  for (size_t size = 1; size + 2 < whole.size(); ++size) {
    EXPECT_FALSE(ParseBackup(whole.substr(0, size), "f.json").ok()) << size;
  }
  EXPECT_EQ(MessageFor(whole.substr(0, whole.size() / 2)),
            "f.json is cut short: it ends in the middle of a backup");
  EXPECT_EQ(MessageFor(" \n"), "f.json is empty");
  EXPECT_THAT(MessageFor("[Service]\nExecStart=/x\n"), HasSubstr("not JSON"));
  EXPECT_THAT(MessageFor("[]"), HasSubstr("not a backup of fleet"));
  EXPECT_THAT(MessageFor(R"({"units": []})"), HasSubstr("not a backup of fleet"));
  EXPECT_THAT(MessageFor(R"({"format": 7, "version": 1})"), HasSubstr("not a backup of fleet"));
}

TEST(BackupDocument, OfANewerVersionIsRefused) {
  const std::string message =
      MessageFor(R"({"format": "fleet backup", "version": 2, "novel": true})");
  EXPECT_THAT(message, StartsWith("f.json is a backup of version 2"));
  EXPECT_THAT(message, HasSubstr("Use a newer fleetctl"));
  EXPECT_THAT(MessageFor(R"({"format": "fleet backup", "version": "1"})"), HasSubstr("version"));
}

TEST(BackupDocument, NamesWhatIsWrongInAnEditedOne) {
  struct Case {
    std::string rest;
    std::string said;
  };
  const auto unit = [](const std::string& members) {
    return R"("machines": [], "units": [{)" + members + "}]}";
  };
  const auto machine = [](const std::string& members) {
    return R"("units": [], "machines": [{)" + members + "}]}";
  };
  const std::string good = R"("name": "a.service", "desiredState": "loaded", "content": "")";
  for (const Case& c : {
           Case{R"("units": []})", R"(f.json: "machines" has to be an array)"},
           Case{R"("units": {}, "machines": []})", R"("units" has to be an array)"},
           Case{R"("units": [7], "machines": []})", "unit number 1 has to be an object"},
           Case{R"("units": [], "machines": [], "extra": 1})", R"(unknown member "extra")"},
           Case{unit(R"("desiredState": "loaded", "content": "")"), R"(unit number 1: "name")"},
           Case{unit(R"("name": "a.service", "content": "")"), R"(unit a.service: "desiredState")"},
           Case{unit(R"("name": "a.service", "desiredState": "loaded")"), R"("content" has to be)"},
           Case{unit(R"("name": "a", "desiredState": "loaded", "content": "")"), "unit a: "},
           Case{unit(R"("name": "a.service", "desiredState": "bogus", "content": "")"), "bogus"},
           Case{unit(R"("name": "a@.service", "desiredState": "launched", "content": "")"),
                "a template cannot be launched"},
           Case{unit(R"("name": "a.service", "desiredState": "loaded", "content": "x")"), "line 1"},
           Case{unit(good + R"(, "desiredSate": "loaded")"), R"(unknown member "desiredSate")"},
           Case{unit(good + "}, {" + good), "unit a.service is there twice"},
           Case{machine(R"("metadata": {})"), R"(machine number 1: "id")"},
           Case{machine(R"("id": "m", "metadata": {"a": 1})"), "an object of texts"},
           Case{machine(R"("id": "m", "removedMetadata": [1])"), "an array of texts"},
           Case{machine(R"("id": "m", "metadata": {"a": "1"}, "removedMetadata": ["a"])"),
                "both set and removed"},
           Case{machine(R"("id": "m"}, {"id": "m")"), "machine m is there twice"},
       }) {
    EXPECT_THAT(MessageFor(kHead + c.rest), HasSubstr(c.said)) << c.rest;
  }
  EXPECT_TRUE(ParseBackup(kHead + unit(good), "f.json").ok());
  EXPECT_TRUE(ParseBackup(kHead + machine(R"("id": "m")"), "f.json").ok());
}

}  // namespace
}  // namespace fleet::fleetctl
