#include "model/specifiers.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "base/status.h"
#include "fmt/format.h"
#include "model/text.h"

namespace fleet {
namespace {

// Those of systemd.unit(5) that depend on the machine, its user or its directories.
constexpr std::string_view kHostSpecifiers = "aAbBCdDEfgGhHlLmMoqsStTuUvVwWyY";

// Undoes systemd-escape(1): "-" is a slash, "\xHH" a byte.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool hex = i + 3 < text.size() && text[i] == '\\' && text[i + 1] == 'x' &&
                     absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 2])) &&
                     absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 3]));
    if (hex) {
      plain += absl::HexStringToBytes(std::string(text.substr(i + 2, 2)));
      i += 3;
    } else {
      plain += text[i] == '-' ? '/' : text[i];
    }
  }
  return plain;
}

std::string_view LastComponent(std::string_view prefix) {
  const size_t dash = prefix.rfind('-');
  return dash == std::string_view::npos ? prefix : prefix.substr(dash + 1);
}

absl::StatusOr<std::string> Expand(char specifier, const UnitName& name) {
  switch (specifier) {
    case '%':
      return std::string("%");
    case 'n':
      return name.full();
    case 'N':
      return std::string(name.stem());
    case 'p':
      return std::string(name.prefix());
    case 'i':
      return std::string(name.instance());
    case 'P':
      return Unescape(name.prefix());
    case 'I':
      return Unescape(name.instance());
    case 'j':
      return std::string(LastComponent(name.prefix()));
    case 'J':
      return Unescape(LastComponent(name.prefix()));
    default:
      break;
  }
  const std::string shown = fmt::format("%{}", Printable(std::string_view(&specifier, 1)));
  if (kHostSpecifiers.find(specifier) != std::string_view::npos) {
    return absl::InvalidArgumentError(
        fmt::format("the specifier {} depends on the machine and is not known before the unit is "
                    "placed; only %n %N %p %P %i %I %j %J and %% can be used here",
                    shown));
  }
  return absl::InvalidArgumentError(
      fmt::format("unknown specifier {}; write %% for a percent sign", shown));
}

template <typename Append>
absl::Status ForEachPart(std::string_view text, const UnitName& name, Append append) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      append(text.substr(i, 1), false);
      continue;
    }
    if (++i == text.size()) {
      return absl::InvalidArgumentError("a single % at the end; write %% for a percent sign");
    }
    ASSIGN_OR_RETURN(const std::string part, Expand(text[i], name));
    append(part, true);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ExpandSpecifiers(std::string_view text, const UnitName& name) {
  std::string expanded;
  RETURN_IF_ERROR(
      ForEachPart(text, name, [&](std::string_view part, bool) { expanded.append(part); }));
  return expanded;
}

absl::StatusOr<std::string> ExpandSpecifiersInGlob(std::string_view text, const UnitName& name) {
  std::string glob;
  RETURN_IF_ERROR(ForEachPart(text, name, [&](std::string_view part, bool inserted) {
    for (const char c : part) {
      if (inserted && std::string_view("*?[]\\").find(c) != std::string_view::npos) glob += '\\';
      glob += c;
    }
  }));
  return glob;
}

}  // namespace fleet
