#pragma once

// The kinds of values that keys of [X-Fleet] have. Pure functions; all return INVALID_ARGUMENT for
// a value that cannot be read, with the assignment and what to write instead. Specifiers are
// expanded for `name`, except in booleans, numbers and amounts.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/budget.h"
#include "model/requirements.h"
#include "model/unit_file.h"
#include "model/unit_name.h"

namespace fleet {

// "[X-Fleet] Global=maybe: " and why.
absl::Status InvalidValue(const UnitOption& option, std::string_view why);

absl::StatusOr<bool> ReadBoolean(const UnitOption& option);  // empty: false
// One of two words: false for `no`, or if empty; true for `yes`.
absl::StatusOr<bool> ReadChoice(const UnitOption& option, std::string_view no,
                                std::string_view yes);

// One word at most; empty if there is none.
absl::StatusOr<std::string> ReadMachineId(const UnitOption& option, const UnitName& name);
absl::StatusOr<std::string> ReadMetadataKey(const UnitOption& option, const UnitName& name);

absl::StatusOr<std::vector<std::string>> ReadGlobs(const UnitOption& option, const UnitName& name);
absl::StatusOr<std::vector<std::string>> ReadUnits(const UnitOption& option, const UnitName& name);

// Words of the form KEY=GLOB and KEY=UNIT.
absl::StatusOr<std::vector<Within>> ReadGlobsWithin(const UnitOption& option, const UnitName& name);
absl::StatusOr<std::vector<Within>> ReadUnitsWithin(const UnitOption& option, const UnitName& name);

// Key → values. Never empty ones.
absl::StatusOr<std::map<std::string, std::set<std::string>>> ReadMetadata(const UnitOption& option,
                                                                          const UnitName& name);

absl::StatusOr<int64_t> ReadInteger(const UnitOption& option, int64_t min, int64_t max);
absl::StatusOr<int64_t> ReadMilliCores(const UnitOption& option);
absl::StatusOr<int64_t> ReadBytes(const UnitOption& option);
absl::StatusOr<Budget> ReadBudget(const UnitOption& option);
absl::StatusOr<absl::Duration> ReadDuration(const UnitOption& option);

}  // namespace fleet
