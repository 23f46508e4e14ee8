#pragma once

// Globs over unit names: `*`, `?`, `[a-z]`, `[^a]`, `\c`, always over the whole name.

#include <string_view>

#include "absl/status/status.h"

namespace fleet {

// INVALID_ARGUMENT if a bracket is not closed, a range is reversed, or a backslash ends the glob.
absl::Status CheckGlob(std::string_view glob);

// True if `glob` matches all of `name`. A glob that CheckGlob refuses matches nothing.
// Time: O(|glob| * |name|) at worst, no recursion.
bool GlobMatches(std::string_view glob, std::string_view name);

// The literal text before the first special character; every match begins with it.
std::string_view GlobLiteralPrefix(std::string_view glob);

// True if the text has a special character, so that it can match something other than itself.
bool IsGlob(std::string_view text);

}  // namespace fleet
