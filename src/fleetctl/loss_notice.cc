#include "fleetctl/loss_notice.h"

#include "client/text.h"

namespace fleet::fleetctl {

bool IsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

void LossNotice::Lost(std::string_view what, const absl::Status& why) {
  if (!std::exchange(told_, true))
    tell_(Cat("lost the ", what, " (", MessageOf(why), "), trying again"));
}

}  // namespace fleet::fleetctl
