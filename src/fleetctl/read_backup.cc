#include "fleetctl/read_backup.h"

#include <istream>
#include <iterator>

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/whole_file.h"

namespace fleet::fleetctl {
namespace {

// No cluster has as much; reading /dev/zero ends.
constexpr size_t kMaxBytes = 1 << 30;

absl::StatusOr<std::string> ReadStream(std::istream& in) {
  std::string text;
  char bytes[64 << 10];
  while (in.read(bytes, sizeof(bytes)) || in.gcount() > 0) {
    text.append(bytes, static_cast<size_t>(in.gcount()));
    if (text.size() > kMaxBytes)
      return absl::FailedPreconditionError(
          Cat("cannot read stdin: it has more than ", kMaxBytes, " bytes"));
  }
  return text;
}

}  // namespace

absl::StatusOr<BackupDocument> ReadRegistry(client::ApiClient& api) {
  auto text = api.GetBackup();
  if (absl::IsNotFound(text.status()))
    return absl::FailedPreconditionError(
        "the fleetd that was asked is too old for this: it does not serve /fleet/v1/backup");
  RETURN_IF_ERROR(text.status());
  return ParseBackup(*text, "the API's answer");
}

absl::StatusOr<BackupDocument> ReadBackup(const Session& session, const std::string& path) {
  if (path == "-") {
    ASSIGN_OR_RETURN(const std::string text, ReadStream(*session.environment().in));
    return ParseBackup(text, "stdin");
  }
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, kMaxBytes));
  return ParseBackup(text, path);
}

}  // namespace fleet::fleetctl
