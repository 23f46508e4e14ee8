#include "model/unit_file.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "base/ids.h"
#include "base/status.h"
#include "fmt/format.h"
#include "model/text.h"

namespace fleet {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

absl::Status InvalidLine(size_t line, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format("line {}: {}", line, why));
}

absl::Status CheckIsText(std::string_view text) {
  if (text.size() > UnitFile::kMaxBytes) {
    return absl::InvalidArgumentError(fmt::format(
        "the unit file has {} bytes, at most {} are allowed", text.size(), UnitFile::kMaxBytes));
  }
  size_t line = 1;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '\0') {
      return InvalidLine(line, "there is a NUL byte; is this a binary file?");
    }
    const size_t bytes = Utf8CharacterBytes(text.substr(i));
    if (bytes == 0) {
      return InvalidLine(line, fmt::format("byte {} of the file (0x{:02x}) is not UTF-8; is this a "
                                           "binary file or in another encoding?",
                                           i + 1, static_cast<unsigned char>(text[i])));
    }
    if (text[i] == '\n') ++line;
    i += bytes;
  }
  return absl::OkStatus();
}

struct FirstLine {
  std::string_view line;
  std::string_view rest;
};

// Lines end as systemd's do: in \n, \r or a pair of both.
FirstLine SplitFirstLine(std::string_view text) {
  const size_t end = text.find_first_of("\r\n");
  if (end == std::string_view::npos) return {text, {}};
  const bool pair = end + 1 < text.size() && text[end + 1] != text[end] &&
                    (text[end + 1] == '\r' || text[end + 1] == '\n');
  return {text.substr(0, end), text.substr(end + (pair ? 2 : 1))};
}

// True if the line ends in a backslash that is not itself escaped.
bool Continues(std::string_view line) {
  const size_t last = line.find_last_not_of('\\');
  const size_t backslashes = last == std::string_view::npos ? line.size() : line.size() - last - 1;
  return backslashes % 2 == 1;
}

bool IsComment(std::string_view line) {
  const std::string_view stripped = Strip(line);
  return !stripped.empty() && (stripped[0] == '#' || stripped[0] == ';');
}

absl::StatusOr<std::string> ParseSection(std::string_view line, size_t number) {
  const size_t close = line.find(']');
  if (close == std::string_view::npos) {
    return InvalidLine(number, fmt::format("the section {} is not closed by ]", Quoted(line)));
  }
  if (close + 1 != line.size()) {
    return InvalidLine(
        number, fmt::format("{} stands behind the section {}; an option has to be on its own line",
                            Quoted(line.substr(close + 1)), Quoted(line.substr(0, close + 1))));
  }
  const std::string_view name = line.substr(1, close - 1);
  if (Strip(name).empty()) return InvalidLine(number, "the section [] has no name");
  if (name.find('[') != std::string_view::npos) {
    return InvalidLine(number, fmt::format("the section {} has a [ in its name", Quoted(line)));
  }
  return std::string(name);
}

class Parser {
 public:
  absl::Status Parse(std::string_view text) {
    RETURN_IF_ERROR(CheckIsText(text));
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    std::string logical;  // the lines so far of one that is continued
    size_t logical_number = 0;
    bool continued = false;
    for (size_t number = 1; !text.empty(); ++number) {
      const auto [line, rest] = SplitFirstLine(text);
      text = rest;
      if (IsComment(line)) continue;  // within a continuation too
      if (!continued) logical_number = number;
      continued = Continues(line);
      if (continued) {
        logical.append(line.substr(0, line.size() - 1)).append(" ");
        continue;
      }
      logical.append(line);
      RETURN_IF_ERROR(ParseLine(logical, logical_number));
      logical.clear();
    }
    return ParseLine(logical, logical_number);
  }

  std::vector<std::string> TakeSections() { return std::move(sections_); }
  std::vector<UnitOption> TakeOptions() { return std::move(options_); }

 private:
  // One logical line, its continuations joined; `number` is that of its first line.
  absl::Status ParseLine(std::string_view line, size_t number) {
    line = Strip(line);
    if (line.empty()) return absl::OkStatus();
    if (line[0] == '[') {
      ASSIGN_OR_RETURN(std::string section, ParseSection(line, number));
      sections_.push_back(std::move(section));
      return absl::OkStatus();
    }
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
      return InvalidLine(
          number, fmt::format("{} is neither [Section], Name=Value nor a comment", Quoted(line)));
    }
    const std::string_view name = Strip(line.substr(0, equals));
    if (name.empty()) {
      return InvalidLine(number, fmt::format("nothing stands before the = in {}", Quoted(line)));
    }
    if (sections_.empty()) {
      return InvalidLine(number, fmt::format("{} stands before any [Section]", Quoted(line)));
    }
    options_.push_back(UnitOption{sections_.back(), std::string(name),
                                  std::string(Strip(line.substr(equals + 1)))});
    return absl::OkStatus();
  }

  std::vector<std::string> sections_;
  std::vector<UnitOption> options_;
};

absl::Status CheckWritable(const UnitOption& option) {
  const auto refuse = [&](std::string_view why) {
    return absl::InvalidArgumentError(fmt::format(
        "the option {} of section {} {}", Quoted(option.name), Quoted(option.section), why));
  };
  if (Strip(option.section).empty()) return refuse("has no section");
  if (Strip(option.name).empty()) return refuse("has no name");
  if (option.section.find_first_of("[]\r\n") != std::string::npos) {
    return refuse("cannot be written: brackets and line ends are not allowed in a section");
  }
  if (option.name.find_first_of("=[]\r\n") != std::string::npos) {
    return refuse("cannot be written: =, brackets and line ends are not allowed in a name");
  }
  bool first = true;  // stands behind the name and the =, and is never a comment
  for (std::string_view rest = Strip(option.value); !rest.empty(); first = false) {
    const std::string_view line = SplitFirstLine(rest).line;
    rest = SplitFirstLine(rest).rest;
    if (rest.empty() || Continues(line) || (!first && IsComment(line))) continue;
    return refuse("cannot be written: a line of its value ends without a backslash");
  }
  return absl::OkStatus();
}

// The options of one section after those of the other, sections in first-seen order.
std::vector<const UnitOption*> BySection(const std::vector<UnitOption>& options) {
  std::map<std::string_view, size_t> places;
  std::vector<std::vector<const UnitOption*>> sections;
  for (const UnitOption& option : options) {
    const auto [place, is_new] = places.emplace(option.section, sections.size());
    if (is_new) sections.emplace_back();
    sections[place->second].push_back(&option);
  }
  std::vector<const UnitOption*> sorted;
  sorted.reserve(options.size());
  for (const auto& section : sections) sorted.insert(sorted.end(), section.begin(), section.end());
  return sorted;
}

std::string Serialize(const std::vector<const UnitOption*>& by_section) {
  std::string text;
  std::string_view section;  // never empty in an option
  for (const UnitOption* option : by_section) {
    if (option->section != section) {
      section = option->section;
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    text += fmt::format("{}={}\n", Strip(option->name), Strip(option->value));
  }
  return text;
}

// Whether the parser read `read` from what was written for `given`. Values made by fleet 1.0's
// clients keep their continuations ("a \\\n b"); those read as systemd joins them.
bool SameOption(const UnitOption& given, const UnitOption& read) {
  return given.section == read.section && Strip(given.name) == read.name &&
         (Strip(given.value) == read.value ||
          given.value.find_first_of("\r\n") != std::string::npos);
}

}  // namespace

absl::StatusOr<UnitFile> UnitFile::Parse(std::string text) {
  Parser parser;
  RETURN_IF_ERROR(parser.Parse(text));
  UnitFile file;
  file.hash_ = Sha256Hex(text);
  file.text_ = std::move(text);
  file.sections_ = parser.TakeSections();
  file.options_ = parser.TakeOptions();
  return file;
}

absl::StatusOr<UnitFile> UnitFile::FromOptions(const std::vector<UnitOption>& options) {
  for (const UnitOption& option : options) RETURN_IF_ERROR(CheckWritable(option));
  const std::vector<const UnitOption*> written = BySection(options);
  ASSIGN_OR_RETURN(UnitFile file, Parse(Serialize(written)));

  // The text has to say what the options say: a name that begins like a comment, or a value that
  // ends in a backslash, would read as something else.
  for (size_t i = 0; i < written.size(); ++i) {
    if (i < file.options_.size() && SameOption(*written[i], file.options_[i])) continue;
    return absl::InvalidArgumentError(fmt::format(
        "the option {} of section {} cannot be written as a line of a unit file: {} would not read "
        "back as its value",
        Quoted(written[i]->name), Quoted(written[i]->section), Quoted(written[i]->value)));
  }
  return file;
}

std::vector<std::string> UnitFile::Values(std::string_view section, std::string_view name) const {
  std::vector<std::string> values;
  for (const UnitOption& option : options_) {
    if (option.section != section || option.name != name) continue;
    if (option.value.empty()) {
      values.clear();
    } else {
      values.push_back(option.value);
    }
  }
  return values;
}

std::string UnitFile::Value(std::string_view section, std::string_view name) const {
  for (auto option = options_.rbegin(); option != options_.rend(); ++option) {
    if (option->section == section && option->name == name) return option->value;
  }
  return {};
}

bool UnitFile::HasSection(std::string_view section) const {
  return std::find(sections_.begin(), sections_.end(), section) != sections_.end();
}

}  // namespace fleet
