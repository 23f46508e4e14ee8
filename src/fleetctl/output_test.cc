#include "fleetctl/output.h"

#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

TEST(Table, AlignsColumnsAndSeparatesThemByOneTab) {
  Table table({"UNIT", "ACTIVE"});
  table.Add({"a.service", "active"});
  table.Add({"long-name.service", ""});
  EXPECT_EQ(table.Render(),
            "UNIT             \tACTIVE\n"
            "a.service        \tactive\n"
            "long-name.service\t-\n");
}

TEST(Table, HasNoHeaderLineIfNoneIsGiven) {
  Table table({});
  table.Add({"a", "b"});
  EXPECT_EQ(table.Render(), "a\tb\n");
}

TEST(Table, KeepsACellOnItsLine) {
  Table table({});
  table.Add({"one\ntwo\tthree", "x"});
  EXPECT_EQ(table.Render(), "one two three\tx\n");
}

TEST(Labels, AreShortenedUnlessFull) {
  const std::string id = "8be9f57e6f3f4a07a4a4a5c2a4b6a7f1";
  EXPECT_EQ(MachineLabel(id, "10.0.0.1", false), "8be9f57e.../10.0.0.1");
  EXPECT_EQ(MachineLabel(id, "10.0.0.1", true), id + "/10.0.0.1");
  EXPECT_EQ(MachineLabel(id, "", false), "8be9f57e...");
  EXPECT_EQ(MachineLabel("", "", false), "");
  EXPECT_EQ(ShortId("short", false), "short");
  EXPECT_EQ(ShortHash("0123456789", false), "0123456");
  EXPECT_EQ(ShortHash("0123456789", true), "0123456789");
  EXPECT_EQ(MetadataLabel({{"zone", "a"}, {"disk", "ssd"}}), "disk=ssd,zone=a");
}

TEST(WithShortIds, ShortensEachIdInAText) {
  const std::string id = "8be9f57e6f3f4a07a4a4a5c2a4b6a7f1";
  EXPECT_EQ(WithShortIds(id + " is lost, best " + id + ".", false),
            "8be9f57e... is lost, best 8be9f57e....");
  EXPECT_EQ(WithShortIds(id, true), id);
  for (const std::string& other : {std::string("bad cafe"), id + "0", id.substr(1), std::string()})
    EXPECT_EQ(WithShortIds(other, false), other);
}

TEST(Formats, AreNamedWhereAnotherOneIsAskedFor) {
  Flags flags({{"output", 'o', "FORMAT", "text", "text, json or yaml"}});
  EXPECT_TRUE(CheckFormat(flags).ok());
  flags.Set("output", "toml");
  EXPECT_EQ(CheckFormat(flags).message(), "-o is text, json or yaml, not \"toml\"");
}

}  // namespace
}  // namespace fleet::fleetctl
