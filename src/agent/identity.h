#pragma once

// What makes this installation of fleetd itself, in `state_directory`: a random token that tells it
// from another machine with the same machine id, and the lease it holds, so that a restart does not
// lose it.

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace fleet::agent {

struct Identity {
  std::string token;
  int64_t lease = 0;
  std::string member_boot;  // the boot in which this machine joined last
  bool operator==(const Identity&) const = default;
};

// Reads the file, or makes one with a new token. RESOURCE_EXHAUSTED if the disk is full,
// PERMISSION_DENIED, or DATA_LOSS if the file is not one of ours.
absl::StatusOr<Identity> LoadIdentity(const std::string& state_directory);

// Atomic, mode 0600, on disk when it returns.
absl::Status SaveIdentity(const std::string& state_directory, const Identity& identity);

}  // namespace fleet::agent
