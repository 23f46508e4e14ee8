#include "model/unit_file.h"

#include <string>
#include <vector>

#include "base/ids.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet {

void PrintTo(const UnitOption& option, std::ostream* out) {
  *out << "[" << option.section << "] " << option.name << "=" << option.value;
}

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<UnitOption> OptionsOf(std::string text) {
  auto file = UnitFile::Parse(std::move(text));
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? file->options() : std::vector<UnitOption>{};
}

std::string WhyInvalid(std::string text) {
  auto file = UnitFile::Parse(std::move(text));
  if (file.ok()) return "valid";
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(file.status().message());
}

std::string WhyUnwritable(std::vector<UnitOption> options) {
  auto file = UnitFile::FromOptions(std::move(options));
  if (file.ok()) return "valid";
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(file.status().message());
}

std::vector<std::string> WordsOf(std::string_view value, Escapes escapes = Escapes::kExpand) {
  auto words = SplitQuoted(value, escapes);
  if (!words.ok()) return {std::string(words.status().message())};
  return *words;
}

TEST(UnitFile, KeepsTheTextByteForByte) {
  const std::string text = "# c\r\n\r\n[Unit]\r\nDescription = x \\\r\n  y\r\n;\n\n[Service]";
  auto file = UnitFile::Parse(text);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->text(), text);
  EXPECT_EQ(file->hash(), Sha256Hex(text));
}

TEST(UnitFile, ReadsOptionsInOrderWithRepeatedKeysAndSections) {
  EXPECT_THAT(
      OptionsOf("[Unit]\nAfter=a\nAfter=b\n[Service]\nExecStart=/bin/x -a=b\n[Unit]\nX=1\n"),
      ElementsAre(UnitOption{"Unit", "After", "a"}, UnitOption{"Unit", "After", "b"},
                  UnitOption{"Service", "ExecStart", "/bin/x -a=b"}, UnitOption{"Unit", "X", "1"}));
}

TEST(UnitFile, DropsOuterWhiteSpaceOnly) {
  EXPECT_THAT(OptionsOf("  [Unit] \n\t Description \t= a  b \t\n"),
              ElementsAre(UnitOption{"Unit", "Description", "a  b"}));
}

TEST(UnitFile, JoinsContinuationsWithABlankAndDropsCommentsWithinThem) {
  EXPECT_THAT(OptionsOf("[A]\nKey=value 2\\\n  value 2 continued\n"
                        "Other=value 3\\\n# this line is ignored\n   ; this one too\nvalue 4\n"),
              ElementsAre(UnitOption{"A", "Key", "value 2   value 2 continued"},
                          UnitOption{"A", "Other", "value 3 value 4"}));
}

TEST(UnitFile, ACommentIsNotContinued) {
  EXPECT_THAT(OptionsOf("[A]\n# comment \\\nKey=v\n"), ElementsAre(UnitOption{"A", "Key", "v"}));
}

TEST(UnitFile, AnEmptyLineEndsAContinuation) {
  EXPECT_THAT(OptionsOf("[A]\nKey=a \\\n\nB=c"),
              ElementsAre(UnitOption{"A", "Key", "a"}, UnitOption{"A", "B", "c"}));
}

TEST(UnitFile, AnEscapedBackslashDoesNotContinueTheLine) {
  EXPECT_THAT(OptionsOf("[A]\nKey=a\\\\\nB=c\n"),
              ElementsAre(UnitOption{"A", "Key", "a\\\\"}, UnitOption{"A", "B", "c"}));
}

TEST(UnitFile, AContinuationMayEndTheFile) {
  EXPECT_THAT(OptionsOf("[A]\nKey=a \\"), ElementsAre(UnitOption{"A", "Key", "a"}));
}

TEST(UnitFile, ReadsCarriageReturnsAsLineEnds) {
  EXPECT_THAT(OptionsOf("[A]\r\nKey=a \\\r\n b\r\nC=d\r\n"),
              ElementsAre(UnitOption{"A", "Key", "a   b"}, UnitOption{"A", "C", "d"}));
  EXPECT_THAT(OptionsOf("[A]\rKey=a\rC=d"),
              ElementsAre(UnitOption{"A", "Key", "a"}, UnitOption{"A", "C", "d"}));
}

TEST(UnitFile, SkipsAByteOrderMark) {
  EXPECT_THAT(OptionsOf("\xEF\xBB\xBF[A]\nB=\xC3\xA4\n"),
              ElementsAre(UnitOption{"A", "B", "\xC3\xA4"}));
}

TEST(UnitFile, MayBeEmpty) {
  EXPECT_THAT(OptionsOf(""), IsEmpty());
  EXPECT_THAT(OptionsOf("\n# only a comment\n[Unit]\n"), IsEmpty());
}

TEST(UnitFile, NamesTheLineOfWhatIsBroken) {
  EXPECT_THAT(WhyInvalid("\nKey=value\n"), HasSubstr("line 2: \"Key=value\" stands before any"));
  EXPECT_THAT(WhyInvalid("[A]\nB=c\nhello world\n"),
              HasSubstr("line 3: \"hello world\" is neither [Section], Name=Value nor a comment"));
  EXPECT_THAT(WhyInvalid("[A]\n=c\n"), HasSubstr("line 2: nothing stands before the ="));
  EXPECT_THAT(WhyInvalid("[A\nB=c\n"), HasSubstr("line 1: the section \"[A\" is not closed by ]"));
  EXPECT_THAT(WhyInvalid("[A] B=c\n"), HasSubstr("line 1: \" B=c\" stands behind the section"));
  EXPECT_THAT(WhyInvalid("[]\n"), HasSubstr("line 1: the section [] has no name"));
  EXPECT_THAT(WhyInvalid("[A[]\n"), HasSubstr("line 1: the section \"[A[]\" has a ["));
  EXPECT_THAT(WhyInvalid("[A]\nB=c \\\n d\nbroken\n"), HasSubstr("line 4: \"broken\""));
}

TEST(UnitFile, RefusesBinariesAndSaysSo) {
  EXPECT_THAT(WhyInvalid(std::string("\x7F"
                                     "ELF\n\0",
                                     6)),
              HasSubstr("line 2: there is a NUL byte; is this a binary file?"));
  EXPECT_THAT(WhyInvalid("[A]\nB=\xFF\xFE\n"), HasSubstr("line 2: byte 7 of the file (0xff)"));
}

TEST(UnitFile, RefusesWhatOnlyLooksLikeUtf8) {
  EXPECT_THAT(WhyInvalid("[A]\nB=\xC0\xAF"), HasSubstr("not UTF-8"));          // overlong
  EXPECT_THAT(WhyInvalid("[A]\nB=\xED\xA0\x80"), HasSubstr("not UTF-8"));      // surrogate
  EXPECT_THAT(WhyInvalid("[A]\nB=\xF4\x90\x80\x80"), HasSubstr("not UTF-8"));  // too large
  EXPECT_THAT(WhyInvalid("[A]\nB=\xE2\x82"), HasSubstr("not UTF-8"));          // cut off
  EXPECT_EQ(WhyInvalid("[A]\nB=\xE2\x82\xAC \xF0\x9F\x9A\x80"), "valid");
}

TEST(UnitFile, RefusesMoreThanOneMebibyte) {
  const std::string head = "[A]\nB=";
  EXPECT_EQ(WhyInvalid(head + std::string(UnitFile::kMaxBytes - head.size(), 'x')), "valid");
  EXPECT_THAT(WhyInvalid(head + std::string(UnitFile::kMaxBytes - head.size() + 1, 'x')),
              HasSubstr("1048577 bytes"));
}

TEST(UnitFile, CutsLongLinesInMessagesBetweenCharacters) {
  std::string line = "x";
  for (int i = 0; i < 100; ++i) line += "\xC3\xA4";
  EXPECT_THAT(WhyInvalid("[A]\n" + line), HasSubstr("\xC3\xA4...\""));
}

TEST(UnitFile, AnEmptyAssignmentResetsTheValuesBefore) {
  auto file = UnitFile::Parse("[A]\nB=1\nB=2\nB=\nB=3\n[C]\nB=4\n[A]\nB=5\n");
  ASSERT_TRUE(file.ok());
  EXPECT_THAT(file->Values("A", "B"), ElementsAre("3", "5"));
  EXPECT_EQ(file->Value("A", "B"), "5");
  EXPECT_THAT(file->Values("A", "C"), IsEmpty());
  EXPECT_EQ(file->Value("A", "C"), "");
}

TEST(UnitFile, KnowsItsSectionsAndDescription) {
  auto file = UnitFile::Parse("[Unit]\nDescription=Web\n[Install]\n");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->Description(), "Web");
  EXPECT_TRUE(file->HasSection("Install"));
  EXPECT_FALSE(file->HasSection("X-Fleet"));
}

TEST(UnitFile, WritesOptionsCanonically) {
  auto file = UnitFile::FromOptions({{"Service", "ExecStart", "/bin/a"},
                                     {"X-Fleet", "Conflicts", "b*"},
                                     {"Service", "ExecStart", "/bin/b"},
                                     {"Unit", "After", ""}});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->text(),
            "[Service]\nExecStart=/bin/a\nExecStart=/bin/b\n\n[X-Fleet]\nConflicts=b*\n\n"
            "[Unit]\nAfter=\n");
  EXPECT_EQ(file->hash(), Sha256Hex(file->text()));
}

TEST(UnitFile, TakesOptionsWithContinuationsAsOldClientsSendThem) {
  auto file = UnitFile::FromOptions({{"Service", "ExecStart", "/bin/a \\\n  -b"}});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->text(), "[Service]\nExecStart=/bin/a \\\n  -b\n");
  EXPECT_EQ(file->Value("Service", "ExecStart"), "/bin/a    -b");
}

TEST(UnitFile, WritesOptionsOfManySectionsInTimeLinearInTheirNumber) {
  std::vector<UnitOption> options;
  for (int i = 0; i < 60'000; ++i) options.push_back({"s" + std::to_string(i), "A", "b"});
  options.push_back({"s0", "A", "c"});
  auto file = UnitFile::FromOptions(options);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(file->Values("s0", "A"), ElementsAre("b", "c"));
  EXPECT_EQ(file->options().size(), options.size());
}

TEST(UnitFile, RefusesOptionsThatCannotBeWritten) {
  EXPECT_THAT(WhyUnwritable({{"", "A", "b"}}), HasSubstr("has no section"));
  EXPECT_THAT(WhyUnwritable({{"S", "", "b"}}), HasSubstr("has no name"));
  EXPECT_THAT(WhyUnwritable({{"S]", "A", "b"}}), HasSubstr("brackets"));
  EXPECT_THAT(WhyUnwritable({{"S\n[T]", "A", "b"}}), HasSubstr("line ends"));
  EXPECT_THAT(WhyUnwritable({{"S", "A=", "b"}}), HasSubstr("not allowed in a name"));
  EXPECT_THAT(WhyUnwritable({{"S", "A\nB", "b"}}), HasSubstr("not allowed in a name"));
  EXPECT_THAT(WhyUnwritable({{"S", "#A", "b"}}), HasSubstr("would not read back"));
  EXPECT_THAT(WhyUnwritable({{"S", "A", "b\\"}, {"S", "C", "d"}}),
              HasSubstr("would not read back"));
  EXPECT_THAT(WhyUnwritable({{"S", "A", std::string("a\0b", 3)}}), HasSubstr("NUL"));
}

TEST(UnitFile, LetsNoValueBringInALineOfItsOwn) {
  EXPECT_THAT(WhyUnwritable({{"S", "A", "b\nExecStart=/bin/evil"}}), HasSubstr("backslash"));
  EXPECT_THAT(WhyUnwritable({{"S", "A", "b\\\n#\\\nc"}, {"S", "B", "d"}}), "valid");
  EXPECT_THAT(WhyUnwritable({{"S", "A", "b\\\n#\nc"}, {"S", "B", "d"}}), "valid");
  EXPECT_THAT(WhyUnwritable({{"S", "A", "b\n#\nExecStart=/bin/evil"}}), HasSubstr("backslash"));
  EXPECT_THAT(WhyUnwritable({{"S", "A", "#b\nExecStart=/bin/evil"}}), HasSubstr("backslash"));
  EXPECT_THAT(WhyUnwritable({{"S", "A", ";b\r[T]\rC=d"}}), HasSubstr("backslash"));
  EXPECT_THAT(WhyUnwritable({{"S", "A", "b\\\n#c"}, {"S", "B", "d"}}), HasSubstr("read back"));
  EXPECT_THAT(WhyUnwritable({{"S", "A", "b\\\r\r[T]"}}), HasSubstr("backslash"));
}

TEST(SplitQuoted, SplitsAtBlanksOutsideQuotes) {
  EXPECT_THAT(WordsOf(" a  b\tc "), ElementsAre("a", "b", "c"));
  EXPECT_THAT(WordsOf(R"("a b" 'c d' e"f g"h)"), ElementsAre("a b", "c d", "ef gh"));
  EXPECT_THAT(WordsOf(R"("" '')"), ElementsAre("", ""));
  EXPECT_THAT(WordsOf(R"("it's" 'say "x"')"), ElementsAre("it's", "say \"x\""));
  EXPECT_THAT(WordsOf(""), IsEmpty());
}

TEST(SplitQuoted, ExpandsEscapesOutsideSingleQuotes) {
  EXPECT_THAT(WordsOf(R"(a\sb "\t\x41\101é\U0001F680" '\n')"),
              ElementsAre("a b", "\tAA\xC3\xA9\xF0\x9F\x9A\x80", "\\n"));
  EXPECT_THAT(WordsOf(R"(\"a\\)"), ElementsAre("\"a\\"));
}

TEST(SplitQuoted, KeepsEscapesForGlobs) {
  EXPECT_THAT(WordsOf(R"(a\*b "c \d")", Escapes::kKeep), ElementsAre("a\\*b", "c \\d"));
}

TEST(SplitQuoted, SaysWhatIsBroken) {
  EXPECT_THAT(WordsOf("\"a b"), ElementsAre(HasSubstr("quote \" is not closed")));
  EXPECT_THAT(WordsOf("a 'b"), ElementsAre(HasSubstr("quote ' is not closed")));
  EXPECT_THAT(WordsOf("a\\q"), ElementsAre(HasSubstr("unknown escape")));
  EXPECT_THAT(WordsOf("\\x00"), ElementsAre(HasSubstr("unknown escape")));
  EXPECT_THAT(WordsOf("\\ud800"), ElementsAre(HasSubstr("unknown escape")));
  EXPECT_THAT(WordsOf("a\\"), ElementsAre(HasSubstr("unknown escape")));
}

}  // namespace
}  // namespace fleet
