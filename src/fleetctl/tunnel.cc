#include "fleetctl/tunnel.h"

namespace fleet::fleetctl {

absl::Status SetUpTunnel(const Flags& flags, const Environment& /*environment*/,
                         client::ClientOptions& /*options*/) {
  if (flags.Text("tunnel").empty()) return absl::OkStatus();
  return absl::UnimplementedError("--tunnel is not supported yet");
}

}  // namespace fleet::fleetctl
