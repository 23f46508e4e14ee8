#include "host/unit_note.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::host {
namespace {

using testing::HasSubstr;

TEST(UnitNote, IsReadBackAsItWasWritten) {
  const UnitNote note{.uid = "0123abcd",
                      .generation = 9'000'000'000,
                      .content_hash = "feed",
                      .started = true,
                      .enabled = true,
                      .restarts = 3,
                      .starts = 4};
  EXPECT_EQ(*ReadUnitNote(*WriteUnitNote(note)), note);
  EXPECT_EQ(*ReadUnitNote(*WriteUnitNote({.uid = "x"})), UnitNote{.uid = "x"});
}

TEST(UnitNote, SkipsKeysOfANewerVersion) {
  const auto note = ReadUnitNote("version=2\nuid=u\ncolour=blue=ish\ngeneration=4\n\n");
  ASSERT_TRUE(note.ok()) << note.status();
  EXPECT_EQ(note->uid, "u");
  EXPECT_EQ(note->generation, 4);
}

TEST(UnitNote, RefusesWhatIsNoNote) {
  for (const char* text : {"", "hello", "uid=u\n", "version=x\nuid=u\n", "version=1\n",
                           "version=1\nuid=u\ngeneration=many\n", "version=1\nuid=u\nstarted=1\n",
                           "version=1\nuid=u\nrestarts\n"}) {
    EXPECT_EQ(ReadUnitNote(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(UnitNote, NamesTheLineThatIsBroken) {
  EXPECT_THAT(ReadUnitNote("version=1\nuid=u\ngeneration=many\n").status().message(),
              HasSubstr("line 3"));
}

TEST(UnitNote, RefusesToWriteAValueThatWouldBreakTheLine) {
  EXPECT_TRUE(absl::IsInvalidArgument(WriteUnitNote({.uid = "a\nb"}).status()));
}

}  // namespace
}  // namespace fleet::host
