#include "fleetd/record.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "fmt/core.h"
#include "model/features.h"

namespace fleet::fleetd {

namespace {

std::string OwnUserName() {
  const uid_t uid = geteuid();
  const passwd* entry = getpwuid(uid);  // NOLINT(concurrency-mt-unsafe): before any thread
  return entry == nullptr ? std::to_string(uid) : entry->pw_name;
}

// What units may reserve; a capacity that is not configured is the one that was found.
int64_t Allocatable(int64_t configured, int64_t found, int64_t reserved) {
  return std::max<int64_t>(0, (configured > 0 ? configured : found) - reserved);
}

}  // namespace

MachineRecord MakeMachineRecord(const Config& config, const host::MachineFacts& facts,
                                const std::string& token) {
  MachineRecord record;
  record.address = config.public_ip.empty() ? facts.default_address : config.public_ip;
  record.hostname = facts.hostname;
  record.version = FLEET_VERSION;
  record.boot_id = facts.boot_id;
  record.token = token;
  record.features = KnownFeatures();
  if (config.systemd_user) record.systemd_user = OwnUserName();
  for (const ListenAddress& address : config.listen) {
    if (IsLoopback(address)) continue;
    ListenAddress published = address;
    if (address.host == "0.0.0.0" || address.host == "::") published.host = record.address;
    record.api_endpoints.push_back(fmt::format(
        "{}://{}", config.listen_certfile.empty() ? "http" : "https", ToString(published)));
  }
  return Reconfigured(std::move(record), config, facts);
}

MachineRecord Reconfigured(MachineRecord record, const Config& config,
                           const host::MachineFacts& facts) {
  record.metadata = config.metadata;
  record.milli_cores = Allocatable(config.capacity_cpu, facts.milli_cores, config.reserved_cpu);
  record.memory_bytes =
      Allocatable(config.capacity_memory, facts.memory_bytes, config.reserved_memory);
  return record;
}

}  // namespace fleet::fleetd
