#include "fleetctl/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/status.h"
#include "client/text.h"

namespace fleet::fleetctl {
namespace {

class SpawnActions {
 public:
  SpawnActions() { posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& argv, SpawnActions& actions) {
  std::vector<char*> raw;
  raw.reserve(argv.size() + 1);
  for (const std::string& word : argv) raw.push_back(const_cast<char*>(word.c_str()));
  raw.push_back(nullptr);
  // The child does not inherit that the parent ignores interrupts.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGINT);
  sigaddset(&defaults, SIGQUIT);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, raw[0], actions.get(), &attributes, raw.data(), environ);
  posix_spawnattr_destroy(&attributes);
  if (error != 0)
    return absl::UnavailableError(Cat("cannot run ", argv[0], ": ", std::strerror(error)));
  return pid;
}

int Reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return 1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

absl::StatusOr<int> RunInForeground(const std::vector<std::string>& argv) {
  struct sigaction ignore {};
  struct sigaction old_int {};
  struct sigaction old_quit {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGINT, &ignore, &old_int);
  sigaction(SIGQUIT, &ignore, &old_quit);
  SpawnActions actions;
  const auto pid = Spawn(argv, actions);
  absl::StatusOr<int> code = pid.ok() ? absl::StatusOr<int>(Reap(*pid)) : pid.status();
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
  SpawnActions actions;
  posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(actions.get(), pipes[0][1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(actions.get(), pipes[1][1], STDERR_FILENO);
  const auto pid = Spawn(argv, actions);
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
  captured.code = Reap(*pid);
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
