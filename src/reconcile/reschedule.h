#pragma once

// Reschedule=on-failure: the memory of where a unit has failed, which its record carries from
// leader to leader, and how long the engine waits before it moves the unit again. Pure.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "model/records.h"

namespace fleet::reconcile {

// Machines that a record remembers at most.
inline constexpr size_t kMaxFailedPlaces = 10;
// What is active for so long has not failed for the reason that it failed for before.
inline constexpr absl::Duration kSteadyAfter = absl::Minutes(10);

// How long after a failure the unit is moved: 1 s at first, twice as long each time, at most 5 min.
absl::Duration BackoffOf(const UnitRecord& record);

// The record with one more failure, on this machine. The one longest ago is forgotten for it.
UnitRecord WithFailure(UnitRecord record, const std::string& machine, int64_t revision);

// When it failed on this machine last, as a revision; 0: never, or long ago.
int64_t FailedAt(const UnitRecord& record, const std::string& machine);

}  // namespace fleet::reconcile
