#pragma once

// The words that stand for something to do: commands, and the verbs of commands that have some
// ("rollout pause"). A beginning of one that fits no other will do.

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fleet::fleetctl {

// The one of `names` that `word` is or begins. UsageError naming the nearest, or those it may be;
// `what`: what they are, "command".
absl::StatusOr<std::string_view> FindName(std::string_view word,
                                          const std::vector<std::string_view>& names,
                                          std::string_view what);

struct Verb {
  std::string_view name;
  std::string_view arguments;  // that may follow it
};

// Those of a command, as its usage line has them: "status|pause [UNIT…]", or
// "start NAME… | drain MACHINE". None if it begins with something else.
std::vector<Verb> VerbsOf(std::string_view arguments);

}  // namespace fleet::fleetctl
