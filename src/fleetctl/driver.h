#pragma once

// --driver=etcd: the registry used without any fleetd.
//
// All commands talk to fleetd's API, so with this driver fleetctl serves it to itself: a program of
// its own, fleetctl-etcd (driver_main.cc), has the API and etcd's client. It is another program
// because every command would wait for its libraries to be loaded. It is started when the API is
// first used, inherits a listening socket that no other process can find, and ends with fleetctl,
// however that ends.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/api_client.h"
#include "fleetctl/flags.h"
#include "fleetctl/session.h"

namespace fleet::fleetctl {

// Has `options` (with time-out and TLS files set) reach the API through fleetctl-etcd, which takes
// etcd's servers from --endpoint. UsageError for endpoints that etcd cannot have, and for --tunnel.
absl::Status SetUpEtcdDriver(const Flags& flags, const Environment& environment,
                             client::ClientOptions& options);

// The same with another program than the one beside fleetctl.
absl::Status SetUpEtcdDriver(const Flags& flags, const Environment& environment,
                             const std::string& program, client::ClientOptions& options);

// fleetctl-etcd for a fleetctl in `folder`: beside it (a build), or ../libexec/fleet (installed).
absl::StatusOr<std::string> FindDriverProgram(const std::string& folder);

}  // namespace fleet::fleetctl
