#pragma once

// How many units are on each machine, kept by the changes of the view so that nobody counts through
// all assignments.

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "model/cluster_view.h"

namespace fleet::api {

class AssignmentCounts {
 public:
  // `before`: the view that was counted last; null at first.
  void Update(const ClusterView* before, const ViewChange& change);

  // Those assigned to it, and those that it is to stop and has not said yet that it has: a machine
  // without any may be switched off.
  int64_t Of(const std::string& machine) const;

 private:
  void Add(const ClusterView& view, const UnitOnMachine& key, int64_t sign);

  absl::flat_hash_map<std::string, int64_t> counts_;
};

}  // namespace fleet::api
