#pragma once

// What a line of fleet.conf looks like: `key=value`; values bare, '…' or "…", lists as ["a","b"] or
// comma separated; `#` and `;` begin comment lines, ` #` a comment after a value. Pure functions.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fleet::fleetd {

struct ConfigLine {
  int number = 0;  // from 1
  std::string key;
  std::string value;  // still quoted, comment removed
  std::string error;  // why it is none of the above; then key and value are empty
};

// Comment lines and blank ones are left out.
std::vector<ConfigLine> SplitConfig(absl::string_view text);

// A value without its quotes. In "…", \" and \\ are escapes; '…' is literal.
// INVALID_ARGUMENT if a quote is not closed or text follows it; never shows the value.
absl::StatusOr<std::string> Unquote(absl::string_view value);

// The elements of a list in either form; empty ones are dropped.
absl::StatusOr<std::vector<std::string>> UnquoteList(absl::string_view value);

// Text that Unquote reads back to `value`; bare where that is possible.
std::string Quote(absl::string_view value);
std::string QuoteList(const std::vector<std::string>& values);

}  // namespace fleet::fleetd
