#include "fleetd/record.h"

#include <pwd.h>
#include <unistd.h>

#include <string>

#include "fmt/core.h"

namespace fleet::fleetd {

namespace {

std::string OwnUserName() {
  const uid_t uid = geteuid();
  const passwd* entry = getpwuid(uid);  // NOLINT(concurrency-mt-unsafe): before any thread
  return entry == nullptr ? std::to_string(uid) : entry->pw_name;
}

}  // namespace

MachineRecord MakeMachineRecord(const Config& config, const host::MachineFacts& facts,
                                const std::string& token) {
  MachineRecord record;
  record.address = config.public_ip.empty() ? facts.default_address : config.public_ip;
  record.hostname = facts.hostname;
  record.metadata = config.metadata;
  record.milli_cores = facts.milli_cores;
  record.memory_bytes = facts.memory_bytes;
  record.version = FLEET_VERSION;
  record.boot_id = facts.boot_id;
  record.token = token;
  if (config.systemd_user) record.systemd_user = OwnUserName();
  for (const ListenAddress& address : config.listen) {
    if (IsLoopback(address)) continue;
    ListenAddress published = address;
    if (address.host == "0.0.0.0" || address.host == "::") published.host = record.address;
    record.api_endpoints.push_back(fmt::format(
        "{}://{}", config.listen_certfile.empty() ? "http" : "https", ToString(published)));
  }
  return record;
}

}  // namespace fleet::fleetd
