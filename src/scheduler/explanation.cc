#include "scheduler/explanation.h"

#include <algorithm>
#include <array>
#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "model/features.h"

namespace fleet::scheduler {
namespace {

constexpr std::string_view kFeatureText = "Feature ";

// How a constraint reads after a number of machines.
struct Phrase {
  std::string_view constraint;  // begins so
  std::string_view one;         // said instead of this beginning
  std::string_view many;
};
constexpr std::array<Phrase, 9> kPhrases = {{
    {kFeatureText, "does not know the feature ", "do not know the feature "},
    {"Conflicts with ", "conflicts with ", "conflict with "},
    {"ConflictsWithin ", "conflicts within ", "conflict within "},
    {"MachineMetadata ", "does not match MachineMetadata ", "do not match MachineMetadata "},
    {"ReserveCPU=", "has no room for ReserveCPU=", "have no room for ReserveCPU="},
    {"ReserveMemory=", "has no room for ReserveMemory=", "have no room for ReserveMemory="},
    {kNotSchedulableText, "is cordoned or leaving", "are cordoned or leaving"},
    {kAvoidedText, "is to be left by this unit", "are to be left by this unit"},
    {kSelfConflictText, "cannot have units that conflict with each other",
     "cannot have units that conflict with each other"},
}};

std::string Say(std::string_view constraint, bool one) {
  for (const Phrase& phrase : kPhrases) {
    if (!constraint.starts_with(phrase.constraint)) continue;
    constraint.remove_prefix(phrase.constraint.size());
    return fmt::format("{}{}", one ? phrase.one : phrase.many, constraint);
  }
  return fmt::format("{} ruled out by {}", one ? "is" : "are", constraint);
}

std::string_view Whereabouts(size_t placed, size_t present) {
  if (placed == 0) return ", which is placed nowhere";
  return present == 0 ? ", whose machine is absent" : "";
}

std::string SomeOf(const std::vector<std::string>& units) {
  const size_t named = std::min(units.size(), kNamedConflicts);
  return fmt::format(
      "{}{}", fmt::join(units.begin(), units.begin() + static_cast<std::ptrdiff_t>(named), ", "),
      named < units.size() ? " and others" : "");
}

}  // namespace

std::string MetadataText(std::string_view key, const std::set<std::string>& values) {
  if (IsFeature(key)) return fmt::format("{}{}", kFeatureText, key.substr(kFeatureKey.size()));
  return fmt::format("MachineMetadata {}={}", key, fmt::join(values, "|"));
}

std::string MachineIdText(std::string_view id, bool is_present) {
  return fmt::format("MachineID {}{}", id, is_present ? "" : ", which is absent");
}

std::string MachineOfText(std::string_view unit, size_t placed, size_t present) {
  return fmt::format("MachineOf {}{}", unit, Whereabouts(placed, present));
}

std::string CollocateText(std::string_view key, std::string_view unit, size_t placed,
                          size_t present) {
  return fmt::format("CollocateWithin {}={}{}", key, unit, Whereabouts(placed, present));
}

std::string ConflictsText(const std::vector<std::string>& units) {
  return fmt::format("Conflicts with {}", SomeOf(units));
}

std::string ConflictsWithinText(std::string_view key, const std::vector<std::string>& units) {
  return fmt::format("ConflictsWithin {} with {}", key, SomeOf(units));
}

std::string ReserveCpuText(int64_t milli_cores) {
  return fmt::format("ReserveCPU={}", FormatCores(milli_cores));
}

std::string ReserveMemoryText(int64_t bytes) {
  return fmt::format("ReserveMemory={}", FormatBytes(bytes));
}

std::string FormatCores(int64_t milli_cores) {
  std::string text = fmt::format("{}", milli_cores / 1000);
  if (milli_cores % 1000 == 0) return text;
  text += fmt::format(".{:03}", milli_cores % 1000);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

std::string FormatBytes(int64_t bytes) {
  constexpr std::array<std::pair<int, char>, 4> kUnits = {
      {{40, 'T'}, {30, 'G'}, {20, 'M'}, {10, 'K'}}};
  for (const auto& [shift, letter] : kUnits) {
    if (bytes != 0 && bytes % (int64_t{1} << shift) == 0) {
      return fmt::format("{}{}", bytes >> shift, letter);
    }
  }
  return fmt::format("{}", bytes);
}

std::string Explanation::Summary() const {
  std::string summary = "no machine is eligible";
  if (!together.empty()) summary += fmt::format(" for {} together", fmt::join(together, ", "));
  if (machines == 0) return summary + ": there are no machines";
  std::string_view separator = ": ";
  for (const RuledOut& by : ruled_out) {
    const std::string count = separator == ": " ? fmt::format("{} of {}", by.machines, machines)
                                                : fmt::format("{}", by.machines);
    summary += fmt::format("{}{} {}", separator, count, Say(by.constraint, by.machines == 1));
    separator = ", ";
  }
  return summary;
}

}  // namespace fleet::scheduler
