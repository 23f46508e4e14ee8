#include "fleetctl/process.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/status.h"
#include "client/child.h"
#include "client/text.h"

namespace fleet::fleetctl {
absl::StatusOr<int> RunInForeground(const std::vector<std::string>& argv, int death_signal) {
  struct sigaction ignore {};
  struct sigaction old_int {};
  struct sigaction old_quit {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGINT, &ignore, &old_int);
  sigaction(SIGQUIT, &ignore, &old_quit);
  const auto pid = client::StartChild(argv, {.death_signal = death_signal});
  absl::StatusOr<int> code = pid.ok() ? absl::StatusOr<int>(client::ReapChild(*pid)) : pid.status();
  sigaction(SIGINT, &old_int, nullptr);
  sigaction(SIGQUIT, &old_quit, nullptr);
  return code;
}

absl::StatusOr<Captured> RunCaptured(const std::vector<std::string>& argv) {
  std::array<std::array<int, 2>, 2> pipes{};
  if (pipe2(pipes[0].data(), O_CLOEXEC) != 0)
    return absl::UnavailableError(Cat("cannot make a pipe: ", std::strerror(errno)));
  if (pipe2(pipes[1].data(), O_CLOEXEC) != 0) {
    close(pipes[0][0]);
    close(pipes[0][1]);
    return absl::UnavailableError(Cat("cannot make a pipe: ", std::strerror(errno)));
  }
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto pid =
      client::StartChild(argv, {.in = nothing, .out = pipes[0][1], .err = pipes[1][1]});
  if (nothing >= 0) close(nothing);
  close(pipes[0][1]);
  close(pipes[1][1]);
  Captured captured;
  std::array<std::string*, 2> texts = {&captured.out, &captured.err};
  std::array<pollfd, 2> fds = {{{pipes[0][0], POLLIN, 0}, {pipes[1][0], POLLIN, 0}}};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) break;
    for (size_t i = 0; i < fds.size(); ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char bytes[4096];
      const ssize_t n = read(fds[i].fd, bytes, sizeof(bytes));
      if (n > 0) texts[i]->append(bytes, static_cast<size_t>(n));
      if (n == 0 || (n < 0 && errno != EINTR)) fds[i].fd = -1;
    }
  }
  close(pipes[0][0]);
  close(pipes[1][0]);
  RETURN_IF_ERROR(pid.status());
  captured.code = client::ReapChild(*pid);
  return captured;
}

std::string ShellQuote(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("@%+=:,./-_", c) != nullptr;
  });
  if (plain) return word;
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string ShellJoin(const std::vector<std::string>& words) {
  std::vector<std::string> quoted;
  quoted.reserve(words.size());
  for (const std::string& word : words) quoted.push_back(ShellQuote(word));
  return Join(quoted, " ");
}

}  // namespace fleet::fleetctl
