#include "host/journal_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include "fmt/core.h"

namespace fleet::host {
namespace {

std::vector<std::string> ArgumentsOf(const JournalQuery& query, const std::string& program) {
  std::vector<std::string> arguments = {
      program,
      "--quiet",
      "--no-pager",
      "--all",
      "--output=json",
      "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_PID,_COMM",
      fmt::format("--{}={}", query.user ? "user-unit" : "unit", query.unit)};
  if (query.after.empty()) {
    arguments.push_back(fmt::format("--lines={}", query.lines));
  } else {
    arguments.push_back("--after-cursor=" + query.after);
    arguments.emplace_back("--lines=all");
  }
  if (query.follow) arguments.emplace_back("--follow");
  return arguments;
}

}  // namespace

absl::StatusOr<std::unique_ptr<JournalProcess>> JournalProcess::Start(const JournalQuery& query,
                                                                      const std::string& program) {
  const auto cannot = [&](int error) {
    return absl::UnavailableError(fmt::format("cannot run {}: {}", program, strerror(error)));
  };
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return cannot(errno);
  Descriptor output(ends[0]);
  const Descriptor input(ends[1]);

  std::vector<std::string> arguments = ArgumentsOf(query, program);
  std::vector<char*> raw;
  raw.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDOUT_FILENO);
  // fleetd takes its signals from a descriptor, and has them blocked.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, program.c_str(), &actions, &attributes, raw.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return cannot(error);
  return std::unique_ptr<JournalProcess>(new JournalProcess(pid, std::move(output)));
}

std::optional<absl::Status> JournalProcess::Ended() {
  if (ended_) return ended_;
  int how = 0;
  const pid_t pid = waitpid(pid_, &how, WNOHANG);
  if (pid == 0) return std::nullopt;
  if (pid < 0) {
    ended_ = absl::UnavailableError(fmt::format("waiting for journalctl: {}", strerror(errno)));
  } else if (WIFSIGNALED(how)) {
    ended_ =
        absl::UnavailableError(fmt::format("journalctl was ended by signal {}", WTERMSIG(how)));
  } else if (WEXITSTATUS(how) != 0) {
    ended_ = absl::UnavailableError(
        fmt::format("journalctl failed with exit status {}", WEXITSTATUS(how)));
  } else {
    ended_ = absl::OkStatus();
  }
  return ended_;
}

JournalProcess::~JournalProcess() {
  if (ended_) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace fleet::host
