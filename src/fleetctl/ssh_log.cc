#include "fleetctl/ssh_log.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "client/text.h"

namespace fleet::fleetctl {
namespace {

constexpr size_t kMostKept = 64 << 10;  // with LogLevel=DEBUG3 ssh talks for hours

}  // namespace

SshLog::SshLog(std::ostream* echo) : echo_(echo) {
  std::array<int, 2> data{};
  std::array<int, 2> stop{};
  if (pipe2(data.data(), O_CLOEXEC) != 0) return;
  if (pipe2(stop.data(), O_CLOEXEC) != 0) {
    close(data[0]);
    close(data[1]);
    return;
  }
  read_end_ = data[0];
  write_end_ = data[1];  // kept, so that the pipe never ends: ssh may leave a master behind
  stop_read_ = stop[0];
  stop_write_ = stop[1];
  fcntl(read_end_, F_SETFL, O_NONBLOCK);
  // ssh closes the descriptors that it inherits, so it has to open this one by a name.
  std::string path = Cat("/proc/", getpid(), "/fd/", write_end_);
  if (access(path.c_str(), W_OK) == 0) path_ = std::move(path);
  reader_ = std::thread([this] { Read(); });
}

SshLog::~SshLog() {
  Finish();
  for (const int fd : {read_end_, write_end_, stop_read_}) {
    if (fd >= 0) close(fd);
  }
}

std::string SshLog::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(text_, {});
}

std::string SshLog::Finish() {
  if (reader_.joinable()) {
    close(stop_write_);
    reader_.join();
  }
  return Take();
}

void SshLog::Read() {
  std::array<pollfd, 2> fds = {{{read_end_, POLLIN, 0}, {stop_read_, 0, 0}}};
  for (;;) {
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
    char bytes[4096];
    const ssize_t n = read(read_end_, bytes, sizeof(bytes));
    if (n > 0) {
      const std::string_view piece(bytes, static_cast<size_t>(n));
      if (echo_ != nullptr) *echo_ << piece << std::flush;
      const std::lock_guard lock(mutex_);
      text_ += piece;
      if (text_.size() > kMostKept) text_.erase(0, text_.size() - kMostKept);
    } else if ((fds[1].revents & POLLHUP) != 0) {
      return;  // all has been read, and nobody writes any more
    }
  }
}

std::string InOneLine(std::string_view log) { return Join(SplitList(log, '\n'), "; "); }

std::string_view LoginHint(std::string_view log) {
  // ssh's last words about a login: "core@host: Permission denied (publickey)."
  if (log.find(": Permission denied (") == std::string_view::npos) return "";
  return "; is a key that it accepts in your ssh agent (ssh-add -l), and --ssh-username right?";
}

}  // namespace fleet::fleetctl
