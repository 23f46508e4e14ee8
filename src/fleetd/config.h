#pragma once

// fleetd's configuration: fleet.conf and the environment, as plain values. config_keys.h has the
// table of the keys, config_syntax.h what a line looks like. Plain values: any loop may keep a
// copy.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/budget.h"

namespace fleet::fleetd {

inline constexpr absl::string_view kDefaultConfigPath = "/etc/fleet/fleet.conf";

enum class Placement { kSpread, kPack };
enum class Rebalance { kOff, kAuto };
enum class Drift { kReport, kRestore };

// An address of the API. The host is a literal IPv4 or IPv6 address (no brackets).
struct ListenAddress {
  std::string host;
  uint16_t port = 0;
  bool operator==(const ListenAddress&) const = default;
};
bool IsLoopback(const ListenAddress& address);
std::string ToString(const ListenAddress& address);  // "127.0.0.1:49153", "[::1]:49153"

// Every key, named as in the file. Directories end with a slash. Paths are empty when not set.
struct Config {
  int64_t verbosity = 0;                  // 0: info; above: debug
  std::vector<std::string> etcd_servers;  // URLs with a port; empty: the embedded registry
  std::string etcd_key_prefix = "/fleet/";
  absl::Duration etcd_request_timeout = absl::Seconds(1);
  std::string etcd_cafile;
  std::string etcd_certfile;
  std::string etcd_keyfile;
  std::string etcd_username;
  std::string etcd_password;
  std::string public_ip;  // empty: the address of the default route
  std::map<std::string, std::string> metadata;
  absl::Duration agent_ttl = absl::Seconds(10);
  absl::Duration engine_reconcile_interval = absl::Seconds(60);
  int64_t token_limit = 100;
  bool disable_engine = false;
  bool disable_watches = false;      // ignored
  bool enable_grpc = false;          // ignored
  std::string authorized_keys_file;  // ignored
  bool verify_units = false;
  std::string units_directory = "/run/fleet/units/";
  bool systemd_user = false;

  std::vector<ListenAddress> listen;
  bool listen_insecure = false;
  std::string listen_cafile;
  std::string listen_certfile;
  std::string listen_keyfile;
  std::string state_directory = "/var/lib/fleet/";
  absl::Duration engine_ttl = absl::Seconds(10);  // agent_ttl unless it is set
  absl::Duration mass_loss_hold = absl::Seconds(60);
  absl::Duration isolation_stop_timeout = absl::Seconds(5);
  absl::Duration leave_timeout = absl::Seconds(60);
  int64_t events_max = 10000;
  Budget disruption_budget;
  int64_t capacity_cpu = 0;     // thousandths of a core; 0: what the machine reports
  int64_t capacity_memory = 0;  // bytes; 0: what the machine reports
  int64_t reserved_cpu = 0;     // thousandths of a core
  int64_t reserved_memory = 0;  // bytes
  Placement placement = Placement::kSpread;
  Rebalance rebalance = Rebalance::kOff;
  Drift drift = Drift::kReport;
  int64_t reboot_slots = 1;

  bool operator==(const Config&) const = default;
};

using Environment = std::map<std::string, std::string>;

// The process's environment, of which LoadConfig reads FLEET_*.
Environment ReadEnvironment();

struct LoadedConfig {
  Config config;
  // Key → where its value came from: "FILE:LINE" or "environment"; keys at their default are
  // absent.
  std::map<std::string, std::string> origins;
  std::vector<std::string> notices;  // for the log at each start; no secrets in them
};

// Reads the file at `path`, then the environment, which wins. A missing file is an error only if
// `file_required` (the user named it). INVALID_ARGUMENT with all mistakes, one a line, each with
// where it stands; NOT_FOUND or PERMISSION_DENIED if a file cannot be read.
absl::StatusOr<LoadedConfig> LoadConfig(const std::string& path, bool file_required,
                                        const Environment& environment);

// The same for a file's text; `path` is for messages. No I/O.
absl::StatusOr<LoadedConfig> ParseConfig(absl::string_view text, const std::string& path,
                                         const Environment& environment);

// The effective configuration as fleet.conf would have it, each line with where its value came
// from. Secrets are not in it.
std::string CheckConfigText(const LoadedConfig& loaded);

// Keys that differ between the two and take effect only after a restart of fleetd.
std::vector<std::string> KeysThatNeedARestart(const Config& running, const Config& reread);

}  // namespace fleet::fleetd
