#pragma once

// Reading and writing a file as a whole.

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fleet::fleetctl {

// NOT_FOUND if there is no such file; FAILED_PRECONDITION, naming it, for a directory, one that
// cannot be read, and one of more than `max_bytes`.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes);

// Makes `bytes` the content of `path`, with mode 0600: at each moment, also after a crash or on a
// full disk, the file is as it was or complete. A link is followed; what is not a regular file (a
// pipe, a terminal) is written to. FAILED_PRECONDITION with the cause.
absl::Status ReplaceWholeFile(const std::string& path, std::string_view bytes);

}  // namespace fleet::fleetctl
