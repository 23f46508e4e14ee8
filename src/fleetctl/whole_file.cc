#include "fleetctl/whole_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/descriptor.h"
#include "base/status.h"
#include "client/text.h"

namespace fleet::fleetctl {
namespace {

absl::Status WriteError(const std::string& path, std::string_view why) {
  return absl::FailedPreconditionError(Cat("cannot write ", path, ": ", why));
}

absl::Status WriteError(const std::string& path) { return WriteError(path, std::strerror(errno)); }

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

absl::Status WriteInto(const std::string& path, std::string_view bytes) {
  Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (file.get() < 0 || !WriteAll(file.get(), bytes) || !file.Close()) return WriteError(path);
  return absl::OkStatus();
}

// Puts `bytes` beside `target` first. `path` is for messages.
absl::Status ReplaceRegular(const std::string& path, const std::filesystem::path& target,
                            std::string_view bytes) {
  const std::string parent = target.parent_path().string();
  const std::string folder = parent.empty() ? Cat("./") : Cat(parent, "/");
  std::string temporary = Cat(folder, ".fleet-backup-XXXXXX");
  Descriptor file(mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) return WriteError(path);
  if (!WriteAll(file.get(), bytes) || fsync(file.get()) != 0 || !file.Close() ||
      rename(temporary.c_str(), target.c_str()) != 0) {
    absl::Status status = WriteError(path);
    unlink(temporary.c_str());
    return status;
  }
  // So that the new name is on the disk too.
  Descriptor directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) fsync(directory.get());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes) {
  const auto refuse = [&](std::string_view why) {
    return absl::FailedPreconditionError(Cat("cannot read ", path, ": ", why));
  };
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (file.get() < 0) {
    if (errno == ENOENT) return absl::NotFoundError(Cat("no file ", path));
    return refuse(std::strerror(errno));
  }
  std::string content;
  for (;;) {
    char bytes[64 << 10];
    const ssize_t n = read(file.get(), bytes, sizeof(bytes));
    if (n == 0) return content;
    if (n < 0 && errno != EINTR) return refuse(std::strerror(errno));
    if (n > 0) content.append(bytes, static_cast<size_t>(n));
    if (content.size() > max_bytes) return refuse(Cat("it has more than ", max_bytes, " bytes"));
  }
}

absl::Status ReplaceWholeFile(const std::string& path, std::string_view bytes) {
  struct stat info {};
  std::filesystem::path target = path;
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return WriteError(path, "it is a directory");
    if (!S_ISREG(info.st_mode)) return WriteInto(path, bytes);
    // Renaming would not ask.
    if (access(path.c_str(), W_OK) != 0) return WriteError(path);
    std::error_code error;
    target = std::filesystem::canonical(path, error);
    if (error) return WriteError(path, error.message());
  } else if (errno != ENOENT) {
    return WriteError(path);
  }
  return ReplaceRegular(path, target, bytes);
}

}  // namespace fleet::fleetctl
