#pragma once

// When so many machines go missing at once that the network is the likelier cause than the
// machines: the hold, during which no unit is moved off any of them. Pure: it is told the time.

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"

namespace fleet::reconcile {

class MassLoss {
 public:
  // How long a hold lasts at most; with zero there is never one.
  explicit MassLoss(absl::Duration limit) : limit_(limit) {}

  // What was before is forgotten: a new leader's hold begins anew.
  void Reset();

  // Takes in which machines with units have gone missing lately (within one TTL, or before this
  // engine began to lead), and how many are there. True if a hold has begun or ended.
  bool Update(absl::Time now, size_t there, const std::vector<std::string>& missing,
              absl::FunctionRef<bool(const std::string&)> is_there);

  // By the operator's word. REQUIRES holds().
  void Release();

  bool holds() const { return holds_; }
  // When the hold ends at the latest. REQUIRES holds().
  absl::Time until() const { return until_; }
  // Why it has begun; if there is none any more, why the last one has ended.
  const std::string& reason() const { return reason_; }

 private:
  void End(std::string reason);

  absl::Duration limit_;
  bool holds_ = false;
  absl::Time until_ = absl::InfinitePast();
  std::set<std::string> held_;     // missing when the hold began, or since
  std::set<std::string> excused_;  // still missing when it ended: they make no other hold
  std::string reason_;
};

}  // namespace fleet::reconcile
