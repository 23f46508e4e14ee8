#pragma once

// The conflict globs that known units declare, each one once in each scope, with the places that
// have units it matches and units that declare it.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/chunked_vector.h"
#include "scheduler/scopes.h"
#include "scheduler/slot_set.h"

namespace fleet::scheduler {

using GlobId = uint32_t;

struct Glob {
  ScopeId scope = kMachineScope;
  std::string text;
  size_t acquired = 0;
  SlotCounts matching;   // by place: placed units whose name it matches
  SlotCounts declaring;  // by place: placed units that declare it
};

class Globs {
 public:
  // The glob, which stays until it has been released as often as it was acquired. `is_new`: the
  // caller counts what it matches.
  struct Acquired {
    GlobId glob = 0;
    bool is_new = false;
  };
  Acquired Acquire(ScopeId scope, std::string_view text);
  // True if nobody declares it any more; then the caller forgets it everywhere and drops it.
  bool Release(GlobId id) { return --globs_[id].acquired == 0; }
  void Drop(GlobId id);

  Glob& operator[](GlobId id) { return globs_[id]; }
  const Glob& operator[](GlobId id) const { return globs_[id]; }

  // Those that match a name, in the order of their ids. Looks only at globs whose literal beginning
  // the name begins with.
  std::vector<GlobId> Matching(std::string_view name) const;

 private:
  ChunkedVector<Glob> globs_;  // references stay valid
  std::vector<GlobId> free_;   // ids of dropped ones
  absl::flat_hash_map<std::pair<ScopeId, std::string>, GlobId> by_text_;
  absl::flat_hash_map<std::string, std::vector<GlobId>> by_prefix_;
  std::map<size_t, size_t> prefix_lengths_;  // → how many of by_prefix_ have this length
};

}  // namespace fleet::scheduler
