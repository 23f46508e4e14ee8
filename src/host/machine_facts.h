#pragma once

// How ReadMachineFacts (host.h) finds out; apart so that tests can show it another machine. Any
// thread.

#include <string>

#include "absl/status/statusor.h"
#include "host/host.h"

namespace fleet::host {

// Like ReadMachineFacts, with /etc and /proc looked for below `root` ("" is this machine).
// Hostname, addresses and processors are this machine's.
absl::StatusOr<MachineFacts> ReadMachineFactsBelow(const std::string& root);

// The interface of the default route with the lowest metric; empty if there is none. The texts are
// those of /proc/net/route and /proc/net/ipv6_route (proc(5)).
std::string DefaultInterface(const std::string& ipv4_routes);
std::string DefaultInterface6(const std::string& ipv6_routes);

}  // namespace fleet::host
