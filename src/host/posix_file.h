#pragma once

// The few file operations of the unit directory, with errors that name the file. Any thread.

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fleet::host {

enum class Links { kFollow, kRefuse };

// The whole file, at most `max_bytes` of it. NOT_FOUND if there is none.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes, Links links);

// What lstat(2) says; nothing if the path does not exist.
absl::StatusOr<std::optional<struct stat>> FileStatus(const std::string& path);

// Where a symbolic link leads, as it is written in the link.
absl::StatusOr<std::string> ReadLink(const std::string& path);

// The directory and its parents, 0755. OK if it is there.
absl::Status MakeDirectories(const std::string& path);

// Unlinks. OK if there is no such file.
absl::Status RemoveFile(const std::string& path);

// Writes `content` in place of that of a file of the same size, in one call and without a new block
// of the disk. FAILED_PRECONDITION if the file is of another size.
absl::Status Overwrite(const std::string& path, std::string_view content);

// Moves the path's own time of modification to just after `time` (by a microsecond, which is what
// systemd keeps) if it is not later already.
absl::Status EnsureModifiedAfter(const std::string& path, const timespec& time);

// A new file under a name that no unit can have, to be renamed into place. Removed again when this
// object ends before Place().
class TemporaryFile {
 public:
  // A file with this content, mode 0644 whatever the umask. RESOURCE_EXHAUSTED if the disk is full.
  static absl::StatusOr<TemporaryFile> Write(const std::string& directory,
                                             std::string_view content);
  static absl::StatusOr<TemporaryFile> Link(const std::string& directory,
                                            const std::string& target);
  // True for the file name of what a crash left behind.
  static bool IsTemporaryName(std::string_view name);

  ~TemporaryFile();
  TemporaryFile(TemporaryFile&& other) noexcept;
  TemporaryFile& operator=(TemporaryFile&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }

  const std::string& path() const { return path_; }

  // Renames it to `path`, in the same directory, in place of what is there. With `only_new`:
  // FAILED_PRECONDITION if something is there.
  absl::Status Place(const std::string& path, bool only_new = false);

 private:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  std::string path_;  // empty once placed
};

}  // namespace fleet::host
