#include "client/warning.h"

#include "client/text.h"

namespace fleet::client {

std::optional<Warning> ParseWarning(std::string_view header) {
  const std::string_view value = Strip(header);
  const size_t space = value.find(' ');
  const size_t open = value.find('"');
  int code = 0;
  if (space == std::string_view::npos || open == std::string_view::npos || open < space ||
      !ReadNumber(value.substr(0, space), code)) {
    return std::nullopt;
  }
  Warning warning{.code = std::string(value.substr(0, space)), .text = {}};
  for (size_t i = open + 1; i < value.size() && value[i] != '"'; ++i) {
    if (value[i] == '\\' && i + 1 < value.size()) ++i;
    warning.text += value[i];
  }
  return warning;
}

}  // namespace fleet::client
