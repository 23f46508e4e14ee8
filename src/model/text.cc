#include "model/text.h"

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "fmt/format.h"

namespace fleet {

std::string_view Strip(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 80;
  if (text.size() <= kShown) return fmt::format("\"{}\"", Printable(text));
  size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return fmt::format("\"{}...\"", Printable(text.substr(0, end)));
}

std::string Printable(std::string_view text) {
  const absl::string_view bytes(text.data(), text.size());
  for (std::string_view rest = text; !rest.empty();) {
    const size_t character = Utf8CharacterBytes(rest);
    if (character == 0) return absl::CHexEscape(bytes);
    rest.remove_prefix(character);
  }
  return absl::Utf8SafeCHexEscape(bytes);
}

size_t Utf8CharacterBytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return 1;
  size_t size = 0;
  unsigned char least = 0x80;  // of the second byte: excludes overlong forms
  unsigned char most = 0xBF;   // excludes surrogates and what is beyond U+10FFFF
  if (byte(0) >= 0xC2 && byte(0) <= 0xDF) {
    size = 2;
  } else if (byte(0) >= 0xE0 && byte(0) <= 0xEF) {
    size = 3;
    if (byte(0) == 0xE0) least = 0xA0;
    if (byte(0) == 0xED) most = 0x9F;
  } else if (byte(0) >= 0xF0 && byte(0) <= 0xF4) {
    size = 4;
    if (byte(0) == 0xF0) least = 0x90;
    if (byte(0) == 0xF4) most = 0x8F;
  }
  if (size == 0 || text.size() < size) return 0;
  if (byte(1) < least || byte(1) > most) return 0;
  for (size_t i = 2; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return size;
}

std::string MessageOf(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

}  // namespace fleet
