#pragma once

// Command line flags: a table of specifications, and a parser that takes fleet 1.0's spellings.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace fleet::fleetctl {

struct FlagSpec {
  std::string_view name;           // "no-block"
  char letter = 0;                 // 'l', or 0
  std::string_view value = {};     // what the help calls the value: "FILE"; empty: a switch
  std::string_view fallback = {};  // its value when not given
  std::string_view help = {};      // empty: not shown
  bool ignored = false;            // accepted with a notice, for old scripts
  bool from_environment = true;    // also taken from FLEETCTL_<FLAG>
  bool optional = false;           // of a value that is true or false: given alone it is true

  // Whether `next`, the word after the flag, is its value.
  bool Takes(std::string_view next) const;
};

// What was given; every lookup REQUIRES a flag of the specifications that were parsed.
class Flags {
 public:
  explicit Flags(std::vector<FlagSpec> specs) : specs_(std::move(specs)) {}

  void Set(std::string_view name, std::string_view value) {
    values_[std::string(name)] = std::string(value);
  }
  bool Given(std::string_view name) const { return values_.contains(std::string(name)); }
  bool On(std::string_view name) const;
  std::string Text(std::string_view name) const;
  // UsageError, naming the flag, if it does not read as that.
  absl::StatusOr<int> Number(std::string_view name) const;
  absl::StatusOr<absl::Duration> Duration(std::string_view name) const;

  const std::vector<FlagSpec>& specs() const { return specs_; }
  const FlagSpec* Find(std::string_view name) const;
  const FlagSpec* FindLetter(char letter) const;

 private:
  std::vector<FlagSpec> specs_;
  std::map<std::string, std::string> values_;
};

struct Parsed {
  Flags flags;
  std::vector<std::string> arguments;     // neither flags nor their values
  std::vector<std::string_view> ignored;  // flags that were given and do nothing
};

// Reads `arguments`: `--flag value`, `--flag=value`, `-f`, `-n5`, `-lf`, also `-flag` and `--f`; a
// switch may be given a value only with `=`. `--` ends the flags. With `stop_after` n >= 0 the
// flags end at the n-th argument (the command to run on another machine has its own).
// UsageError for unknown flags, naming the nearest one, and for missing or bad values.
absl::StatusOr<Parsed> ParseFlags(std::vector<FlagSpec> specs,
                                  const std::vector<std::string>& arguments, int stop_after = -1);

// Sets the flags that are not given, and may come from there, from FLEETCTL_<FLAG> in
// `environment`.
absl::Status ApplyEnvironment(Flags& flags, const std::map<std::string, std::string>& environment);

// true/yes/1/on/t and their opposites in any case.
std::optional<bool> ParseBool(std::string_view text);

// The name in `names` closest to `word`, or empty if none is close.
std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& names);

}  // namespace fleet::fleetctl
