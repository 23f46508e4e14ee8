#pragma once

// --tunnel: the API reached through an SSH host.

#include "absl/status/status.h"
#include "client/api_client.h"
#include "fleetctl/flags.h"
#include "fleetctl/session.h"

namespace fleet::fleetctl {

// Has `options` dial through --tunnel, if that is given: TCP endpoints with ssh's -W, a unix socket
// with `fleetctl fd-forward` on the tunnel's host.
absl::Status SetUpTunnel(const Flags& flags, const Environment& environment,
                         client::ClientOptions& options);

}  // namespace fleet::fleetctl
