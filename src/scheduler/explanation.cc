#include "scheduler/explanation.h"

#include <algorithm>
#include <array>

#include "fmt/format.h"
#include "scheduler/scheduler.h"

namespace fleet::scheduler {
namespace {

// How a constraint reads after a number of machines.
struct Phrase {
  std::string_view constraint;  // begins so
  std::string_view one;         // said instead of this beginning
  std::string_view many;
};
constexpr std::array<Phrase, 4> kPhrases = {{
    {"Conflicts with ", "conflicts with ", "conflict with "},
    {"MachineMetadata ", "does not match MachineMetadata ", "do not match MachineMetadata "},
    {kNotSchedulableText, "is cordoned or leaving", "are cordoned or leaving"},
    {kAvoidedText, "is to be left by this unit", "are to be left by this unit"},
}};

std::string Say(std::string_view constraint, bool one) {
  for (const Phrase& phrase : kPhrases) {
    if (!constraint.starts_with(phrase.constraint)) continue;
    constraint.remove_prefix(phrase.constraint.size());
    return fmt::format("{}{}", one ? phrase.one : phrase.many, constraint);
  }
  return fmt::format("{} ruled out by {}", one ? "is" : "are", constraint);
}

}  // namespace

std::string MetadataText(std::string_view key, const std::set<std::string>& values) {
  return fmt::format("MachineMetadata {}={}", key, fmt::join(values, "|"));
}

std::string MachineIdText(std::string_view id, bool is_present) {
  return fmt::format("MachineID {}{}", id, is_present ? "" : ", which is absent");
}

std::string MachineOfText(std::string_view unit, size_t placed, size_t present) {
  const std::string_view where = placed == 0    ? ", which is placed nowhere"
                                 : present == 0 ? ", whose machine is absent"
                                                : "";
  return fmt::format("MachineOf {}{}", unit, where);
}

std::string ConflictsText(const std::vector<std::string>& units) {
  const size_t named = std::min(units.size(), kNamedConflicts);
  return fmt::format(
      "Conflicts with {}{}",
      fmt::join(units.begin(), units.begin() + static_cast<std::ptrdiff_t>(named), ", "),
      named < units.size() ? " and others" : "");
}

std::string Explanation::Summary() const {
  if (machines == 0) return "no machine is eligible: there are no machines";
  std::string summary = "no machine is eligible";
  std::string_view separator = ": ";
  for (const RuledOut& ruled_out_by : ruled_out) {
    const std::string count = separator == ": "
                                  ? fmt::format("{} of {}", ruled_out_by.machines, machines)
                                  : fmt::format("{}", ruled_out_by.machines);
    summary += fmt::format("{}{} {}", separator, count,
                           Say(ruled_out_by.constraint, ruled_out_by.machines == 1));
    separator = ", ";
  }
  return summary;
}

}  // namespace fleet::scheduler
