#pragma once

// The words for each constraint, as RuledOut::constraint has them.

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::scheduler {

std::string MetadataText(std::string_view key, const std::set<std::string>& values);
std::string MachineIdText(std::string_view id, bool is_present);
// On how many machines the other unit is placed, and how many of those are present.
std::string MachineOfText(std::string_view unit, size_t placed, size_t present);
// Names the first kNamedConflicts units, and says if there are more.
inline constexpr size_t kNamedConflicts = 3;
std::string ConflictsText(const std::vector<std::string>& units);

inline constexpr std::string_view kAbsentText = "machine is absent";
inline constexpr std::string_view kNotSchedulableText = "cordoned or leaving";
inline constexpr std::string_view kAvoidedText = "to be left by this unit";

}  // namespace fleet::scheduler
