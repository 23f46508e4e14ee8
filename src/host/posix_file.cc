#include "host/posix_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/descriptor.h"
#include "base/ids.h"
#include "base/status.h"

namespace fleet::host {
namespace {

constexpr std::string_view kTemporaryPrefix = ".fleet-new-";

absl::Status ErrnoOf(int error, const std::string& verb, const std::string& path) {
  return absl::ErrnoToStatus(error, "cannot " + verb + " " + path);
}

std::string TemporaryPath(const std::string& directory) {
  return directory + "/" + std::string(kTemporaryPrefix) + RandomId();
}

// Finer than a microsecond nobody looks.
bool IsAfter(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec / 1000 > b.tv_nsec / 1000;
}

absl::Status WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoOf(errno, "write", path);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes, Links links) {
  // A pipe in a file's place must not block the loop.
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  const Descriptor file(open(path.c_str(), links == Links::kRefuse ? flags | O_NOFOLLOW : flags));
  if (file.get() < 0) return ErrnoOf(errno, "open", path);
  std::string content;
  std::array<char, 8192> buffer{};
  while (content.size() < max_bytes) {
    const ssize_t n = read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoOf(errno, "read", path);
    if (n == 0) break;
    content.append(buffer.data(), std::min(static_cast<size_t>(n), max_bytes - content.size()));
  }
  return content;
}

absl::StatusOr<std::optional<struct stat>> FileStatus(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0) return status;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  return ErrnoOf(errno, "look at", path);
}

absl::StatusOr<std::string> ReadLink(const std::string& path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = readlink(path.c_str(), target.data(), target.size());
  if (size < 0) return ErrnoOf(errno, "read the link", path);
  target.resize(static_cast<size_t>(size));
  return target;
}

absl::Status MakeDirectories(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return absl::OkStatus();
  std::filesystem::path made;
  for (const auto& part : std::filesystem::path(path)) {
    made /= part;
    if (mkdir(made.c_str(), 0755) == 0) {
      chmod(made.c_str(), 0755);  // whatever the umask: systemd's user managers read here too
    } else if (errno != EEXIST && !std::filesystem::is_directory(made, error)) {
      return ErrnoOf(errno, "make the directory", made.string());
    }
  }
  return absl::OkStatus();
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoOf(errno, "remove", path);
}

absl::Status Overwrite(const std::string& path, std::string_view content) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) return ErrnoOf(errno, "open", path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return ErrnoOf(errno, "look at", path);
  if (!S_ISREG(status.st_mode) || status.st_size != static_cast<off_t>(content.size())) {
    return absl::FailedPreconditionError("what is to be written over " + path +
                                         " is of another size");
  }
  return WriteAll(file.get(), content, path);
}

absl::Status EnsureModifiedAfter(const std::string& path, const timespec& time) {
  ASSIGN_OR_RETURN(const auto status, FileStatus(path));
  if (!status || IsAfter(status->st_mtim, time)) return absl::OkStatus();
  timespec later = time;
  later.tv_nsec += 1000;
  if (later.tv_nsec >= 1'000'000'000) {
    later.tv_nsec -= 1'000'000'000;
    ++later.tv_sec;
  }
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, later};
  if (utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0) return absl::OkStatus();
  return ErrnoOf(errno, "set the time of", path);
}

absl::StatusOr<TemporaryFile> TemporaryFile::Write(const std::string& directory,
                                                   std::string_view content) {
  const std::string path = TemporaryPath(directory);
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (file.get() < 0) return ErrnoOf(errno, "write a file in", directory);
  TemporaryFile temporary(path);
  if (fchmod(file.get(), 0644) != 0) return ErrnoOf(errno, "set the mode of", path);
  RETURN_IF_ERROR(WriteAll(file.get(), content, path));
  return temporary;
}

absl::StatusOr<TemporaryFile> TemporaryFile::Link(const std::string& directory,
                                                  const std::string& target) {
  std::string path = TemporaryPath(directory);
  if (symlink(target.c_str(), path.c_str()) != 0)
    return ErrnoOf(errno, "make a link in", directory);
  return TemporaryFile(std::move(path));
}

bool TemporaryFile::IsTemporaryName(std::string_view name) {
  return name.starts_with(kTemporaryPrefix);
}

TemporaryFile::~TemporaryFile() {
  if (!path_.empty()) unlink(path_.c_str());
}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : path_(std::exchange(other.path_, std::string())) {}

absl::Status TemporaryFile::Place(const std::string& path, bool only_new) {
  int r =
      renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, path.c_str(), only_new ? RENAME_NOREPLACE : 0);
  // A file system that has no such rename: the caller has looked a moment ago.
  if (r != 0 && only_new && errno == EINVAL) r = rename(path_.c_str(), path.c_str());
  if (r != 0 && errno == EEXIST) {
    return absl::FailedPreconditionError("there is a file at " + path + " that is not fleet's");
  }
  if (r != 0) return ErrnoOf(errno, "put a file in place at", path);
  path_.clear();
  return absl::OkStatus();
}

}  // namespace fleet::host
