#include "model/quoting.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "model/text.h"

namespace fleet {
namespace {

constexpr std::string_view kBlanks = " \t\n\r";

std::string Utf8(uint32_t character) {
  std::string bytes;
  const auto byte = [&](uint32_t value) { bytes += static_cast<char>(value); };
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
  return bytes;
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

struct Escape {
  std::string meaning;
  size_t length = 0;  // in the text, with the backslash
};

// What the escape at the start of `text` (a backslash) stands for, if systemd.syntax(7) lists it.
std::optional<Escape> ReadEscape(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  constexpr std::string_view kNames = "abfnrtvs\\\"'";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v \\\"'";
  if (const size_t at = kNames.find(text[1]); at != std::string_view::npos) {
    return Escape{std::string(1, kMeanings[at]), 2};
  }
  const auto numeric = [&](size_t skip, size_t count, uint32_t base,
                           uint32_t most) -> std::optional<Escape> {
    const auto number = ReadNumber(text.substr(skip), count, base);
    const bool surrogate = number && *number >= 0xD800 && *number < 0xE000;
    if (!number || *number == 0 || *number > most || surrogate) return std::nullopt;
    const bool is_byte = count <= 3;  // \xHH and \OOO
    return Escape{is_byte ? std::string(1, static_cast<char>(*number)) : Utf8(*number),
                  skip + count};
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
      const auto escape = ReadEscape(value.substr(i));
      if (!escape) {
        return absl::InvalidArgumentError(
            fmt::format("unknown escape {} in {}; write \\\\ for a backslash",
                        Quoted(value.substr(i, 2)), Quoted(value)));
      }
      word += escape->meaning;
      in_word = true;
      i += escape->length;
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
