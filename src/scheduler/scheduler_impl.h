#pragma once

// What is behind Scheduler. Internal to scheduler/.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/candidate.h"
#include "scheduler/scheduler.h"

namespace fleet::scheduler {

struct Scheduler::Impl {
  explicit Impl(Placement placement) : state(placement) {}

  State state;

  // Kinds of units for which there was no machine, until something has made room: many units of the
  // same kind wait in a full cluster.
  mutable absl::flat_hash_map<uint64_t, uint64_t> failed;  // class and match set → `loosened` then
  uint64_t loosened = 0;                                   // counts what may make room
  // Changes whenever what has failed may not fail any more, or when a kind's number may be another
  // kind's.
  uint64_t FailuresUntil() const { return loosened + state.units.released_match_sets(); }

  // One that could not be placed and is like all of its kind: it occupies nothing.
  std::optional<uint64_t> KindOf(UnitId unit) const;

  std::vector<std::string> NamesOf(const std::vector<UnitId>& units) const;
  void SortByName(std::vector<UnitId>& units) const;

  // explain.cc
  // The words of a constraint, given machines that it rules out.
  std::string TextOf(const Candidate& candidate, const Candidate::Constraint& constraint,
                     const Bits& out) const;
  std::vector<UnitId> SomeConflicts(const Candidate& candidate, const Bits& slots,
                                    std::optional<ScopeId> scope) const;
};

}  // namespace fleet::scheduler
