#include "agent/identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/descriptor.h"
#include "base/ids.h"
#include "base/status.h"
#include "fmt/core.h"
#include "host/posix_file.h"

namespace fleet::agent {

namespace {

constexpr size_t kMaxBytes = 4096;

std::string PathIn(const std::string& state_directory) { return state_directory + "/identity"; }

absl::Status FileError(const std::string& what, const std::string& path, int error) {
  return absl::ErrnoToStatus(error, fmt::format("{} {}", what, path));
}

absl::StatusOr<Identity> Parse(const std::string& path, const std::string& text) {
  Identity identity;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> entry =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (entry.first == "token") {
      identity.token = std::string(entry.second);
    } else if (entry.first == "member_boot") {
      identity.member_boot = std::string(entry.second);
    } else if (entry.first == "lease" && !absl::SimpleAtoi(entry.second, &identity.lease)) {
      identity.lease = 0;  // only costs a new lease
    }
  }
  if (identity.token.empty()) {
    return absl::DataLossError(fmt::format(
        "{} does not hold this installation's token; remove it to get a new one", path));
  }
  return identity;
}

}  // namespace

absl::StatusOr<Identity> LoadIdentity(const std::string& state_directory) {
  const std::string path = PathIn(state_directory);
  const auto text = host::ReadWholeFile(path, kMaxBytes, host::Links::kRefuse);
  if (text.ok()) return Parse(path, *text);
  if (!absl::IsNotFound(text.status())) return text.status();
  RETURN_IF_ERROR(host::MakeDirectories(state_directory));
  Identity identity{.token = RandomId()};
  RETURN_IF_ERROR(SaveIdentity(state_directory, identity));
  return identity;
}

absl::Status SaveIdentity(const std::string& state_directory, const Identity& identity) {
  const std::string path = PathIn(state_directory);
  const std::string temporary = path + ".new";
  const std::string text = fmt::format("token={}\nlease={}\nmember_boot={}\n", identity.token,
                                       identity.lease, identity.member_boot);
  {
    const Descriptor file(
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return FileError("cannot create", temporary, errno);
    const ssize_t written = write(file.get(), text.data(), text.size());
    if (written != static_cast<ssize_t>(text.size()) || fsync(file.get()) != 0) {
      const int error = written >= 0 && errno == 0 ? ENOSPC : errno;
      unlink(temporary.c_str());
      return FileError("cannot write", temporary, error);
    }
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return FileError("cannot replace", path, errno);
  const Descriptor directory(open(state_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || fsync(directory.get()) != 0) {
    return FileError("cannot sync", state_directory, errno);
  }
  return absl::OkStatus();
}

}  // namespace fleet::agent
