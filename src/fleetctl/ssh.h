#pragma once

// The user's own OpenSSH client, with fleetctl's flags as its options: their configuration, agent,
// known hosts and control sockets keep working. An unknown host key is asked about by fleetctl.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fleetctl/flags.h"
#include "fleetctl/session.h"

namespace fleet::fleetctl {

struct SshOptions {
  std::string username;
  std::string port;  // empty: the client's own configuration
  int timeout_seconds = 10;
  std::string known_hosts_file;  // "~" expanded
  bool strict = true;
  bool forward_agent = false;
  std::string log_file;     // where ssh writes what it has to say; empty: standard error
  std::string tunnel_host;  // empty: none
  std::string tunnel_port;
};

// From the global flags and, where a command has them, --ssh-port and --forward-agent.
absl::StatusOr<SshOptions> SshOptionsFrom(const Flags& flags, const Environment& environment);

// The command line that runs `command` (a line for the shell there; a login shell if it is empty)
// on `host`. `known_hosts` are the files that the client would read without us.
std::vector<std::string> SshArgv(const SshOptions& options, const std::string& host,
                                 const std::string& command,
                                 const std::vector<std::string>& known_hosts);
// The same on the tunnel's host.
std::vector<std::string> TunnelArgv(const SshOptions& options, const std::string& command,
                                    const std::vector<std::string>& known_hosts);
// Standard input and output are connected to a TCP port, as the tunnel's host knows it.
std::vector<std::string> ForwardArgv(const SshOptions& options, const std::string& host,
                                     const std::string& port,
                                     const std::vector<std::string>& known_hosts);

// With strict checking: if no known-hosts file has a key for `host` (and for the tunnel's), gets
// the key the way ssh would connect, shows its fingerprint and asks; "yes" stores it.
// FAILED_PRECONDITION if the user does not say so, UNAVAILABLE if the host cannot be reached. The
// known-hosts files that the client reads by itself.
absl::StatusOr<std::vector<std::string>> CheckHostKeys(const SshOptions& options,
                                                       const std::string& host,
                                                       const Environment& environment);
absl::StatusOr<std::vector<std::string>> CheckTunnelKey(const SshOptions& options,
                                                        const Environment& environment);

inline constexpr int kSshFailed = 255;  // ssh's own exit status for a connection that failed

}  // namespace fleet::fleetctl
