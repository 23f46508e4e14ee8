#include "fleetctl/tunnel.h"

#include <memory>
#include <optional>
#include <utility>

#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/process.h"
#include "fleetctl/ssh.h"
#include "fleetctl/ssh_log.h"

namespace fleet::fleetctl {
namespace {

// What ssh connects to. That it failed, and why, shows only when something is read.
class TunnelStream final : public client::Stream {
 public:
  // `far_end` names it for messages.
  TunnelStream(std::string far_end, std::unique_ptr<SshLog> log,
               std::unique_ptr<client::Stream> below, std::ostream* err)
      : far_end_(std::move(far_end)), log_(std::move(log)), below_(std::move(below)), err_(err) {}
  ~TunnelStream() override {
    below_ = nullptr;
    if (log_) *err_ << log_->Finish() << std::flush;
  }
  TunnelStream(const TunnelStream&) = delete;
  TunnelStream& operator=(const TunnelStream&) = delete;

  absl::StatusOr<std::string> Read(absl::Time deadline) override {
    if (!below_) return absl::UnavailableError("the tunnel is closed");
    auto bytes = below_->Read(deadline);
    if (heard_ || absl::IsDeadlineExceeded(bytes.status())) return bytes;
    if (!bytes.ok() || bytes->empty()) return Failed();
    heard_ = true;
    *err_ << log_->Take() << std::flush;
    return bytes;
  }

  absl::Status Write(std::string_view bytes, absl::Time deadline) override {
    if (!below_) return absl::UnavailableError("the tunnel is closed");
    absl::Status status = below_->Write(bytes, deadline);
    return heard_ || !absl::IsUnavailable(status) ? status : Failed();
  }

  bool Idle() const override { return below_ && below_->Idle(); }

 private:
  // What ssh has said of its end, before anything has come.
  absl::Status Failed() {
    below_ = nullptr;  // waits for ssh
    const std::string log = log_->Finish();
    // fd-forward has told its own reason on standard error.
    return absl::UnavailableError(Strip(log).empty()
                                      ? Cat(far_end_, " gave no answer")
                                      : Cat(far_end_, ": ", InOneLine(log), LoginHint(log)));
  }

  std::string far_end_;
  std::unique_ptr<SshLog> log_;
  std::unique_ptr<client::Stream> below_;
  std::ostream* err_;
  bool heard_ = false;
};

// Owns what is needed for each new connection; the host key is checked before the first.
class Tunnel {
 public:
  Tunnel(SshOptions options, const Environment& environment, client::TlsFiles tls,
         absl::Duration timeout)
      : options_(std::move(options)),
        environment_(environment),
        tls_(std::move(tls)),
        timeout_(timeout) {}

  absl::StatusOr<std::unique_ptr<client::Stream>> Dial(const client::Endpoint& endpoint) {
    if (!known_hosts_) {
      ASSIGN_OR_RETURN(known_hosts_, CheckTunnelKey(options_, environment_));
    }
    auto log = std::make_unique<SshLog>(nullptr);
    SshOptions options = options_;
    options.log_file = log->path();
    std::string far_end = Cat("ssh to ", options.username, "@", options.tunnel_host);
    std::vector<std::string> argv;
    if (endpoint.scheme == client::Endpoint::Scheme::kUnix) {
      const std::string command = ShellJoin({"fleetctl", "fd-forward", endpoint.path});
      argv = TunnelArgv(options, command, *known_hosts_);
      Append(far_end, ", ", command);
    } else {
      argv = ForwardArgv(options, endpoint.host, endpoint.port, *known_hosts_);
    }
    ASSIGN_OR_RETURN(auto ssh, client::DialCommand(argv));
    auto stream = std::make_unique<TunnelStream>(std::move(far_end), std::move(log), std::move(ssh),
                                                 environment_.err);
    if (endpoint.scheme != client::Endpoint::Scheme::kHttps) return stream;
    return client::StartTls(std::move(stream), endpoint.host, tls_,
                            client::MonotonicNow() + timeout_);
  }

 private:
  SshOptions options_;
  Environment environment_;
  client::TlsFiles tls_;
  absl::Duration timeout_;
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
  const auto tunnel =
      std::make_shared<Tunnel>(std::move(ssh), environment, options.tls, options.request_timeout);
  options.dial = [tunnel](const client::Endpoint& endpoint, absl::Time /*deadline*/) {
    return tunnel->Dial(endpoint);
  };
  options.probe = true;
  return absl::OkStatus();
}

}  // namespace fleet::fleetctl
