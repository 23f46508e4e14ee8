#include "fleetctl/verbs.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/flags.h"

namespace fleet::fleetctl {
namespace {

// Up to `separator`, which is taken away with it.
std::string_view TakeUntil(std::string_view& text, std::string_view separator) {
  const size_t at = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + separator.size(), text.size()));
  return taken;
}

// What a name begins with: "list" of "list-units".
std::string_view BeginningOf(std::string_view name) { return name.substr(0, name.find('-')); }

// Those that begin as a mistyped `word` may: "lst" for the lists.
std::vector<std::string_view> WithNearestBeginning(std::string_view word,
                                                   const std::vector<std::string_view>& names) {
  std::vector<std::string_view> beginnings;
  beginnings.reserve(names.size());
  for (const std::string_view name : names) beginnings.push_back(BeginningOf(name));
  const std::string_view nearest = Nearest(word, beginnings);
  std::vector<std::string_view> found;
  for (const std::string_view name : names)
    if (!nearest.empty() && BeginningOf(name) == nearest) found.push_back(name);
  return found;
}

}  // namespace

absl::StatusOr<std::string_view> FindName(std::string_view word,
                                          const std::vector<std::string_view>& names,
                                          std::string_view what) {
  std::vector<std::string_view> candidates;
  for (const std::string_view name : names) {
    if (name == word) return name;
    if (name.starts_with(word)) candidates.push_back(name);
  }
  if (candidates.size() == 1) return candidates[0];
  if (candidates.size() > 1)
    return UsageError(Cat("\"", word, "\" may be ", Join(candidates, ", ")));
  std::string message = Cat("unknown ", what, " \"", word, "\"");
  std::vector<std::string_view> nearest = {Nearest(word, names)};
  if (nearest[0].empty()) nearest = WithNearestBeginning(word, names);
  if (!nearest.empty()) Append(message, ", did you mean \"", Join(nearest, "\" or \""), "\"?");
  return UsageError(message);
}

std::vector<Verb> VerbsOf(std::string_view arguments) {
  std::vector<Verb> verbs;
  if (arguments.empty() || !absl::ascii_islower(static_cast<unsigned char>(arguments[0])))
    return verbs;
  while (!arguments.empty()) {
    std::string_view rest = TakeUntil(arguments, " | ");
    std::string_view names = TakeUntil(rest, " ");
    while (!names.empty()) verbs.push_back({TakeUntil(names, "|"), rest});
  }
  return verbs;
}

}  // namespace fleet::fleetctl
