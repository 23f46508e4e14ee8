#include "model/requirement_values.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "base/amount.h"
#include "base/duration.h"
#include "base/glob.h"
#include "base/status.h"
#include "fmt/format.h"
#include "model/quoting.h"
#include "model/specifiers.h"
#include "model/text.h"

namespace fleet {
namespace {

// More than any machine has, and little enough for sums of thousands of them.
constexpr int64_t kMaxMemory = int64_t{1} << 50;

// What the words of a value are: in names and globs a backslash is a character of theirs, and in
// globs what a specifier stands for matches itself only.
enum class WordsAre { kText, kNames, kGlobs };

absl::StatusOr<std::vector<std::string>> SplitWords(const UnitOption& option, WordsAre kind) {
  auto words =
      SplitQuoted(option.value, kind == WordsAre::kText ? Escapes::kExpand : Escapes::kKeep);
  if (!words.ok()) return InvalidValue(option, MessageOf(words.status()));
  return words;
}

absl::StatusOr<std::string> Expand(std::string_view word, const UnitOption& option,
                                   const UnitName& name, WordsAre kind) {
  auto expanded =
      kind == WordsAre::kGlobs ? ExpandSpecifiersInGlob(word, name) : ExpandSpecifiers(word, name);
  if (!expanded.ok()) return InvalidValue(option, MessageOf(expanded.status()));
  return expanded;
}

absl::StatusOr<std::vector<std::string>> ReadWords(const UnitOption& option, const UnitName& name,
                                                   WordsAre kind) {
  ASSIGN_OR_RETURN(std::vector<std::string> words, SplitWords(option, kind));
  for (std::string& word : words) {
    ASSIGN_OR_RETURN(word, Expand(word, option, name, kind));
  }
  return words;
}

absl::Status CheckGlobOf(const UnitOption& option, const std::string& glob) {
  const absl::Status status = CheckGlob(glob);
  return status.ok() ? status : InvalidValue(option, MessageOf(status));
}

absl::Status CheckUnitOf(const UnitOption& option, const std::string& unit) {
  const auto parsed = UnitName::Parse(unit);
  if (!parsed.ok()) {
    std::string why = MessageOf(parsed.status());
    if (UnitName::Parse(WithDefaultSuffix(unit)).ok()) {
      why += fmt::format("; did you mean {}?", WithDefaultSuffix(unit));
    }
    return InvalidValue(option, why);
  }
  if (parsed->is_template()) {
    return InvalidValue(
        option,
        fmt::format("{} is a template, which runs nowhere; name one of its instances", unit));
  }
  return absl::OkStatus();
}

// Words of the form KEY=NAME. A backslash belongs to the name, whichever it is.
absl::StatusOr<std::vector<Within>> ReadWithin(const UnitOption& option, const UnitName& name,
                                               WordsAre kind, std::string_view what) {
  ASSIGN_OR_RETURN(const std::vector<std::string> words, SplitWords(option, kind));
  std::vector<Within> all;
  for (const std::string_view word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
      return InvalidValue(option,
                          fmt::format("{} is not of the form KEY={}, KEY being a metadata key of "
                                      "machines such as zone",
                                      Quoted(word), what));
    }
    Within within;
    ASSIGN_OR_RETURN(const std::string key,
                     Expand(word.substr(0, equals), option, name, WordsAre::kText));
    within.key = Strip(key);
    ASSIGN_OR_RETURN(within.name, Expand(word.substr(equals + 1), option, name, kind));
    if (within.key.empty() || within.name.empty()) {
      return InvalidValue(option, fmt::format("{} has no {}; write KEY={}", Quoted(word),
                                              within.key.empty() ? "key" : what, what));
    }
    if (within.key.find('=') != std::string::npos) {
      return InvalidValue(option, fmt::format("the key {} has a = in it, which no metadata key has",
                                              Quoted(within.key)));
    }
    all.push_back(std::move(within));
  }
  return all;
}

// One pair a line may contain blanks in its value; several have to be quoted.
absl::StatusOr<std::vector<std::string>> ReadPairs(const UnitOption& option, const UnitName& name) {
  if (option.value.find_first_of("\"'") != std::string::npos) {
    return ReadWords(option, name, WordsAre::kText);
  }
  ASSIGN_OR_RETURN(std::string pair, Expand(option.value, option, name, WordsAre::kText));
  const size_t blank = option.value.find_first_of(" \t", option.value.find('='));
  if (blank != std::string::npos && option.value.find('=', blank) != std::string::npos) {
    return InvalidValue(option,
                        "several pairs on one line have to be quoted, each one, like "
                        "\"zone=a\" \"disk=ssd\"");
  }
  return std::vector<std::string>{std::move(pair)};
}

}  // namespace

absl::Status InvalidValue(const UnitOption& option, std::string_view why) {
  return absl::InvalidArgumentError(
      fmt::format("[X-Fleet] {}={}: {}", option.name, Printable(option.value), why));
}

absl::StatusOr<bool> ReadBoolean(const UnitOption& option) {
  const std::string text = absl::AsciiStrToLower(option.value);
  for (const std::string_view word : {"true", "yes", "1", "on", "t", "y"}) {
    if (text == word) return true;
  }
  for (const std::string_view word : {"false", "no", "0", "off", "f", "n", ""}) {
    if (text == word) return false;
  }
  return InvalidValue(option, "not a boolean; write true or false");
}

absl::StatusOr<bool> ReadChoice(const UnitOption& option, std::string_view no,
                                std::string_view yes) {
  if (option.value == yes) return true;
  if (option.value == no || option.value.empty()) return false;
  return InvalidValue(option, fmt::format("write {} or {}", no, yes));
}

absl::StatusOr<std::string> ReadMachineId(const UnitOption& option, const UnitName& name) {
  ASSIGN_OR_RETURN(std::vector<std::string> words, ReadWords(option, name, WordsAre::kText));
  if (words.size() > 1) return InvalidValue(option, "more than one machine id");
  return words.empty() ? std::string() : std::move(words[0]);
}

absl::StatusOr<std::string> ReadMetadataKey(const UnitOption& option, const UnitName& name) {
  ASSIGN_OR_RETURN(std::vector<std::string> words, ReadWords(option, name, WordsAre::kText));
  if (words.empty()) return std::string();
  const bool is_key = words.size() == 1 && !words[0].empty() &&
                      words[0].find_first_of(" \t\r\n=") == std::string::npos;
  if (!is_key) return InvalidValue(option, "not a key; name one metadata key, such as zone");
  return std::move(words[0]);
}

absl::StatusOr<std::vector<std::string>> ReadGlobs(const UnitOption& option, const UnitName& name) {
  ASSIGN_OR_RETURN(std::vector<std::string> globs, ReadWords(option, name, WordsAre::kGlobs));
  for (const std::string& glob : globs) RETURN_IF_ERROR(CheckGlobOf(option, glob));
  return globs;
}

absl::StatusOr<std::vector<std::string>> ReadUnits(const UnitOption& option, const UnitName& name) {
  ASSIGN_OR_RETURN(std::vector<std::string> units, ReadWords(option, name, WordsAre::kNames));
  for (const std::string& unit : units) RETURN_IF_ERROR(CheckUnitOf(option, unit));
  return units;
}

absl::StatusOr<std::vector<Within>> ReadGlobsWithin(const UnitOption& option,
                                                    const UnitName& name) {
  ASSIGN_OR_RETURN(std::vector<Within> all, ReadWithin(option, name, WordsAre::kGlobs, "GLOB"));
  for (const Within& within : all) RETURN_IF_ERROR(CheckGlobOf(option, within.name));
  return all;
}

absl::StatusOr<std::vector<Within>> ReadUnitsWithin(const UnitOption& option,
                                                    const UnitName& name) {
  ASSIGN_OR_RETURN(std::vector<Within> all, ReadWithin(option, name, WordsAre::kNames, "UNIT"));
  for (const Within& within : all) RETURN_IF_ERROR(CheckUnitOf(option, within.name));
  return all;
}

absl::StatusOr<std::map<std::string, std::set<std::string>>> ReadMetadata(const UnitOption& option,
                                                                          const UnitName& name) {
  ASSIGN_OR_RETURN(std::vector<std::string> pairs, ReadPairs(option, name));
  std::map<std::string, std::set<std::string>> metadata;
  for (const std::string_view pair : pairs) {
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return InvalidValue(option, fmt::format("\"{}\" is not of the form key=value", pair));
    }
    const std::string_view key = Strip(pair.substr(0, equals));
    const std::string_view value = Strip(pair.substr(equals + 1));
    if (key.empty() || value.empty()) {
      return InvalidValue(option, fmt::format("\"{}\" has no {}; write key=value", pair,
                                              key.empty() ? "key" : "value"));
    }
    metadata[std::string(key)].emplace(value);
  }
  return metadata;
}

absl::StatusOr<int64_t> ReadInteger(const UnitOption& option, int64_t min, int64_t max) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(option.value, &number) || number < min || number > max) {
    return InvalidValue(option, fmt::format("write a whole number from {} to {}", min, max));
  }
  return number;
}

absl::StatusOr<int64_t> ReadMilliCores(const UnitOption& option) {
  const auto milli_cores = ParseMilliCores(option.value);
  if (absl::IsOutOfRange(milli_cores.status())) {
    return InvalidValue(option, fmt::format("more than {} cores, which no machine has", kMaxCores));
  }
  if (!milli_cores.ok()) {
    return InvalidValue(
        option, "not an amount of CPU; write cores like 2 or 0.5, or percent of one like 50%");
  }
  return *milli_cores;
}

absl::StatusOr<int64_t> ReadBytes(const UnitOption& option) {
  const auto bytes = ParseBytes(option.value);
  if (absl::IsOutOfRange(bytes.status()) || (bytes.ok() && *bytes > kMaxMemory)) {
    return InvalidValue(option,
                        fmt::format("more than {}T, which no machine has", kMaxMemory >> 40));
  }
  if (!bytes.ok()) {
    return InvalidValue(option,
                        "not an amount of memory; write bytes, or a number with K, M, G or T "
                        "(base 1024) like 512M or 1.5G");
  }
  return *bytes;
}

absl::StatusOr<Budget> ReadBudget(const UnitOption& option) {
  auto budget = ParseBudget(option.value);
  if (!budget.ok()) return InvalidValue(option, "write a number such as 2 or a share such as 25%");
  return budget;
}

absl::StatusOr<absl::Duration> ReadDuration(const UnitOption& option) {
  auto duration = ParseDuration(option.value);
  if (!duration.ok()) return InvalidValue(option, "write a duration such as 10s or 1m30s");
  return duration;
}

}  // namespace fleet
