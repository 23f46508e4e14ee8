#pragma once

// Pieces of what users wrote, as they can stand in a message.

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace fleet {

// Without the outer white space that systemd.syntax(7) ignores.
std::string_view Strip(std::string_view text);

// In double quotes, on one line: control characters and what is not UTF-8 escaped, cut off (between
// characters) after 80 bytes.
std::string Quoted(std::string_view text);

// The same without quotes and uncut.
std::string Printable(std::string_view text);

// How many bytes the UTF-8 character at the start of `text` has (RFC 3629); 0 if it is none.
// REQUIRES: text is not empty.
size_t Utf8CharacterBytes(std::string_view text);

// A status's message as a std::string (abseil's string_view is not the standard one here).
std::string MessageOf(const absl::Status& status);

}  // namespace fleet
