#include "fleetd/config_syntax.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace fleet::fleetd {
namespace {

absl::Status NotClosed(char quote) {
  return absl::InvalidArgumentError(
      absl::StrCat("has a ", std::string(1, quote), " that is not closed"));
}

// The length of the quoted text that `text` begins with, quotes included; npos if it is not closed.
size_t QuotedLength(absl::string_view text) {
  const char quote = text[0];
  for (size_t i = 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      return i + 1;
    }
  }
  return absl::string_view::npos;
}

bool IsQuote(char c) { return c == '"' || c == '\''; }

// Cuts off a comment: `#` after white space, outside quotes.
absl::string_view WithoutComment(absl::string_view value) {
  size_t i = 0;
  while (i < value.size()) {
    const bool after_space =
        i == 0 || absl::ascii_isspace(static_cast<unsigned char>(value[i - 1]));
    if (value[i] == '#' && after_space) return value.substr(0, i);
    const bool opens =
        IsQuote(value[i]) && (i == 0 || after_space || value[i - 1] == '[' || value[i - 1] == ',');
    const size_t length = opens ? QuotedLength(value.substr(i)) : 1;
    if (length == absl::string_view::npos) return value;
    i += length;
  }
  return value;
}

std::string Unescape(absl::string_view quoted) {
  if (quoted[0] == '\'') return std::string(quoted.substr(1, quoted.size() - 2));
  std::string out;
  for (size_t i = 1; i + 1 < quoted.size(); ++i) {
    if (quoted[i] == '\\' && (quoted[i + 1] == '"' || quoted[i + 1] == '\\')) ++i;
    out += quoted[i];
  }
  return out;
}

// The elements between the brackets of ["a", 'b', c].
absl::StatusOr<std::vector<std::string>> UnquoteBracketed(absl::string_view inner) {
  std::vector<std::string> out;
  inner = absl::StripAsciiWhitespace(inner);
  while (!inner.empty()) {
    size_t length = inner.find(',');
    if (IsQuote(inner[0])) {
      const size_t quoted = QuotedLength(inner);
      if (quoted == absl::string_view::npos) return NotClosed(inner[0]);
      length = inner.find(',', quoted);
    }
    ASSIGN_OR_RETURN(std::string element, Unquote(inner.substr(0, length)));  // npos: all the rest
    if (!element.empty()) out.push_back(std::move(element));
    if (length == absl::string_view::npos) break;
    inner = absl::StripLeadingAsciiWhitespace(inner.substr(length + 1));
  }
  return out;
}

}  // namespace

std::vector<ConfigLine> SplitConfig(absl::string_view text) {
  std::vector<ConfigLine> out;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    const size_t equals = line.find('=');
    if (line[0] == '[') {
      out.push_back({number, "", "", "is a section header, and fleet.conf has no sections"});
    } else if (equals == absl::string_view::npos || equals == 0) {
      out.push_back({number, "", "", "is not of the form key=value"});
    } else {
      const absl::string_view value = absl::StripAsciiWhitespace(line.substr(equals + 1));
      out.push_back({number, std::string(absl::StripAsciiWhitespace(line.substr(0, equals))),
                     std::string(absl::StripAsciiWhitespace(WithoutComment(value))), ""});
    }
  }
  return out;
}

absl::StatusOr<std::string> Unquote(absl::string_view value) {
  value = absl::StripAsciiWhitespace(value);
  if (value.empty() || !IsQuote(value[0])) return std::string(value);
  const size_t length = QuotedLength(value);
  if (length == absl::string_view::npos) return NotClosed(value[0]);
  if (length != value.size()) {
    return absl::InvalidArgumentError("has text after its closing quote");
  }
  return Unescape(value);
}

absl::StatusOr<std::vector<std::string>> UnquoteList(absl::string_view value) {
  value = absl::StripAsciiWhitespace(value);
  if (!value.empty() && value.front() == '[') {
    if (value.back() == ']') return UnquoteBracketed(value.substr(1, value.size() - 2));
    // [::1]:49153 is an address.
    if (value.find(']') == absl::string_view::npos || value.find_first_of("\"'") != value.npos) {
      return absl::InvalidArgumentError("has a [ that is not closed");
    }
  }
  ASSIGN_OR_RETURN(const std::string text, Unquote(value));
  std::vector<std::string> out;
  for (absl::string_view element : absl::StrSplit(text, ',')) {
    element = absl::StripAsciiWhitespace(element);
    if (!element.empty()) out.emplace_back(element);
  }
  return out;
}

std::string Quote(absl::string_view value) {
  const bool bare = value.find_first_of("\"'[]\\# \t\n\v\f\r") == absl::string_view::npos;
  if (bare) return std::string(value);
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string QuoteList(const std::vector<std::string>& values) {
  if (values.empty()) return "";
  return absl::StrCat("[",
                      absl::StrJoin(values, ", ",
                                    [](std::string* out, const auto& value) {
                                      const std::string quoted = Quote(value);
                                      absl::StrAppend(out, quoted[0] == '"'
                                                               ? quoted
                                                               : absl::StrCat("\"", quoted, "\""));
                                    }),
                      "]");
}

}  // namespace fleet::fleetd
