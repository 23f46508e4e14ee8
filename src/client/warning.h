#pragma once

// A Warning header (RFC 7234, 5.5): what the server has to say about an answer besides it, such as
// that it may be old.

#include <optional>
#include <string>
#include <string_view>

namespace fleet::client {

struct Warning {
  std::string code;  // "110"
  std::string text;

  bool operator==(const Warning&) const = default;
};

// `110 fleetd "the text"`; nullopt if it is none.
std::optional<Warning> ParseWarning(std::string_view header);

}  // namespace fleet::client
