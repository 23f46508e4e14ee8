#pragma once

// How much the engine decides at once, and how long it waits: a transaction takes 128 compares and
// 128 operations, some of which are the fence and the event (engine/transaction.h).

#include <cstddef>

#include "absl/time/time.h"
#include "reconcile/decision.h"

namespace fleet::reconcile {

// Units that are placed, moved or stopped by one decision.
inline constexpr size_t kMaxTogether = 24;
// Units that are pushed out by one decision, beside those that they are pushed out for.
inline constexpr size_t kMaxVictims = 20;
// Units that the drains which expire in one pass explain; others expire in the next one.
inline constexpr size_t kMaxExplained = 12;
// A request for a slot to reboot that is not repeated for so long counts no more; Zincati repeats
// its every five minutes.
inline constexpr absl::Duration kSlotRequestLife = absl::Minutes(20);
inline constexpr size_t kMaxGuards = 120;
inline constexpr size_t kMaxWrites = 120;

// Whether a unit with so many assignments can be added to what is decided.
inline bool HasRoomFor(const Decision& decision, size_t assignments,
                       const Requirements& requirements) {
  const size_t followed = requirements.machine_of.size() + 3 * requirements.collocate_within.size();
  // The unit, its text, the machine and its settings, the new assignment; two for each old one.
  return decision.guards.size() + 5 + 2 * assignments + followed <= kMaxGuards &&
         decision.writes.size() + 2 + assignments <= kMaxWrites;
}

}  // namespace fleet::reconcile
