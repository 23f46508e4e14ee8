#pragma once

// Words and quotes of a value, as systemd.syntax(7) has them.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fleet {

// Splits a value into words as systemd.syntax(7) quotes them: "a b" and 'a b' are one word, C
// escapes outside single quotes are expanded, or kept as they are (globs have a backslash of their
// own). INVALID_ARGUMENT for a quote that is not closed and for an unknown escape.
enum class Escapes { kExpand, kKeep };
absl::StatusOr<std::vector<std::string>> SplitQuoted(std::string_view value,
                                                     Escapes escapes = Escapes::kExpand);

}  // namespace fleet
