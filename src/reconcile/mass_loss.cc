#include "reconcile/mass_loss.h"

#include <algorithm>
#include <utility>

#include "base/duration.h"
#include "fmt/core.h"

namespace fleet::reconcile {

namespace {

// Fewer are machine failures, whatever part of the cluster they are.
constexpr size_t kFewest = 3;

}  // namespace

void MassLoss::Reset() { *this = MassLoss(limit_); }

bool MassLoss::Update(absl::Time now, size_t there, const std::vector<std::string>& missing,
                      absl::FunctionRef<bool(const std::string&)> is_there) {
  std::erase_if(excused_, is_there);
  if (limit_ <= absl::ZeroDuration()) return false;
  std::set<std::string> counted;
  for (const std::string& machine : missing) {
    if (!excused_.contains(machine)) counted.insert(machine);
  }
  if (!holds_) {
    if (counted.size() < kFewest || counted.size() <= there) return false;
    holds_ = true;
    until_ = now + limit_;
    reason_ = fmt::format(
        "{} of {} machines with units are missing, which looks like a failure of the network: "
        "no unit is moved off them until half of them are back, for at most {}, or until "
        "\"fleetctl release-hold\"",
        counted.size(), counted.size() + there, DurationText(limit_));
    held_ = std::move(counted);
    return true;
  }
  held_.merge(counted);
  const auto back = static_cast<size_t>(std::count_if(
      held_.begin(), held_.end(), [&](const std::string& machine) { return is_there(machine); }));
  if (2 * back >= held_.size()) {
    End("half of the missing machines are back");
  } else if (now >= until_) {
    End(fmt::format("they have been missing for {}", DurationText(limit_)));
  } else {
    return false;
  }
  std::erase_if(excused_, is_there);
  return true;
}

void MassLoss::Release() { End("the operator has released the hold"); }

void MassLoss::End(std::string reason) {
  holds_ = false;
  excused_.merge(held_);
  held_.clear();
  reason_ = std::move(reason);
}

}  // namespace fleet::reconcile
