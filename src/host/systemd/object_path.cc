#include "host/systemd/object_path.h"

#include <cstddef>

namespace fleet::host {
namespace {

constexpr std::string_view kUnits = "/org/freedesktop/systemd1/unit/";
constexpr std::string_view kHexDigits = "0123456789abcdef";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string UnitPath(std::string_view unit) {
  std::string path(kUnits);
  path.reserve(path.size() + unit.size() + 16);
  if (unit.empty()) path += '_';
  for (size_t i = 0; i < unit.size(); ++i) {
    const char c = unit[i];
    // A digit is escaped in front, because no D-Bus path element of one's own may start with one.
    if (IsLetter(c) || (i > 0 && IsDigit(c))) {
      path += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    path += '_';
    path += kHexDigits[byte >> 4];
    path += kHexDigits[byte & 15];
  }
  return path;
}

std::optional<std::string> UnitOfPath(std::string_view path) {
  if (path.substr(0, kUnits.size()) != kUnits) return std::nullopt;
  path.remove_prefix(kUnits.size());
  if (path == "_") return std::string();
  std::string name;
  name.reserve(path.size());
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '_') {
      name += path[i];
      continue;
    }
    const int high = i + 2 < path.size() ? HexValue(path[i + 1]) : -1;
    const int low = high >= 0 ? HexValue(path[i + 2]) : -1;
    if (low < 0) return std::nullopt;
    name += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return name;
}

}  // namespace fleet::host
