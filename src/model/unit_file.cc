#include "model/unit_file.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "base/ids.h"
#include "base/status.h"
#include "fmt/format.h"
#include "model/text.h"

namespace fleet {
namespace {

constexpr std::string_view kBlanks = " \t\n\r";
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

// Takes one line off `rest`. Lines end as systemd's do: in \n, \r or a pair of both.
std::string_view TakeLine(std::string_view& rest) {
  const size_t end = rest.find_first_of("\r\n");
  const std::string_view line = rest.substr(0, end);
  if (end == std::string_view::npos) {
    rest = {};
    return line;
  }
  const bool pair = end + 1 < rest.size() && rest[end + 1] != rest[end] &&
                    (rest[end + 1] == '\r' || rest[end + 1] == '\n');
  rest.remove_prefix(end + (pair ? 2 : 1));
  return line;
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

struct Parsed {
  std::vector<std::string> sections;
  std::vector<UnitOption> options;
};

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

// One logical line, its continuations joined; `number` is that of its first line.
absl::Status ParseLine(std::string_view line, size_t number, Parsed& parsed) {
  line = Strip(line);
  if (line.empty()) return absl::OkStatus();
  if (line[0] == '[') {
    ASSIGN_OR_RETURN(std::string section, ParseSection(line, number));
    parsed.sections.push_back(std::move(section));
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
  if (parsed.sections.empty()) {
    return InvalidLine(number, fmt::format("{} stands before any [Section]", Quoted(line)));
  }
  parsed.options.push_back(UnitOption{parsed.sections.back(), std::string(name),
                                      std::string(Strip(line.substr(equals + 1)))});
  return absl::OkStatus();
}

absl::StatusOr<Parsed> ParseText(std::string_view text) {
  RETURN_IF_ERROR(CheckIsText(text));
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  Parsed parsed;
  std::string logical;  // the lines so far of one that is continued
  size_t logical_number = 0;
  bool continued = false;
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = TakeLine(text);
    if (IsComment(line)) continue;  // within a continuation too
    if (!continued) logical_number = number;
    if (Continues(line)) {
      logical.append(line.substr(0, line.size() - 1)).append(" ");
      continued = true;
      continue;
    }
    logical.append(line);
    RETURN_IF_ERROR(ParseLine(logical, logical_number, parsed));
    logical.clear();
    continued = false;
  }
  RETURN_IF_ERROR(ParseLine(logical, logical_number, parsed));
  return parsed;
}

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
  std::string_view rest = Strip(option.value);
  while (!rest.empty()) {
    const std::string_view line = TakeLine(rest);
    if (rest.empty() || Continues(line) || IsComment(line)) continue;
    return refuse("cannot be written: a line of its value ends without a backslash");
  }
  return absl::OkStatus();
}

std::string Serialize(const std::vector<UnitOption>& options) {
  std::vector<std::string_view> sections;
  for (const UnitOption& option : options) {
    if (std::find(sections.begin(), sections.end(), option.section) == sections.end()) {
      sections.push_back(option.section);
    }
  }
  std::string text;
  for (const std::string_view section : sections) {
    if (!text.empty()) text += '\n';
    text += fmt::format("[{}]\n", section);
    for (const UnitOption& option : options) {
      if (option.section != section) continue;
      text += fmt::format("{}={}\n", Strip(option.name), Strip(option.value));
    }
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
  ASSIGN_OR_RETURN(Parsed parsed, ParseText(text));
  UnitFile file;
  file.hash_ = Sha256Hex(text);
  file.text_ = std::move(text);
  file.sections_ = std::move(parsed.sections);
  file.options_ = std::move(parsed.options);
  return file;
}

absl::StatusOr<UnitFile> UnitFile::FromOptions(std::vector<UnitOption> options) {
  for (const UnitOption& option : options) RETURN_IF_ERROR(CheckWritable(option));
  std::string text = Serialize(options);
  ASSIGN_OR_RETURN(UnitFile file, Parse(std::move(text)));

  // The text has to say what the options say: a name that begins like a comment, or a value that
  // ends in a backslash, would read as something else.
  std::vector<const UnitOption*> written;
  for (const std::string& section : file.sections_) {
    for (const UnitOption& option : options) {
      if (option.section == section) written.push_back(&option);
    }
  }
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

namespace {

void AppendUtf8(uint32_t character, std::string& word) {
  const auto byte = [&](uint32_t value) { word += static_cast<char>(value); };
  if (character < 0x80) {
    byte(character);
  } else if (character < 0x800) {
    byte(0xC0 | (character >> 6));
    byte(0x80 | (character & 0x3F));
  } else if (character < 0x10000) {
    byte(0xE0 | (character >> 12));
    byte(0x80 | ((character >> 6) & 0x3F));
    byte(0x80 | (character & 0x3F));
  } else {
    byte(0xF0 | (character >> 18));
    byte(0x80 | ((character >> 12) & 0x3F));
    byte(0x80 | ((character >> 6) & 0x3F));
    byte(0x80 | (character & 0x3F));
  }
}

std::optional<uint32_t> ReadNumber(std::string_view digits, size_t count, uint32_t base) {
  if (digits.size() < count) return std::nullopt;
  uint32_t number = 0;
  for (const char c : digits.substr(0, count)) {
    uint32_t digit = base;
    if (c >= '0' && c <= '9') digit = static_cast<uint32_t>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<uint32_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') digit = static_cast<uint32_t>(c - 'A' + 10);
    if (digit >= base) return std::nullopt;
    number = number * base + digit;
  }
  return number;
}

// Appends what the escape at the start of `text` (a backslash) stands for, and returns its length;
// 0 if it is none that systemd.syntax(7) lists.
size_t Unescape(std::string_view text, std::string& word) {
  if (text.size() < 2) return 0;
  constexpr std::string_view kNames = "abfnrtvs\\\"'";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v \\\"'";
  if (const size_t at = kNames.find(text[1]); at != std::string_view::npos) {
    word += kMeanings[at];
    return 2;
  }
  const auto numeric = [&](size_t skip, size_t count, uint32_t base, uint32_t most) -> size_t {
    const auto number = ReadNumber(text.substr(skip), count, base);
    const bool surrogate = number && *number >= 0xD800 && *number < 0xE000;
    if (!number || *number == 0 || *number > most || surrogate) return 0;
    if (count <= 3) {
      word += static_cast<char>(*number);  // \xHH and \OOO are bytes
    } else {
      AppendUtf8(*number, word);
    }
    return skip + count;
  };
  switch (text[1]) {
    case 'x':
      return numeric(2, 2, 16, 0xFF);
    case 'u':
      return numeric(2, 4, 16, 0xFFFF);
    case 'U':
      return numeric(2, 8, 16, 0x10FFFF);
    default:
      return numeric(1, 3, 8, 0xFF);
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SplitQuoted(std::string_view value, Escapes escapes) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = '\0';
  for (size_t i = 0; i < value.size();) {
    const char c = value[i];
    if (quote != '\0' && c == quote) {
      quote = '\0';
    } else if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
      in_word = true;
    } else if (c == '\\' && quote != '\'' && escapes == Escapes::kExpand) {
      const size_t length = Unescape(value.substr(i), word);
      if (length == 0) {
        return absl::InvalidArgumentError(
            fmt::format("unknown escape {} in {}; write \\\\ for a backslash",
                        Quoted(value.substr(i, 2)), Quoted(value)));
      }
      in_word = true;
      i += length;
      continue;
    } else if (quote == '\0' && kBlanks.find(c) != std::string_view::npos) {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
    ++i;
  }
  if (quote != '\0') {
    return absl::InvalidArgumentError(fmt::format("the quote {} is not closed in {}",
                                                  std::string_view(&quote, 1), Quoted(value)));
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

}  // namespace fleet
