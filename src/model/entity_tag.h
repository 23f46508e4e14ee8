#pragma once

// Entity tags: short texts by which a client says which version of a record its change was made
// for, so that it does not undo what others have changed since (RFC 9110, sections 8.8.3 and 13.1).
// Pure.

#include <optional>
#include <string>
#include <vector>

#include "model/records.h"

namespace fleet {

// Another text whenever what clients set is another; of a machine also its slot of FleetLock, and
// that a drain has expired. What engine and agents note in a unit's record (refusals, nominations)
// is left out, and so are the counts of starts and restarts, which no change can undo.
std::string TagOf(const UnitRecord& record);
std::string TagOf(const MachineSettings& settings);
// Of a rollout which one it is, what it brings and its state, which the engine changes, too: what
// was seen running is another thing once it has failed.
std::string TagOf(const RolloutRecord& rollout);

// What has to be so for a change to be made.
struct Precondition {
  static constexpr char kAny[] = "*";  // in place of a tag: whatever there is

  std::optional<std::vector<std::string>> match;       // If-Match: it has one of these tags
  std::optional<std::vector<std::string>> none_match;  // If-None-Match: it has none of these

  bool IsSet() const { return match || none_match; }
  // `tag` of what there is; nullopt: there is nothing.
  bool Holds(const std::optional<std::string>& tag) const;
};

}  // namespace fleet
