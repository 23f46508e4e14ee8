#pragma once

// How a unit's note is written beside its text: `key=value` lines, the first of them the version of
// the format. Keys that a reader does not know are skipped, so that a newer fleetd may add some and
// an older one still adopts the unit. Pure.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "host/host.h"

namespace fleet::host {

// INVALID_ARGUMENT if a value has a line break or NUL.
absl::StatusOr<std::string> WriteUnitNote(const UnitNote& note);

// Missing keys keep their defaults. INVALID_ARGUMENT, naming the line, for what is no note at all:
// no version first, no uid, a line without `=`, a number that is none.
absl::StatusOr<UnitNote> ReadUnitNote(std::string_view text);

}  // namespace fleet::host
