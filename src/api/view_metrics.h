#pragma once

// The cluster in numbers, for /metrics: how many units and machines are in which state. What grows
// with the units is kept by the changes of the view, so that nobody counts through all of them.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/assignment_counts.h"
#include "base/metrics.h"
#include "model/cluster_view.h"

namespace fleet::api {

class ViewMetrics {
 public:
  // `before`: the view that was counted last; null at first.
  void Update(const ClusterView* before, const ViewChange& change);

  // `view`: the one that was counted last, and `units` of the same.
  void WriteTo(metrics::TextWriter& text, const ClusterView& view,
               const AssignmentCounts& units) const;

 private:
  // What a machine is told to do with a unit, and systemd's active state there (systemctl(1),
  // --state). What another version says is "other": it must not add labels.
  static constexpr std::array<std::string_view, 4> kAssigned = {"loaded", "launched", "gone",
                                                                "none"};
  static constexpr std::array<std::string_view, 10> kActive = {
      "active",       "reloading",   "inactive",   "failed", "activating",
      "deactivating", "maintenance", "refreshing", "other",  "unreported"};

  void CountAll(const ClusterView& view);
  void CountUnit(const UnitRecord& unit, int64_t sign);
  // Of one unit on one machine; either may be null.
  void CountCopy(const Assignment* assignment, const StateReport* report, int64_t sign);
  void CountCopyAt(const ClusterView& view, const UnitOnMachine& key, int64_t sign);

  std::array<int64_t, 3> units_{};  // by desired state
  int64_t waiting_ = 0;
  std::array<std::array<int64_t, kActive.size()>, kAssigned.size()> copies_{};
  int64_t drifted_ = 0;
};

}  // namespace fleet::api
