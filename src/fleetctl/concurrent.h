#pragma once

// Clients of the API in several threads, each with its own.

#include "client/api_client.h"

namespace fleet::fleetctl {

// Options that several threads may make clients with at once: those say nothing by themselves, and
// dial one after the other.
client::ClientOptions ForThreads(client::ClientOptions options);

// How soon a thread that reads a stream notices that it is to end.
inline constexpr absl::Duration kLook = absl::Milliseconds(200);

}  // namespace fleet::fleetctl
