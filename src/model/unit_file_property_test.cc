#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "model/unit_file.h"
#include "rapidcheck/gtest.h"

namespace fleet {
namespace {

// Text from the pieces that decide how a unit file is read, so that most of it nearly is one.
rc::Gen<std::string> AnyText() {
  const auto piece = rc::gen::element<std::string>(
      "[Unit]", "[", "]", "=", "Key=value", "Key=", "\\", "\n", "\r\n", "\r", "#", ";", " ", "\t",
      "\"", "'", "%i", "X-Fleet", "\xC3\xA4", "\xF0\x9F\x9A\x80", "\xEF\xBB\xBF", "\\x2d", "a");
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(piece),
                      [](const std::vector<std::string>& pieces) {
                        std::string text = "[Unit]\n";
                        for (const std::string& one : pieces) text += one;
                        return text;
                      });
}

rc::Gen<UnitOption> AnyOption() {
  return rc::gen::exec([] {
    UnitOption option;
    option.section = *rc::gen::element<std::string>("Unit", "Service", "X-Fleet", "X y", "");
    option.name =
        *rc::gen::element<std::string>("A", "ExecStart", "a b", "#c", "=", "", "\xC3\xA4");
    option.value = *rc::gen::oneOf(
        rc::gen::element<std::string>("", "x", "x=y", "[z]", "# no comment", "a\\\\", "a\\",
                                      "a\\\n b", "a\nB=c", " x ", "\"q r\" 's'"),
        rc::gen::string<std::string>());
    return option;
  });
}

RC_GTEST_PROP(UnitFileProperties, TheTextIsKeptByteForByte, ()) {
  const std::string text = *AnyText();
  auto file = UnitFile::Parse(text);
  if (!file.ok()) {
    RC_ASSERT(file.status().code() == absl::StatusCode::kInvalidArgument);
    RC_ASSERT(!file.status().message().empty());
    return;
  }
  RC_ASSERT(file->text() == text);
}

RC_GTEST_PROP(UnitFileProperties, AnyBytesAreReadOrRefused, (const std::string& bytes)) {
  auto file = UnitFile::Parse(bytes);
  RC_ASSERT(file.ok() || file.status().code() == absl::StatusCode::kInvalidArgument);
}

RC_GTEST_PROP(UnitFileProperties, LineEndsDoNotChangeWhatIsRead, ()) {
  const std::string text = *AnyText();
  std::string unix_text;
  std::string windows_text;
  for (const char c : text) {
    if (c == '\r') continue;
    unix_text += c;
    if (c == '\n') windows_text += '\r';
    windows_text += c;
  }
  auto a = UnitFile::Parse(unix_text);
  auto b = UnitFile::Parse(windows_text);
  RC_ASSERT(a.ok() == b.ok());
  if (a.ok()) RC_ASSERT(a->options() == b->options());
}

RC_GTEST_PROP(UnitFileProperties, CanonicalTextReadsBackAsItsOptions, ()) {
  const auto options = *rc::gen::container<std::vector<UnitOption>>(AnyOption());
  auto written = UnitFile::FromOptions(options);
  if (!written.ok()) {
    RC_ASSERT(written.status().code() == absl::StatusCode::kInvalidArgument);
    return;
  }
  RC_ASSERT(written->options().size() == options.size());
  auto read = UnitFile::Parse(written->text());
  RC_ASSERT(read.ok());
  RC_ASSERT(read->options() == written->options());
  RC_ASSERT(read->hash() == written->hash());
  // What was read can be written again, to the same text unless it has continuations.
  auto again = UnitFile::FromOptions(read->options());
  RC_ASSERT(again.ok());
  RC_ASSERT(again->options() == read->options());
}

RC_GTEST_PROP(UnitFileProperties, WhatWasParsedCanBeWrittenCanonically, ()) {
  auto file = UnitFile::Parse(*AnyText());
  RC_PRE(file.ok());
  auto canonical = UnitFile::FromOptions(file->options());
  if (!canonical.ok()) return;  // a bracket in a name, for instance
  for (const UnitOption& option : file->options()) {
    RC_ASSERT(canonical->Values(option.section, option.name) ==
              file->Values(option.section, option.name));
  }
}

RC_GTEST_PROP(SplitQuotedProperties, QuotedWordsComeBack, (const std::vector<std::string>& words)) {
  std::string value;
  for (const std::string& word : words) {
    value += " \"";
    for (const char c : word) {
      if (c == '"' || c == '\\') value += '\\';
      value += c;
    }
    value += '"';
  }
  auto split = SplitQuoted(value);
  RC_ASSERT(split.ok());
  RC_ASSERT(*split == words);
}

}  // namespace
}  // namespace fleet
