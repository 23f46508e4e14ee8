#pragma once

// A unit file: its text as it was given, byte for byte, and its options as systemd.syntax(7) reads
// them. Immutable once parsed; cheap to share by pointer.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/quoting.h"  // SplitQuoted

namespace fleet {

struct UnitOption {
  std::string section;
  std::string name;
  std::string value;  // continuation lines joined with a blank, outer white space removed

  bool operator==(const UnitOption&) const = default;
};

class UnitFile {
 public:
  static constexpr size_t kMaxBytes = 1 << 20;

  // INVALID_ARGUMENT with the line number: an assignment outside a section, a line that is neither
  // section, assignment nor comment, a section that is not closed, NUL bytes, text that is not
  // UTF-8, more than kMaxBytes.
  static absl::StatusOr<UnitFile> Parse(std::string text);

  // Canonical text for options that came without one (API): sections in first-seen order,
  // `Name=Value` lines, a blank line between sections. INVALID_ARGUMENT for an option whose section
  // or name is empty or has characters that cannot be written (newline, brackets, '='), and for one
  // that would not read back as it is. A value may have continuation lines ("a \\\n b").
  static absl::StatusOr<UnitFile> FromOptions(const std::vector<UnitOption>& options);

  const std::string& text() const { return text_; }
  const std::string& hash() const { return hash_; }  // SHA-256 of the text, 64 hex digits
  const std::vector<UnitOption>& options() const { return options_; }

  // All values of section/name in order, after list resets (an empty assignment drops those
  // before).
  std::vector<std::string> Values(std::string_view section, std::string_view name) const;
  // The last one, or empty.
  std::string Value(std::string_view section, std::string_view name) const;
  // True for an empty section too.
  bool HasSection(std::string_view section) const;
  std::string Description() const { return Value("Unit", "Description"); }

 private:
  std::string text_;
  std::string hash_;
  std::vector<std::string> sections_;  // as they appear; one that is opened twice appears twice
  std::vector<UnitOption> options_;
};

}  // namespace fleet
