#include "client/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "client/text.h"

namespace fleet::client {
namespace {

// Makes `fd` the standard stream `target`.
bool Become(int fd, int target) {
  if (fd < 0) return true;
  if (fd == target) return fcntl(fd, F_SETFD, 0) == 0;
  return dup2(fd, target) >= 0;
}

// In the child: only what is safe after fork() in a process with threads. Returns if it cannot.
void Exec(char* const* argv, const ChildOptions& options, pid_t parent) {
  struct sigaction fallback {};
  fallback.sa_handler = SIG_DFL;
  for (const int signal : {SIGINT, SIGQUIT, SIGPIPE}) sigaction(signal, &fallback, nullptr);
  if (prctl(PR_SET_PDEATHSIG, options.death_signal) != 0) return;
  if (getppid() != parent) _exit(128 + options.death_signal);  // it ended before that was set
  if (!Become(options.in, STDIN_FILENO) || !Become(options.out, STDOUT_FILENO) ||
      !Become(options.err, STDERR_FILENO)) {
    return;
  }
  execvp(argv[0], argv);
}

}  // namespace

absl::StatusOr<pid_t> StartChild(const std::vector<std::string>& argv,
                                 const ChildOptions& options) {
  const auto cannot = [&](int error) {
    return absl::UnavailableError(Cat("cannot run ", argv[0], ": ", std::strerror(error)));
  };
  std::vector<char*> raw;
  raw.reserve(argv.size() + 1);
  for (const std::string& word : argv) raw.push_back(const_cast<char*>(word.c_str()));
  raw.push_back(nullptr);
  // It is closed by a successful exec; otherwise the child tells errno through it.
  std::array<int, 2> failure{};
  if (pipe2(failure.data(), O_CLOEXEC) != 0) return cannot(errno);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    Exec(raw.data(), options, parent);
    const int error = errno;
    [[maybe_unused]] const ssize_t told = write(failure[1], &error, sizeof(error));
    _exit(127);
  }
  const int fork_error = errno;
  close(failure[1]);
  int error = pid < 0 ? fork_error : 0;
  if (pid > 0) {
    while (read(failure[0], &error, sizeof(error)) < 0 && errno == EINTR) {
    }
    if (error != 0) ReapChild(pid);
  }
  close(failure[0]);
  if (error != 0) return cannot(error);
  return pid;
}

int ReapChild(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return 1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace fleet::client
