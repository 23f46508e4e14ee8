#include "client/stream.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/status.h"
#include "client/child.h"
#include "client/clock.h"
#include "client/text.h"

namespace fleet::client {
namespace {

absl::Status Broken(std::string_view what, int error) {
  return absl::UnavailableError(Cat(what, ": ", std::strerror(error)));
}

absl::Status SendBy(int fd, std::string_view bytes, absl::Time deadline) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Broken("the connection broke", errno);
    RETURN_IF_ERROR(WaitFor(fd, POLLOUT, deadline));
  }
  return absl::OkStatus();
}

class SocketStream : public Stream {
 public:
  explicit SocketStream(int fd) : fd_(fd) {}
  ~SocketStream() override { close(fd_); }
  SocketStream(const SocketStream&) = delete;
  SocketStream& operator=(const SocketStream&) = delete;

  absl::StatusOr<std::string> Read(absl::Time deadline) override {
    std::string bytes(64 << 10, '\0');
    for (;;) {
      const ssize_t n = recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (n >= 0) {
        bytes.resize(static_cast<size_t>(n));
        return bytes;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Broken("the connection broke", errno);
      RETURN_IF_ERROR(WaitFor(fd_, POLLIN, deadline));
    }
  }

  absl::Status Write(std::string_view bytes, absl::Time deadline) override {
    return SendBy(fd_, bytes, deadline);
  }

  bool Idle() const override {
    pollfd poll_fd{fd_, POLLIN, 0};
    return poll(&poll_fd, 1, 0) == 0;
  }

 private:
  int fd_;
};

// The parent's end of a socket pair whose other end is the child's standard input and output.
class ChildStream final : public SocketStream {
 public:
  ChildStream(int fd, pid_t pid) : SocketStream(fd), pid_(pid) {}
  ~ChildStream() override {
    kill(pid_, SIGTERM);
    ReapChild(pid_);
  }
  ChildStream(const ChildStream&) = delete;
  ChildStream& operator=(const ChildStream&) = delete;

 private:
  pid_t pid_;
};

absl::Status ConnectBy(int fd, const sockaddr* address, socklen_t size, absl::Time deadline) {
  if (connect(fd, address, size) == 0) return absl::OkStatus();
  if (errno != EINPROGRESS && errno != EAGAIN) return absl::UnavailableError(std::strerror(errno));
  RETURN_IF_ERROR(WaitFor(fd, POLLOUT, deadline));
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return absl::UnavailableError(std::strerror(error));
  return absl::OkStatus();
}

absl::StatusOr<int> ConnectTcp(const Endpoint& endpoint, absl::Time deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(endpoint.host.c_str(), endpoint.port.c_str(), &hints, &list);
  if (error != 0) {
    return absl::UnavailableError(Cat("cannot resolve ", endpoint.host, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, freeaddrinfo);
  absl::Status last = absl::UnavailableError("no address");
  for (const addrinfo* info = list; info != nullptr; info = info->ai_next) {
    const int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
      last = absl::UnavailableError(std::strerror(errno));
      continue;
    }
    last = ConnectBy(fd, info->ai_addr, info->ai_addrlen, deadline);
    if (last.ok()) {
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
      return fd;
    }
    close(fd);
  }
  return last;
}

}  // namespace

absl::StatusOr<int> ConnectUnix(const std::string& path, absl::Time deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::UnavailableError(
        Cat("the path is longer than ", sizeof(address.sun_path) - 1, " bytes"));
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return absl::UnavailableError(std::strerror(errno));
  absl::Status status =
      ConnectBy(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address), deadline);
  if (!status.ok()) {
    close(fd);
    return status;
  }
  return fd;
}

absl::Status SendAll(int fd, std::string_view bytes) {
  return SendBy(fd, bytes, absl::InfiniteFuture());
}

absl::Status WaitFor(int fd, short events, absl::Time deadline) {
  for (;;) {
    int milliseconds = -1;
    if (deadline != absl::InfiniteFuture()) {
      const absl::Duration left = deadline - MonotonicNow();
      const int64_t rounded_up = absl::ToInt64Milliseconds(left + absl::Microseconds(999));
      milliseconds = static_cast<int>(std::clamp<int64_t>(rounded_up, 0, INT_MAX));
    }
    pollfd poll_fd{fd, events, 0};
    const int n = poll(&poll_fd, 1, milliseconds);
    if (n > 0) return absl::OkStatus();
    if (n == 0) return absl::DeadlineExceededError("no answer in time");
    if (errno != EINTR) return Broken("poll failed", errno);
  }
}

absl::StatusOr<std::unique_ptr<Stream>> Dial(const Endpoint& endpoint, const TlsFiles& tls,
                                             absl::Time deadline) {
  if (endpoint.scheme == Endpoint::Scheme::kUnix) {
    ASSIGN_OR_RETURN(const int fd, ConnectUnix(endpoint.path, deadline));
    return std::make_unique<SocketStream>(fd);
  }
  ASSIGN_OR_RETURN(const int fd, ConnectTcp(endpoint, deadline));
  if (endpoint.scheme == Endpoint::Scheme::kHttps) {
    return StartTls(std::make_unique<SocketStream>(fd), endpoint.host, tls, deadline);
  }
  return std::make_unique<SocketStream>(fd);
}

absl::StatusOr<std::unique_ptr<Stream>> DialCommand(const std::vector<std::string>& argv) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return Broken("cannot make a socket pair", errno);
  const auto pid = StartChild(argv, {.in = pair[1], .out = pair[1]});
  close(pair[1]);
  if (!pid.ok()) {
    close(pair[0]);
    return pid.status();
  }
  return std::make_unique<ChildStream>(pair[0], *pid);
}

}  // namespace fleet::client
