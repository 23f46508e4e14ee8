// fleetctl-etcd: what `fleetctl --driver=etcd` has beside it (driver.h): fleetd's API, served from
// the registry in etcd, without an agent and an engine.
//
// Standard input is the listening socket to serve. Standard output is a socket too: one line goes
// there, "ready", "empty" (the same, but the registry has no record) or "error" and the cause; when
// its other end is closed, this program ends. Everything but that wait is done in the API's loop.

#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/api.h"
#include "api/server.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/status.h"
#include "client/clock.h"
#include "client/endpoint.h"
#include "client/stream.h"
#include "fmt/core.h"
#include "fmt/format.h"
#include "registry/keys.h"
#include "registry/mirror.h"
#include "store/etcd/etcd_store.h"

namespace fleet::fleetctl {
namespace {

constexpr absl::Duration kRefusedWithin = absl::Milliseconds(200);

struct Options {
  store::EtcdOptions etcd;
  std::string prefix;
  bool debug = false;
};

std::vector<std::string> SplitAtCommas(std::string_view list) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t comma = list.find(',');
    parts.emplace_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::StatusOr<Options> ParseArguments(int argc, char** argv) {
  Options options;
  options.etcd.username = Variable("FLEETCTL_ETCD_USERNAME");
  options.etcd.password = Variable("FLEETCTL_ETCD_PASSWORD");
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const size_t equals = word.find('=');
    const std::string_view flag = word.substr(0, equals);
    const std::string value(equals == std::string_view::npos ? "" : word.substr(equals + 1));
    if (flag == "--servers") {
      options.etcd.endpoints = SplitAtCommas(value);
    } else if (flag == "--prefix") {
      options.prefix = value;
    } else if (flag == "--timeout") {
      ASSIGN_OR_RETURN(options.etcd.request_timeout, ParseDuration(value));
    } else if (flag == "--ca-file") {
      options.etcd.cafile = value;
    } else if (flag == "--cert-file") {
      options.etcd.certfile = value;
    } else if (flag == "--key-file") {
      options.etcd.keyfile = value;
    } else if (flag == "--debug") {
      options.debug = true;
    } else {
      return absl::InvalidArgumentError(fmt::format("unknown argument {}", word));
    }
  }
  if (options.prefix.empty() || options.etcd.endpoints.empty()) {
    return absl::InvalidArgumentError(
        "this program is started by `fleetctl --driver=etcd` and does nothing by itself");
  }
  return options;
}

// What fleetd's configuration calls things, fleetctl calls otherwise.
std::string InFleetctlsWords(std::string_view message) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kNames = {{
      {"etcd_username", "FLEETCTL_ETCD_USERNAME"},
      {"etcd_password", "FLEETCTL_ETCD_PASSWORD"},
      {"etcd_cafile", "--ca-file"},
      {"etcd_certfile", "--cert-file"},
      {"etcd_keyfile", "--key-file"},
  }};
  std::string text(message);
  for (const auto& [theirs, ours] : kNames) {
    for (size_t at = 0; (at = text.find(theirs, at)) != std::string::npos; at += ours.size()) {
      text.replace(at, theirs.size(), ours);
    }
  }
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

void Tell(std::string line) {
  line += '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t n = write(STDOUT_FILENO, rest.data(), rest.size());
    if (n < 0 && errno != EINTR) return;  // nobody listens any more
    if (n > 0) rest.remove_prefix(static_cast<size_t>(n));
  }
}

// Without destroying anything: other threads may use it.
[[noreturn]] void Fail(std::string_view why) {
  Tell("error " + InFleetctlsWords(why));
  _exit(1);
}

// Why none of the servers takes a connection, if each says so at once; otherwise OK. etcd's client
// would try again for the time of a request; a fleetd that is not there is told at once, too.
absl::Status RefusedByAll(const std::vector<std::string>& servers) {
  std::vector<std::string> causes;
  for (const std::string& server : servers) {
    auto endpoint = client::ParseEndpoint(server);
    if (!endpoint.ok()) return absl::OkStatus();  // the store says what is wrong
    const bool has_port =
        server.ends_with(":" + endpoint->port) || server.ends_with(":" + endpoint->port + "/");
    if (!has_port) endpoint->port = "2379";
    endpoint->scheme = client::Endpoint::Scheme::kHttp;  // TCP is enough
    const auto stream = client::Dial(*endpoint, {}, client::MonotonicNow() + kRefusedWithin);
    if (!absl::IsUnavailable(stream.status())) return absl::OkStatus();
    causes.push_back(fmt::format("{}: {}", server, std::string(stream.status().message())));
  }
  return absl::UnavailableError(fmt::format("{}", fmt::join(causes, "; ")));
}

class RegistryApi {
 public:
  explicit RegistryApi(const Options& options)
      : keys_(options.prefix), has_login_(!options.etcd.username.empty()) {}

  absl::Status Start(const Options& options) {
    RETURN_IF_ERROR(server_.Adopt(STDIN_FILENO));
    RETURN_IF_ERROR(RefusedByAll(options.etcd.endpoints));
    Executor& loop = server_.executor();
    ASSIGN_OR_RETURN(store_, store::MakeEtcdStore(options.etcd, &loop));
    api_ =
        std::make_unique<api::Api>(api::ApiContext{.executor = &loop,
                                                   .store = store_.get(),
                                                   .keys = keys_,
                                                   .version = FLEET_VERSION,
                                                   .unavailable_cause = [this] { return Cause(); },
                                                   .streams = &server_.streams()});
    mirror_ = std::make_unique<registry::Mirror>(
        store_.get(), &loop, keys_, [this](const ViewChange& change) { OnViewChange(change); });
    mirror_->SetHealthListener([this](const absl::Status& health) { OnHealth(health); });
    loop.Post([this] { Look(); });
    server_.Start(api_.get());
    return absl::OkStatus();
  }

 private:
  std::string Cause() const { return InFleetctlsWords(std::string(mirror_->health().message())); }

  // Whether etcd lets us read, and whether there is anything: the mirror would try for ever.
  void Look() {
    store_->Range({.range = keys_.All(), .limit = 1},
                  [this](const absl::StatusOr<store::RangeResult>& found) {
                    if (!found.ok()) Fail(WithAdvice(found.status()));
                    empty_ = found->kvs.empty();
                    mirror_->Start();
                  });
  }

  void OnViewChange(const ViewChange& change) {
    api_->OnViewChange(change);
    if (!std::exchange(told_, true)) Tell(empty_ ? "empty" : "ready");
  }

  void OnHealth(const absl::Status& health) {
    if (!health.ok() && !told_) Fail(Cause());
    api_->OnRegistryHealth(health);
  }

  // etcd says of a request without login, but with a certificate, that it is not permitted.
  std::string WithAdvice(const absl::Status& status) const {
    std::string message(status.message());
    if (has_login_ || !absl::IsPermissionDenied(status)) return message;
    return message + "; etcd_username and etcd_password give a login";
  }

  const registry::Keys keys_;
  const bool has_login_;
  api::Server server_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<api::Api> api_;
  std::unique_ptr<registry::Mirror> mirror_;
  bool empty_ = false;
  bool told_ = false;
};

void WaitUntilFleetctlEnds() {
  char byte = 0;
  for (;;) {
    const ssize_t n = read(STDOUT_FILENO, &byte, 1);
    if (n == 0 || (n < 0 && errno != EINTR)) return;
  }
}

}  // namespace
}  // namespace fleet::fleetctl

int main(int argc, char** argv) {
  using fleet::fleetctl::Fail;
  // An interrupt from the terminal is fleetctl's, or that of what it has started.
  for (const int signal : {SIGINT, SIGQUIT, SIGPIPE}) std::signal(signal, SIG_IGN);
  const auto options = fleet::fleetctl::ParseArguments(argc, argv);
  if (!options.ok()) Fail(std::string(options.status().message()));
  fleet::log::SetLevel(options->debug ? fleet::log::Level::kDebug : fleet::log::Level::kError);
  // It is never destroyed: its threads run until the process ends.
  auto* const registry = new fleet::fleetctl::RegistryApi(*options);
  if (const absl::Status started = registry->Start(*options); !started.ok()) {
    Fail(std::string(started.message()));
  }
  fleet::fleetctl::WaitUntilFleetctlEnds();
  _exit(0);
}
