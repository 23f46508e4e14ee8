#pragma once

// How many units are assigned to each machine, kept by the changes of the view so that nobody
// counts through all assignments.

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "model/cluster_view.h"

namespace fleet::api {

class AssignmentCounts {
 public:
  // `before`: the view that was counted last; null at first.
  void Update(const ClusterView* before, const ViewChange& change);

  // Tombstones do not count.
  int64_t Of(const std::string& machine) const;

 private:
  absl::flat_hash_map<std::string, int64_t> counts_;
};

}  // namespace fleet::api
