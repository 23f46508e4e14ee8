#pragma once

// The specifiers of [X-Fleet] values that follow from a unit's name: %n %N %p %i %% of fleet,
// %I %P %J %j as systemd.unit(5) has them. Pure functions.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/unit_name.h"

namespace fleet {

// INVALID_ARGUMENT for host specifiers (%H, %m, …: unknown before placement) and unknown ones,
// naming the specifier.
absl::StatusOr<std::string> ExpandSpecifiers(std::string_view text, const UnitName& name);

// The same within a glob: what is put in matches itself only.
absl::StatusOr<std::string> ExpandSpecifiersInGlob(std::string_view text, const UnitName& name);

}  // namespace fleet
