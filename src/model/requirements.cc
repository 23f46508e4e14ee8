#include "model/requirements.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "base/edit_distance.h"
#include "base/glob.h"
#include "base/status.h"
#include "fmt/format.h"
#include "model/specifiers.h"
#include "model/text.h"

namespace fleet {
namespace {

constexpr std::string_view kSection = "X-Fleet";

enum class Key { kConflicts, kGlobal, kMachineId, kMachineMetadata, kMachineOf, kReplaces };

struct Spelling {
  std::string_view text;
  Key key;
  bool current;  // false: of fleet before 0.8, read but never suggested
};

constexpr std::array<Spelling, 11> kSpellings = {{
    {"Conflicts", Key::kConflicts, true},
    {"Global", Key::kGlobal, true},
    {"MachineID", Key::kMachineId, true},
    {"MachineMetadata", Key::kMachineMetadata, true},
    {"MachineOf", Key::kMachineOf, true},
    {"Replaces", Key::kReplaces, true},
    {"X-Conflicts", Key::kConflicts, false},
    {"X-ConditionMachineID", Key::kMachineId, false},
    {"X-ConditionMachineBootID", Key::kMachineId, false},
    {"X-ConditionMachineOf", Key::kMachineOf, false},
    {"X-ConditionMachineMetadata", Key::kMachineMetadata, false},
}};

std::optional<Key> FindKey(std::string_view text) {
  for (const Spelling& spelling : kSpellings) {
    if (spelling.text == text) return spelling.key;
  }
  return std::nullopt;
}

std::string_view CurrentSpelling(Key key) {
  for (const Spelling& spelling : kSpellings) {
    if (spelling.key == key && spelling.current) return spelling.text;
  }
  return {};
}

absl::Status Invalid(const UnitOption& option, std::string_view why) {
  return absl::InvalidArgumentError(
      fmt::format("[X-Fleet] {}={}: {}", option.name, Printable(option.value), why));
}

absl::StatusOr<bool> ParseBoolean(const UnitOption& option) {
  const std::string text = absl::AsciiStrToLower(option.value);
  for (const std::string_view word : {"true", "yes", "1", "on", "t", "y"}) {
    if (text == word) return true;
  }
  for (const std::string_view word : {"false", "no", "0", "off", "f", "n", ""}) {
    if (text == word) return false;
  }
  return Invalid(option, "not a boolean; write true or false");
}

// What the words of a value are: in names and globs a backslash is a character of theirs, and in
// globs what a specifier stands for matches itself only.
enum class WordsAre { kText, kNames, kGlobs };

absl::StatusOr<std::vector<std::string>> ReadWords(const UnitOption& option, const UnitName& name,
                                                   WordsAre kind) {
  auto words =
      SplitQuoted(option.value, kind == WordsAre::kText ? Escapes::kExpand : Escapes::kKeep);
  if (!words.ok()) return Invalid(option, MessageOf(words.status()));
  for (std::string& word : *words) {
    auto expanded = kind == WordsAre::kGlobs ? ExpandSpecifiersInGlob(word, name)
                                             : ExpandSpecifiers(word, name);
    if (!expanded.ok()) return Invalid(option, MessageOf(expanded.status()));
    word = *std::move(expanded);
  }
  return words;
}

absl::StatusOr<std::vector<std::string>> ReadGlobs(const UnitOption& option, const UnitName& name) {
  ASSIGN_OR_RETURN(std::vector<std::string> globs, ReadWords(option, name, WordsAre::kGlobs));
  for (const std::string& glob : globs) {
    const absl::Status status = CheckGlob(glob);
    if (!status.ok()) return Invalid(option, MessageOf(status));
  }
  return globs;
}

absl::StatusOr<std::vector<std::string>> ReadUnits(const UnitOption& option, const UnitName& name) {
  ASSIGN_OR_RETURN(std::vector<std::string> units, ReadWords(option, name, WordsAre::kNames));
  for (const std::string& unit : units) {
    const auto parsed = UnitName::Parse(unit);
    if (!parsed.ok()) {
      std::string why = MessageOf(parsed.status());
      if (UnitName::Parse(WithDefaultSuffix(unit)).ok()) {
        why += fmt::format("; did you mean {}?", WithDefaultSuffix(unit));
      }
      return Invalid(option, why);
    }
    if (parsed->is_template()) {
      return Invalid(
          option,
          fmt::format("{} is a template, which runs nowhere; name one of its instances", unit));
    }
  }
  return units;
}

// One pair a line may contain blanks in its value; several have to be quoted.
absl::StatusOr<std::vector<std::string>> ReadPairs(const UnitOption& option, const UnitName& name) {
  if (option.value.find_first_of("\"'") != std::string::npos) {
    return ReadWords(option, name, WordsAre::kText);
  }
  auto expanded = ExpandSpecifiers(option.value, name);
  if (!expanded.ok()) return Invalid(option, MessageOf(expanded.status()));
  const size_t blank = option.value.find_first_of(" \t", option.value.find('='));
  if (blank != std::string::npos && option.value.find('=', blank) != std::string::npos) {
    return Invalid(option,
                   "several pairs on one line have to be quoted, each one, like "
                   "\"zone=a\" \"disk=ssd\"");
  }
  return std::vector<std::string>{*std::move(expanded)};
}

using Metadata = std::map<std::string, std::set<std::string>>;

absl::StatusOr<Metadata> ReadMetadata(const UnitOption& option, const UnitName& name) {
  ASSIGN_OR_RETURN(std::vector<std::string> pairs, ReadPairs(option, name));
  Metadata metadata;
  for (const std::string_view pair : pairs) {
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return Invalid(option, fmt::format("\"{}\" is not of the form key=value", pair));
    }
    const std::string_view key = Strip(pair.substr(0, equals));
    const std::string_view value = Strip(pair.substr(equals + 1));
    if (key.empty() || value.empty()) {
      return Invalid(option, fmt::format("\"{}\" has no {}; write key=value", pair,
                                         key.empty() ? "key" : "value"));
    }
    metadata[std::string(key)].emplace(value);
  }
  return metadata;
}

std::vector<std::string> Union(std::vector<std::string> values,
                               const std::vector<std::string>& more) {
  values.insert(values.end(), more.begin(), more.end());
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

// The requirements after one more assignment. An empty one resets those before it.
absl::StatusOr<Requirements> With(Requirements requirements, Key key, const UnitOption& option,
                                  const UnitName& name) {
  const bool reset = option.value.empty();
  switch (key) {
    case Key::kConflicts: {
      ASSIGN_OR_RETURN(const std::vector<std::string> globs, ReadGlobs(option, name));
      requirements.conflicts = reset ? globs : Union(std::move(requirements.conflicts), globs);
      break;
    }
    case Key::kReplaces: {
      ASSIGN_OR_RETURN(const std::vector<std::string> globs, ReadGlobs(option, name));
      requirements.replaces = reset ? globs : Union(std::move(requirements.replaces), globs);
      break;
    }
    case Key::kMachineOf: {
      ASSIGN_OR_RETURN(const std::vector<std::string> units, ReadUnits(option, name));
      requirements.machine_of = reset ? units : Union(std::move(requirements.machine_of), units);
      break;
    }
    case Key::kMachineMetadata: {
      if (reset) {
        requirements.metadata.clear();
        break;
      }
      ASSIGN_OR_RETURN(const Metadata metadata, ReadMetadata(option, name));
      for (const auto& [one, values] : metadata) {
        requirements.metadata[one].insert(values.begin(), values.end());
      }
      break;
    }
    case Key::kMachineId: {
      ASSIGN_OR_RETURN(std::vector<std::string> words, ReadWords(option, name, WordsAre::kText));
      if (words.size() > 1) return Invalid(option, "more than one machine id");
      requirements.machine_id = words.empty() ? "" : std::move(words[0]);
      break;
    }
    case Key::kGlobal: {
      ASSIGN_OR_RETURN(requirements.global, ParseBoolean(option));
      break;
    }
  }
  return requirements;
}

absl::Status CheckTogether(const Requirements& requirements) {
  const auto exclude = [](std::string_view a, std::string_view b) {
    return absl::InvalidArgumentError(
        fmt::format("[X-Fleet] {}= and {}= cannot be combined in one unit", a, b));
  };
  if (requirements.global) {
    if (!requirements.machine_id.empty()) return exclude("Global", "MachineID");
    if (!requirements.machine_of.empty()) return exclude("Global", "MachineOf");
    if (!requirements.replaces.empty()) return exclude("Global", "Replaces");
  }
  if (!requirements.replaces.empty() && !requirements.conflicts.empty()) {
    return exclude("Replaces", "Conflicts");
  }
  return absl::OkStatus();
}

std::string Suggestion(std::string_view unknown) {
  std::string_view best;
  size_t best_distance = unknown.size();
  size_t best_common = 0;  // letters at the beginning
  std::vector<std::string_view> known;
  for (const Spelling& spelling : kSpellings) {
    if (spelling.current) known.push_back(spelling.text);
    const size_t distance = EditDistance(unknown, spelling.text);
    const auto common = static_cast<size_t>(
        std::mismatch(unknown.begin(), unknown.end(), spelling.text.begin(), spelling.text.end())
            .first -
        unknown.begin());
    if (distance < best_distance || (distance == best_distance && common > best_common)) {
      best_distance = distance;
      best_common = common;
      best = CurrentSpelling(spelling.key);
    }
  }
  if (!best.empty() && best_distance <= best.size() / 2) {
    return fmt::format("did you mean \"{}\"?", best);
  }
  return fmt::format("known keys are {}.", fmt::join(known, ", "));
}

absl::Status CheckKeysAreKnown(const UnitFile& file, const UnitName& name) {
  for (const UnitOption& option : file.options()) {
    if (option.section != kSection) {
      if (absl::AsciiStrToLower(option.section) != "x-fleet") continue;
      return absl::InvalidArgumentError(fmt::format(
          "{}: unknown section [{}], did you mean [X-Fleet]? To submit it as it is, use --force",
          name.full(), option.section));
    }
    if (FindKey(option.name)) continue;
    return absl::InvalidArgumentError(
        fmt::format("{}: unknown key \"{}\" in [X-Fleet], {} To submit it as it is, use --force",
                    name.full(), Printable(option.name), Suggestion(option.name)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Requirements> ParseRequirements(const UnitFile& file, const UnitName& name) {
  // A template never runs; its keys are read as one of its instances would have them.
  UnitName reader = name;
  if (name.is_template()) {
    ASSIGN_OR_RETURN(reader,
                     UnitName::Parse(fmt::format("{}@instance.{}", name.prefix(), name.suffix())));
  }
  Requirements requirements;
  for (const UnitOption& option : file.options()) {
    if (option.section != kSection) continue;
    const std::optional<Key> key = FindKey(option.name);
    if (!key) continue;
    ASSIGN_OR_RETURN(requirements, With(std::move(requirements), *key, option, reader));
  }
  RETURN_IF_ERROR(CheckTogether(requirements));
  return requirements;
}

absl::Status CheckForSubmit(const UnitFile& file, const UnitName& name, bool force) {
  if (!force) RETURN_IF_ERROR(CheckKeysAreKnown(file, name));
  auto requirements = ParseRequirements(file, name);
  if (requirements.ok()) return absl::OkStatus();
  return absl::Status(requirements.status().code(),
                      fmt::format("{}: {}", name.full(), MessageOf(requirements.status())));
}

}  // namespace fleet
