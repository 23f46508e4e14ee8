#include "fleetctl/exit_code.h"

#include "absl/strings/cord.h"
#include "client/api_client.h"

namespace fleet::fleetctl {
namespace {

constexpr absl::string_view kUsagePayload = "fleet/usage";

}  // namespace

absl::Status UsageError(std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(std::string(message));
  status.SetPayload(kUsagePayload, absl::Cord("1"));
  return status;
}

int ExitCodeOf(const absl::Status& status) {
  if (status.GetPayload(kUsagePayload).has_value()) return kUsage;
  if (client::IsNotConnected(status)) return kNotConnected;
  if (absl::IsNotFound(status)) return kNotFound;
  return kFailed;
}

}  // namespace fleet::fleetctl
