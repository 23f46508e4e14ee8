#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "client/clock.h"
#include "client/stream.h"
#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

int RunFdForward(Session& session) {
  const std::string& path = session.arguments()[0];
  auto endpoint = client::ParseEndpoint(path.starts_with("unix://") ? path : "unix://" + path);
  if (!endpoint.ok()) return session.Fail(UsageError(MessageOf(endpoint.status())));
  const auto connected =
      client::ConnectUnix(endpoint->path, client::MonotonicNow() + absl::Seconds(10));
  if (!connected.ok()) {
    return session.Fail(absl::UnavailableError(
        Cat("cannot connect to ", endpoint->path, ": ", MessageOf(connected.status()))));
  }
  const int socket_fd = *connected;
  // Until the socket is at its end; the end of the input is passed on.
  pollfd fds[] = {{socket_fd, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  char bytes[64 << 10];
  for (;;) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) break;
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      const ssize_t n = recv(socket_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) break;
      if (n > 0 && !WriteAll(STDOUT_FILENO, {bytes, static_cast<size_t>(n)})) break;
    }
    if (fds[1].fd >= 0 && (fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      const ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
      if (n > 0 && !client::SendAll(socket_fd, {bytes, static_cast<size_t>(n)}).ok()) break;
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        shutdown(socket_fd, SHUT_WR);
        fds[1].fd = -1;
      }
    }
  }
  close(socket_fd);
  return kDone;
}

}  // namespace

Command FdForwardCommand() {
  return {.name = "fd-forward",
          .summary = "Connect standard input and output to a unix socket (used by --tunnel)",
          .arguments = "SOCKET",
          .description = "",
          .example = "  fleetctl fd-forward /var/run/fleet.sock",
          .flags = {},
          .run = RunFdForward,
          .min_arguments = 1,
          .max_arguments = 1};
}

}  // namespace fleet::fleetctl
