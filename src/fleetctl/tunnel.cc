#include "fleetctl/tunnel.h"

#include <memory>
#include <optional>

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/process.h"
#include "fleetctl/ssh.h"

namespace fleet::fleetctl {
namespace {

// Owns what is needed for each new connection; the host key is checked before the first.
class Tunnel {
 public:
  Tunnel(SshOptions options, const Environment& environment)
      : options_(std::move(options)), environment_(environment) {}

  absl::StatusOr<std::unique_ptr<client::Stream>> Dial(const client::Endpoint& endpoint) {
    if (endpoint.scheme == client::Endpoint::Scheme::kHttps) {
      return absl::UnavailableError(
          "https is not supported through --tunnel; use http or a unix socket there");
    }
    if (!known_hosts_) {
      ASSIGN_OR_RETURN(known_hosts_, CheckTunnelKey(options_, environment_));
    }
    std::vector<std::string> argv = TunnelArgv(options_, *known_hosts_);
    if (endpoint.scheme == client::Endpoint::Scheme::kUnix) {
      argv.insert(argv.end(),
                  {options_.tunnel_host, ShellJoin({"fleetctl", "fd-forward", endpoint.path})});
    } else {
      argv.insert(argv.end(),
                  {"-W", Cat("[", endpoint.host, "]:", endpoint.port), options_.tunnel_host});
    }
    return client::DialCommand(argv);
  }

 private:
  SshOptions options_;
  Environment environment_;
  std::optional<std::vector<std::string>> known_hosts_;
};

}  // namespace

absl::Status SetUpTunnel(const Flags& flags, const Environment& environment,
                         client::ClientOptions& options) {
  if (flags.Text("tunnel").empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(SshOptions ssh, SshOptionsFrom(flags, environment));
  ssh.port.clear();
  // Logging in comes on top of the request.
  options.request_timeout += absl::Seconds(ssh.timeout_seconds);
  const auto tunnel = std::make_shared<Tunnel>(std::move(ssh), environment);
  options.dial = [tunnel](const client::Endpoint& endpoint, absl::Time /*deadline*/) {
    return tunnel->Dial(endpoint);
  };
  return absl::OkStatus();
}

}  // namespace fleet::fleetctl
