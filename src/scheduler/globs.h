#pragma once

// The conflict globs of placed units, each one once, with the machines that have units it matches
// and units that declare it. A glob that nobody declares any more stays for a while: a refused unit
// asks for it again and again.

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "scheduler/slot_set.h"

namespace fleet::scheduler {

using GlobId = uint32_t;

struct Glob {
  std::string text;
  size_t declared = 0;   // by so many placements
  SlotCounts matching;   // placed units whose name it matches
  SlotCounts declaring;  // placed units that declare it
};

class Globs {
 public:
  std::optional<GlobId> Find(std::string_view text) const;
  // REQUIRES: not there yet. The caller counts what it matches.
  GlobId Add(std::string_view text);
  Glob& operator[](GlobId id) { return globs_[id]; }
  const Glob& operator[](GlobId id) const { return globs_[id]; }

  void Declare(GlobId id);
  void Undeclare(GlobId id);

  // Those that match a name, in the order of their ids. Looks only at globs whose literal beginning
  // the name begins with.
  std::vector<GlobId> Matching(std::string_view name) const;

  // Globs to drop: all that nobody declares, once they are many; none otherwise.
  std::vector<GlobId> Superfluous() const;
  void Drop(GlobId id);

  void Renumber(const std::vector<Slot>& renumbered);

 private:
  std::deque<Glob> globs_;    // references stay valid
  std::vector<GlobId> free_;  // ids of dropped ones
  absl::flat_hash_map<std::string, GlobId> by_text_;
  absl::flat_hash_map<std::string, std::vector<GlobId>> by_prefix_;
  std::map<size_t, size_t> prefix_lengths_;  // → how many of by_prefix_ have this length
  absl::flat_hash_set<GlobId> undeclared_;
};

}  // namespace fleet::scheduler
