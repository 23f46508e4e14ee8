// The unit file parser. Input: a unit file; or, behind "options\n", the options of the API:
// section, name and value, each ended by the byte 0x1F.

#include "model/unit_file.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/check.h"
#include "model/text.h"

namespace fleet::fuzz {
namespace {

using Options = std::vector<UnitOption>;

std::string Show(const Options& options) {
  std::string text;
  for (const UnitOption& option : options) {
    text += Quoted(option.section) + " " + Quoted(option.name) + "=" + Quoted(option.value) + "\n";
  }
  return text;
}

// As canonical text has them: by section, in the order in which these first appear.
Options BySection(const Options& options) {
  Options sorted;
  for (const UnitOption& first : options) {
    const auto same = [&](const UnitOption& other) { return other.section == first.section; };
    if (std::any_of(sorted.begin(), sorted.end(), same)) continue;
    std::copy_if(options.begin(), options.end(), std::back_inserter(sorted), same);
  }
  return sorted;
}

bool HasAny(std::string_view text, std::string_view characters) {
  return text.find_first_of(characters) != std::string_view::npos;
}

// Whether a line with this at its end would be continued by the next one.
bool EndsInBackslash(std::string_view value) {
  size_t backslashes = 0;
  while (backslashes < value.size() && value[value.size() - 1 - backslashes] == '\\') ++backslashes;
  return backslashes % 2 == 1;
}

void CheckOption(const UnitOption& option) {
  const std::string shown = Show({option});
  Check(!option.name.empty() && !option.section.empty(), "options have a section and a name",
        shown);
  Check(Strip(option.name) == option.name && Strip(option.value) == option.value,
        "outer white space is removed", shown);
  Check(!HasAny(option.section + option.name + option.value, "\r\n"), "an option is one line",
        shown);
  Check(!HasAny(option.name, "=") && !HasAny(option.section, "[]"),
        "names end at the = and sections at the bracket", shown);
  Check(option.name[0] != '#' && option.name[0] != ';', "comments are no options", shown);
}

void CheckCanonical(const UnitFile& file) {
  const auto canonical = UnitFile::FromOptions(file.options());
  const bool writable =
      std::none_of(file.options().begin(), file.options().end(), [](const UnitOption& option) {
        return HasAny(option.name, "[]") || EndsInBackslash(option.value);
      });
  Check(canonical.ok() == writable, "what was read can be written, brackets in names aside",
        canonical.status().ToString() + "\n" + Show(file.options()));
  if (!canonical.ok()) return;
  Check(canonical->options() == BySection(file.options()),
        "the canonical text has the same options", canonical->text());
  const auto again = UnitFile::FromOptions(canonical->options());
  Check(again.ok() && again->text() == canonical->text() && again->hash() == canonical->hash(),
        "the canonical text of canonical text is itself", canonical->text());
}

// Texts that say the same as `text`, by systemd.syntax(7).
std::vector<std::string> Equivalents(const std::string& text) {
  std::string commented;
  std::string windows;
  for (size_t i = 0; i < text.size(); ++i) {
    commented += text[i];
    const bool line_end = text[i] == '\n' && text.substr(i + 1, 1) != "\r";  // no half of a pair
    if (line_end) commented += " ;x=y\\\n";
    if (text[i] == '\n') windows += '\r';
    windows += text[i];
  }
  std::vector<std::string> texts = {commented, text + "\n#end=\\"};
  if (!text.starts_with("\xEF\xBB\xBF")) texts.push_back("\xEF\xBB\xBF# first\n" + text);
  if (!HasAny(text, "\r")) texts.push_back(windows);
  return texts;
}

void CheckValues(const UnitFile& file) {
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> values;
  for (const UnitOption& option : file.options()) {
    auto& list = values[{option.section, option.name}];
    if (option.value.empty()) {
      list.clear();
    } else {
      list.push_back(option.value);
    }
    Check(file.HasSection(option.section), "the section of an option is there", option.section);
  }
  for (const auto& [key, list] : values) {
    Check(file.Values(key.first, key.second) == list, "an empty assignment resets a list",
          key.second);
  }
}

// Quotes each word so that SplitQuoted has to give it back.
std::string QuoteWords(const std::vector<std::string>& words) {
  std::string value;
  for (const std::string& word : words) {
    value += "\t\"";
    for (const char c : word) {
      if (c == '"' || c == '\\') value += '\\';
      value += c;
    }
    value += '"';
  }
  return value;
}

void CheckWords(const std::string& value) {
  const auto words = SplitQuoted(value);
  if (words.ok()) {
    const auto again = SplitQuoted(QuoteWords(*words));
    Check(again.ok() && *again == *words, "quoted words come back", value);
  } else {
    Check(HasAny(value, "\"'\\"), "only quotes and escapes can be wrong", value);
  }
  const auto kept = SplitQuoted(value, Escapes::kKeep);
  Check(kept.ok() || HasAny(value, "\"'"), "only quotes can be wrong where escapes are kept",
        value);
  if (!HasAny(value, "\\")) {
    Check(kept.ok() == words.ok() && (!kept.ok() || *kept == *words),
          "escapes make no difference where there is none", value);
  }
}

void RunText(const std::string& text) {
  const auto file = UnitFile::Parse(text);
  for (const std::string& equivalent : Equivalents(text)) {
    const auto other = UnitFile::Parse(equivalent);
    Check(other.ok() == file.ok(), "comments, line ends and byte order marks make no difference",
          equivalent);
    if (!file.ok()) continue;
    Check(other->options() == file->options(),
          "comments, line ends and byte order marks make no difference",
          equivalent + "\n" + Show(other->options()) + "instead of\n" + Show(file->options()));
  }
  if (!file.ok()) {
    Check(absl::IsInvalidArgument(file.status()) && file.status().message().size() > 0,
          "what cannot be read is refused with a reason");
    return;
  }
  Check(file->text() == text, "the text is kept byte for byte", file->text());
  for (const UnitOption& option : file->options()) {
    CheckOption(option);
    CheckWords(option.value);
  }
  CheckValues(*file);
  CheckCanonical(*file);
}

void RunOptions(std::string_view fields) {
  Options options;
  while (!fields.empty()) {
    std::string* const members[] = {&options.emplace_back().section, &options.back().name,
                                    &options.back().value};
    for (std::string* member : members) {
      const auto [field, rest] = SplitAt(fields, "\x1F");
      *member = field;
      fields = rest;
    }
  }
  const auto file = UnitFile::FromOptions(options);
  if (!file.ok()) {
    Check(absl::IsInvalidArgument(file.status()), "options are read or refused", Show(options));
    return;
  }
  const auto read = UnitFile::Parse(file->text());
  Check(read.ok() && read->options() == file->options() && read->hash() == file->hash(),
        "the text of options reads back", file->text());
  const Options sorted = BySection(options);
  Check(file->options().size() == sorted.size(), "no option gets lost or made", file->text());
  for (size_t i = 0; i < sorted.size(); ++i) {
    const UnitOption& given = sorted[i];
    const UnitOption& written = file->options()[i];
    Check(written.section == given.section && written.name == Strip(given.name) &&
              (written.value == Strip(given.value) || HasAny(given.value, "\r\n")),
          "options are written as they were given", file->text());
    CheckOption(written);
  }
}

}  // namespace
}  // namespace fleet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr std::string_view kOptions = "options\n";
  const std::string_view input = fleet::fuzz::Text(data, size);
  if (input.starts_with(kOptions)) {
    fleet::fuzz::RunOptions(input.substr(kOptions.size()));
  } else {
    fleet::fuzz::RunText(std::string(input));
  }
  return 0;
}
