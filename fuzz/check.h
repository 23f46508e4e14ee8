#pragma once

// What a fuzzer says when a property does not hold: libFuzzer takes the abort for a finding and
// keeps the input.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <string>
#include <string_view>

namespace fleet::fuzz {

// `about` is what a reader needs besides the input: the value that was wrong.
inline void Check(bool holds, std::string_view property, const std::string& about = {},
                  std::source_location at = std::source_location::current()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%u: does not hold: %.*s\n%s\n", at.file_name(), at.line(),
               static_cast<int>(property.size()), property.data(), about.c_str());
  std::abort();
}

// The input up to the first separator, and what follows it. Without one, all of it and nothing.
struct Halves {
  std::string_view first;
  std::string_view second;
};
inline Halves SplitAt(std::string_view text, std::string_view separator) {
  const size_t at = text.find(separator);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + separator.size())};
}

inline std::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace fleet::fuzz
