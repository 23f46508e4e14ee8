#include "api/server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "api/asio_executor.h"
#include "api/forwarder.h"
#include "api/line_copier.h"
#include "api/session.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/status.h"
#include "boost/asio/basic_socket_acceptor.hpp"
#include "boost/asio/executor_work_guard.hpp"
#include "boost/asio/io_context.hpp"
#include "boost/asio/post.hpp"
#include "boost/asio/steady_timer.hpp"
#include "fmt/core.h"

namespace fleet::api {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Protocol = asio::generic::stream_protocol;
using TlsContextPtr = std::shared_ptr<asio::ssl::context>;

constexpr int kBacklog = 1024;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr int kUserTimeoutMs = 60'000;

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> SplitAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  HostPort split;
  if (colon != std::string::npos && colon > 0) {
    split.host = address.substr(0, colon);
    split.port = address.substr(colon + 1);
    const bool brackets = split.host.front() == '[' && split.host.back() == ']';
    if (brackets) split.host = split.host.substr(1, split.host.size() - 2);
    if (brackets || split.host.find(':') == std::string::npos) return split;
  }
  return absl::InvalidArgumentError(
      fmt::format("cannot listen at \"{}\": expected HOST:PORT or [V6ADDRESS]:PORT", address));
}

struct AddrInfoDeleter {
  void operator()(addrinfo* info) const { freeaddrinfo(info); }
};
using AddrInfoPtr = std::unique_ptr<addrinfo, AddrInfoDeleter>;

absl::StatusOr<AddrInfoPtr> Resolve(const std::string& address) {
  ASSIGN_OR_RETURN(HostPort split, SplitAddress(address));
  if (split.host == "localhost") split.host = "127.0.0.1";
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* info = nullptr;
  const int error = getaddrinfo(split.host.c_str(), split.port.c_str(), &hints, &info);
  if (error != 0) {
    return absl::InvalidArgumentError(
        fmt::format("cannot listen at \"{}\": {}", address, gai_strerror(error)));
  }
  return AddrInfoPtr(info);
}

absl::Status ErrnoStatus(const std::string& tried) {
  return absl::UnavailableError(fmt::format("{}: {}", tried, strerror(errno)));
}

absl::StatusOr<TlsContextPtr> MakeTls(const TlsFiles& files, asio::ssl::context::method method) {
  auto context = std::make_shared<asio::ssl::context>(method);
  const auto check = [](const error_code& ec, const std::string& what) {
    return ec ? absl::InvalidArgumentError(fmt::format("TLS: {}: {}", what, ec.message()))
              : absl::OkStatus();
  };
  error_code ec;
  context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                           asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                           asio::ssl::context::no_tlsv1_1,
                       ec);
  RETURN_IF_ERROR(check(ec, "setting the protocol versions"));
  context->use_certificate_chain_file(files.cert_file, ec);
  RETURN_IF_ERROR(check(ec, "reading the certificate " + files.cert_file));
  context->use_private_key_file(files.key_file, asio::ssl::context::pem, ec);
  RETURN_IF_ERROR(check(ec, "reading the private key " + files.key_file));
  context->load_verify_file(files.ca_file, ec);
  RETURN_IF_ERROR(check(ec, "reading the CA's certificates " + files.ca_file));
  context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert, ec);
  RETURN_IF_ERROR(check(ec, "asking for certificates"));
  return context;
}

}  // namespace

struct Server::Impl final : public StreamIo {
  struct Listener {
    asio::basic_socket_acceptor<Protocol> acceptor;
    asio::steady_timer pause;
    int family = 0;
    TlsContextPtr tls;
  };

  explicit Impl(const ServerOptions& options) : context{.options = options}, executor(&io) {}

  absl::Status Add(int fd, TlsContextPtr tls);
  void Accept(Listener& listener);
  static void Tune(StreamSocket& socket, int family);

  // StreamIo
  void CopyLines(std::unique_ptr<JournalReader> reader, std::shared_ptr<EventSink> sink,
                 LineConverter convert, EndConverter last) override {
    api::CopyLines(io, std::move(reader), std::move(sink), std::move(convert), std::move(last));
  }
  void Forward(ForwardRequest request, Responder respond) override {
    api::Forward(io, peer_tls, std::move(request), std::move(respond));
  }

  // Outlives `io`: the sessions that io still holds count themselves off.
  SessionContext context;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  AsioExecutor executor;
  std::vector<std::unique_ptr<Listener>> listeners;
  TlsContextPtr peer_tls;  // what other machines are asked with
  std::thread thread;
};

absl::Status Server::Impl::Add(int fd, TlsContextPtr tls) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  int type = 0;
  int listening = 0;
  socklen_t size = sizeof(int);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || type != SOCK_STREAM ||
      listening == 0) {
    return absl::InvalidArgumentError(fmt::format(
        "file descriptor {} is not a listening stream socket; look at the ListenStream= "
        "lines of fleet.socket",
        fd));
  }
  auto listener =
      std::make_unique<Listener>(Listener{.acceptor = asio::basic_socket_acceptor<Protocol>(io),
                                          .pause = asio::steady_timer(io),
                                          .family = address.ss_family,
                                          .tls = std::move(tls)});
  error_code ec;
  listener->acceptor.assign(Protocol(address.ss_family, 0), fd, ec);
  if (ec) return absl::UnavailableError(fmt::format("taking over socket {}: {}", fd, ec.message()));
  listeners.push_back(std::move(listener));
  return absl::OkStatus();
}

void Server::Impl::Tune(StreamSocket& socket, int family) {
  if (family != AF_INET && family != AF_INET6) return;
  const int fd = socket.native_handle();
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  // An event stream whose client lost power ends when a heartbeat stays unacknowledged this long.
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof(kUserTimeoutMs));
}

void Server::Impl::Accept(Listener& listener) {
  listener.acceptor.async_accept([this, &listener](error_code ec, StreamSocket socket) {
    if (ec == asio::error::operation_aborted) return;
    if (ec) {
      // Out of file descriptors or memory: connections wait in the backlog meanwhile.
      log::Warning("API: cannot accept a connection: {}", ec.message());
      listener.pause.expires_after(kAcceptPause);
      listener.pause.async_wait([this, &listener](error_code) { Accept(listener); });
      return;
    }
    if (context.connections < context.options.max_connections) {
      Tune(socket, listener.family);
      StartSession(std::move(socket), listener.tls, &context);
    }
    Accept(listener);
  });
}

Server::Server(const ServerOptions& options) : impl_(std::make_unique<Impl>(options)) {}

Server::~Server() { Stop(); }

Executor& Server::executor() { return impl_->executor; }

StreamIo& Server::streams() { return *impl_; }

absl::Status Server::Adopt(int fd) { return impl_->Add(fd, nullptr); }

absl::StatusOr<uint16_t> Server::Listen(const std::string& address,
                                        const std::optional<TlsFiles>& tls) {
  TlsContextPtr tls_context;
  if (tls) {
    ASSIGN_OR_RETURN(tls_context, MakeTls(*tls, asio::ssl::context::tls_server));
    ASSIGN_OR_RETURN(impl_->peer_tls, MakeTls(*tls, asio::ssl::context::tls_client));
  }
  ASSIGN_OR_RETURN(const AddrInfoPtr info, Resolve(address));
  Descriptor fd(socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (fd.get() < 0 || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(fd.get(), info->ai_addr, info->ai_addrlen) != 0 || listen(fd.get(), kBacklog) != 0) {
    return ErrnoStatus(fmt::format("cannot listen at \"{}\"", address));
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return ErrnoStatus(fmt::format("cannot read the port of \"{}\"", address));
  }
  const uint16_t port =
      ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                        : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  RETURN_IF_ERROR(impl_->Add(fd.get(), std::move(tls_context)));
  fd.Release();
  return port;
}

absl::Status Server::ReloadTls(const TlsFiles& files) {
  ASSIGN_OR_RETURN(TlsContextPtr tls, MakeTls(files, asio::ssl::context::tls_server));
  ASSIGN_OR_RETURN(TlsContextPtr peer_tls, MakeTls(files, asio::ssl::context::tls_client));
  asio::post(impl_->io, [impl = impl_.get(), tls, peer_tls] {
    if (impl->peer_tls) impl->peer_tls = peer_tls;
    for (const auto& listener : impl->listeners) {
      if (listener->tls) listener->tls = tls;
    }
  });
  return absl::OkStatus();
}

void Server::Start(RequestHandler* handler) {
  impl_->context.handler = handler;
  for (auto& listener : impl_->listeners) impl_->Accept(*listener);
  impl_->thread = std::thread([impl = impl_.get()] {
    pthread_setname_np(pthread_self(), "fleet-api");
    impl->io.run();
  });
}

void Server::Stop() {
  if (!impl_->thread.joinable()) return;
  impl_->io.stop();
  impl_->thread.join();
}

bool IsLoopback(const std::string& address) {
  const auto info = Resolve(address);
  if (!info.ok()) return false;
  if ((*info)->ai_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>((*info)->ai_addr);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  if ((*info)->ai_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>((*info)->ai_addr);
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
  }
  return false;
}

}  // namespace fleet::api
