#include "model/requirements.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "base/edit_distance.h"
#include "base/status.h"
#include "fmt/format.h"
#include "model/requirement_values.h"
#include "model/text.h"

namespace fleet {
namespace {

constexpr std::string_view kSection = "X-Fleet";

// Above that, sums of weights would lose their meaning.
constexpr int64_t kMaxWeight = 1'000'000;

enum class Key {
  kCollocateWithin,
  kConflicts,
  kConflictsWithin,
  kGlobal,
  kHealthyAfter,
  kMachineId,
  kMachineMetadata,
  kMachineOf,
  kMaxUnavailable,
  kOnIsolation,
  kPriority,
  kReplaces,
  kReplicas,
  kReschedule,
  kReserveCpu,
  kReserveMemory,
  kSpreadOver,
  kWeight,
};

struct Spelling {
  std::string_view text;
  Key key;
  bool current;  // false: of fleet before 0.8, read but never suggested
};

constexpr std::array<Spelling, 23> kSpellings = {{
    {"CollocateWithin", Key::kCollocateWithin, true},
    {"Conflicts", Key::kConflicts, true},
    {"ConflictsWithin", Key::kConflictsWithin, true},
    {"Global", Key::kGlobal, true},
    {"HealthyAfter", Key::kHealthyAfter, true},
    {"MachineID", Key::kMachineId, true},
    {"MachineMetadata", Key::kMachineMetadata, true},
    {"MachineOf", Key::kMachineOf, true},
    {"MaxUnavailable", Key::kMaxUnavailable, true},
    {"OnIsolation", Key::kOnIsolation, true},
    {"Priority", Key::kPriority, true},
    {"Replaces", Key::kReplaces, true},
    {"Replicas", Key::kReplicas, true},
    {"Reschedule", Key::kReschedule, true},
    {"ReserveCPU", Key::kReserveCpu, true},
    {"ReserveMemory", Key::kReserveMemory, true},
    {"SpreadOver", Key::kSpreadOver, true},
    {"Weight", Key::kWeight, true},
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

// A list after one more assignment to its key. An empty one resets those before it.
template <typename T>
std::vector<T> Assigned(std::vector<T> values, bool reset, const std::vector<T>& more) {
  if (reset) values.clear();
  values.insert(values.end(), more.begin(), more.end());
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

// The requirements after one more assignment. Of a key with one value the last one counts.
absl::StatusOr<Requirements> With(Requirements requirements, Key key, const UnitOption& option,
                                  const UnitName& name) {
  const Requirements defaults;
  const bool reset = option.value.empty();
  switch (key) {
    case Key::kConflicts: {
      ASSIGN_OR_RETURN(const auto globs, ReadGlobs(option, name));
      requirements.conflicts = Assigned(std::move(requirements.conflicts), reset, globs);
      break;
    }
    case Key::kConflictsWithin: {
      ASSIGN_OR_RETURN(const auto globs, ReadGlobsWithin(option, name));
      requirements.conflicts_within =
          Assigned(std::move(requirements.conflicts_within), reset, globs);
      break;
    }
    case Key::kReplaces: {
      ASSIGN_OR_RETURN(const auto globs, ReadGlobs(option, name));
      requirements.replaces = Assigned(std::move(requirements.replaces), reset, globs);
      break;
    }
    case Key::kMachineOf: {
      ASSIGN_OR_RETURN(const auto units, ReadUnits(option, name));
      requirements.machine_of = Assigned(std::move(requirements.machine_of), reset, units);
      break;
    }
    case Key::kCollocateWithin: {
      ASSIGN_OR_RETURN(const auto units, ReadUnitsWithin(option, name));
      requirements.collocate_within =
          Assigned(std::move(requirements.collocate_within), reset, units);
      break;
    }
    case Key::kMachineMetadata: {
      if (reset) {
        requirements.metadata.clear();
        break;
      }
      ASSIGN_OR_RETURN(const auto metadata, ReadMetadata(option, name));
      for (const auto& [one, values] : metadata) {
        requirements.metadata[one].insert(values.begin(), values.end());
      }
      break;
    }
    case Key::kMachineId: {
      ASSIGN_OR_RETURN(requirements.machine_id, ReadMachineId(option, name));
      break;
    }
    case Key::kSpreadOver: {
      ASSIGN_OR_RETURN(requirements.spread_over, ReadMetadataKey(option, name));
      break;
    }
    case Key::kGlobal: {
      ASSIGN_OR_RETURN(requirements.global, ReadBoolean(option));
      break;
    }
    case Key::kReserveCpu: {
      ASSIGN_OR_RETURN(requirements.reserve_milli_cores,
                       reset ? defaults.reserve_milli_cores : ReadMilliCores(option));
      break;
    }
    case Key::kOnIsolation: {
      ASSIGN_OR_RETURN(requirements.stops_on_isolation, ReadChoice(option, "keep", "stop"));
      break;
    }
    case Key::kReschedule: {
      ASSIGN_OR_RETURN(requirements.reschedules_on_failure,
                       ReadChoice(option, "never", "on-failure"));
      break;
    }
    case Key::kReserveMemory: {
      ASSIGN_OR_RETURN(requirements.reserve_memory,
                       reset ? defaults.reserve_memory : ReadBytes(option));
      break;
    }
    case Key::kWeight: {
      ASSIGN_OR_RETURN(requirements.weight,
                       reset ? defaults.weight : ReadInteger(option, 1, kMaxWeight));
      break;
    }
    case Key::kReplicas: {
      requirements.replicas.reset();
      if (!reset) {
        ASSIGN_OR_RETURN(requirements.replicas, ReadInteger(option, 0, kMaxReplicas));
      }
      break;
    }
    case Key::kMaxUnavailable: {
      ASSIGN_OR_RETURN(requirements.max_unavailable,
                       reset ? defaults.max_unavailable : ReadBudget(option));
      break;
    }
    case Key::kHealthyAfter: {
      ASSIGN_OR_RETURN(requirements.healthy_after,
                       reset ? defaults.healthy_after : ReadDuration(option));
      break;
    }
    case Key::kPriority: {
      constexpr auto kLimits = std::numeric_limits<int32_t>();
      ASSIGN_OR_RETURN(
          requirements.priority,
          reset ? defaults.priority : ReadInteger(option, kLimits.min(), kLimits.max()));
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
    if (!requirements.conflicts_within.empty()) return exclude("Global", "ConflictsWithin");
    if (!requirements.collocate_within.empty()) return exclude("Global", "CollocateWithin");
    if (!requirements.spread_over.empty()) return exclude("Global", "SpreadOver");
    if (requirements.reschedules_on_failure) return exclude("Global", "Reschedule");
    if (requirements.replicas) return exclude("Global", "Replicas");
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
