#pragma once

// Small facts about records that several of the engine's decisions ask for.

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/glob.h"
#include "model/cluster_view.h"
#include "model/features.h"
#include "model/requirements.h"
#include "model/unit_name.h"

namespace fleet::reconcile {

// Under which a rollout's decisions stand: no unit has a name with a slash.
inline constexpr std::string_view kRolloutPrefix = "rollouts/";

inline AssignmentState StateFor(DesiredState desired) {
  return desired == DesiredState::kLaunched ? AssignmentState::kLaunched : AssignmentState::kLoaded;
}

// The same of what is decided about cluster/features.
inline constexpr std::string_view kFeaturesKey = "cluster/features";

// And about the settings of a machine.
inline constexpr std::string_view kSettingsPrefix = "settings/";
inline std::string SettingsKey(const std::string& machine) {
  return std::string(kSettingsPrefix) + machine;
}

// A record of this unit that cannot be read: nothing is decided about it.
inline bool HasUnreadableRecord(const ClusterView& view, const std::string& unit) {
  if (view.unreadable.empty()) return false;
  const std::string tail = "/" + unit;
  return std::any_of(view.unreadable.begin(), view.unreadable.end(),
                     [&](const auto& entry) { return entry.first.ends_with(tail); });
}

// The machine's settings are there, and this version cannot read them: what its metadata are is not
// known, so nothing comes there and nothing is driven away.
inline bool HasUnreadableSettings(const ClusterView& view, const std::string& machine) {
  return !view.unreadable.empty() && view.unreadable.Find(SettingsKey(machine)) != nullptr;
}

// What the engine has noted about a unit that is not placed.
inline bool HasNotes(const UnitRecord& record) {
  return !record.refusal.empty() || !record.nominated_machine.empty();
}

// The record of a unit that has just been placed, or that is not to be placed.
inline UnitRecord WithoutNotes(UnitRecord record) {
  record.refusal.clear();
  record.nominated_machine.clear();
  record.move_to.clear();
  return record;
}

// The record of a unit that a rollout has given this text. What was noted judges another one.
inline UnitRecord WithText(UnitRecord record, const std::string& content_hash,
                           const Requirements& requirements) {
  record = WithoutNotes(std::move(record));
  record.failed_on.clear();
  record.content_hash = content_hash;
  record.features = FeaturesOf(requirements);
  return record;
}

inline bool MatchesOne(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return GlobMatches(glob, name); });
}

inline bool IsTemplate(const std::string& unit) {
  const auto name = UnitName::Parse(unit);
  return name.ok() && name->is_template();
}

// The template of an instance; empty for other units.
inline std::string TemplateOf(const std::string& unit) {
  const auto name = UnitName::Parse(unit);
  return name.ok() && name->is_instance() ? name->TemplateName() : "";
}

// The number of an instance as replicas have them: decimal, no leading zero.
inline std::optional<int64_t> NumberOf(const UnitName& name) {
  const std::string_view text = name.instance();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty() ||
      text.front() < '1' || text.front() > '9') {
    return std::nullopt;
  }
  return number;
}

}  // namespace fleet::reconcile
