#pragma once

// Where backups come from: a cluster's registry, or a file.

#include <string>

#include "absl/status/statusor.h"
#include "client/api_client.h"
#include "fleetctl/backup_document.h"
#include "fleetctl/session.h"

namespace fleet::fleetctl {

// What the registry has now, at one revision.
absl::StatusOr<BackupDocument> ReadRegistry(client::ApiClient& api);

// The backup in the file `path`, or on stdin if it is "-". NOT_FOUND for no such file,
// INVALID_ARGUMENT for one that is no backup.
absl::StatusOr<BackupDocument> ReadBackup(const Session& session, const std::string& path);

}  // namespace fleet::fleetctl
