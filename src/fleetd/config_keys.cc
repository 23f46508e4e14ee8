#include "fleetd/config_keys.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/edit_distance.h"
#include "base/status.h"
#include "fleetd/config_types.h"

namespace fleet::fleetd {
namespace {

template <typename T>
ConfigKey Key(absl::string_view name, T Config::*field, Type<T> type, absl::string_view doc) {
  ConfigKey key;
  key.name = name;
  key.type = type.name;
  key.doc = doc;
  key.set = [field, parse = type.parse](Config& config, absl::string_view value) -> absl::Status {
    ASSIGN_OR_RETURN(config.*field, parse(value));
    return absl::OkStatus();
  };
  key.reset = [field](Config& config) { config.*field = Config().*field; };
  key.get = [field, format = type.format](const Config& config) { return format(config.*field); };
  key.default_text = key.get(Config());
  return key;
}

ConfigKey Secret(ConfigKey key) {
  key.secret = true;
  return key;
}
ConfigKey Ignored(ConfigKey key) {
  key.ignored = true;
  return key;
}
ConfigKey Reloadable(ConfigKey key) {
  key.reloadable = true;
  return key;
}
ConfigKey Default(std::string text, ConfigKey key) {
  key.default_text = std::move(text);
  return key;
}

// As interfaces have them: fleet 1.0's keys first, then ours.
std::vector<ConfigKey> MakeKeys() {
  const absl::Duration none = absl::ZeroDuration();
  const absl::Duration least_ttl = absl::Seconds(2);
  return {
      Reloadable(Key("verbosity", &Config::verbosity, Integer(0),
                     "How much is logged: 0 what matters, 1 and above everything.")),
      Key("etcd_servers", &Config::etcd_servers, ServerUrls(),
          "The etcd of the cluster. None: one machine, with an embedded registry."),
      Key("etcd_key_prefix", &Config::etcd_key_prefix, KeyPrefix(),
          "Where in etcd the cluster's records are (fleet 1.0: /_coreos.com/fleet/)."),
      Key("etcd_request_timeout", &Config::etcd_request_timeout, Seconds(absl::Milliseconds(1)),
          "How long one request to etcd may take."),
      Reloadable(Key("etcd_cafile", &Config::etcd_cafile, FilePath(),
                     "PEM file of the authority that signed etcd's certificate.")),
      Reloadable(Key("etcd_certfile", &Config::etcd_certfile, FilePath(),
                     "PEM file of the client certificate shown to etcd.")),
      Reloadable(Key("etcd_keyfile", &Config::etcd_keyfile, FilePath(),
                     "PEM file of the key of etcd_certfile.")),
      Key("etcd_username", &Config::etcd_username, Text(), "User name for etcd's authentication."),
      Secret(Key("etcd_password", &Config::etcd_password, Text(), "Password of etcd_username.")),
      Default("the address of the default route",
              Key("public_ip", &Config::public_ip, AddressOrHost(),
                  "The address other machines and users reach this machine at.")),
      Reloadable(Key("metadata", &Config::metadata, MetadataPairs(),
                     "What units can ask for with MachineMetadata=, such as region=us,az=1.")),
      Key("agent_ttl", &Config::agent_ttl, DurationAtLeast(least_ttl),
          "How long a machine may be silent before its units move (fleet 1.0: 30s)."),
      Key("engine_reconcile_interval", &Config::engine_reconcile_interval,
          Seconds(absl::Milliseconds(100)),
          "How often the engine checks everything; it reacts to changes at once."),
      Key("token_limit", &Config::token_limit, Integer(1, 10000),
          "How many entries a page of an API list has."),
      Key("disable_engine", &Config::disable_engine, Boolean(),
          "Do not take part in scheduling. 3 to 7 machines of a large cluster should."),
      Ignored(Key("disable_watches", &Config::disable_watches, Boolean(),
                  "Of fleet 1.0; has no effect.")),
      Ignored(Key("enable_grpc", &Config::enable_grpc, Boolean(), "Of fleet 1.0; has no effect.")),
      Ignored(Key("authorized_keys_file", &Config::authorized_keys_file, Text("file"),
                  "Of fleet 1.0; has no effect.")),
      Ignored(
          Key("verify_units", &Config::verify_units, Boolean(), "Of fleet 1.0; has no effect.")),
      Key("units_directory", &Config::units_directory, Directory(),
          "Where the unit files of this machine's units are written."),
      Key("systemd_user", &Config::systemd_user, Boolean(),
          "Run units in the user's systemd instead of the system's."),

      Key("listen", &Config::listen, ListenAddresses(),
          "Addresses of the API besides the sockets that systemd passes. One that is not loopback "
          "needs client certificates, or listen_insecure."),
      Key("listen_insecure", &Config::listen_insecure, Boolean(),
          "Serve listen addresses without client certificates: whoever reaches them is root."),
      Reloadable(Key("listen_cafile", &Config::listen_cafile, FilePath(),
                     "PEM file of the authority that signs the certificates of clients.")),
      Reloadable(Key("listen_certfile", &Config::listen_certfile, FilePath(),
                     "PEM file of the certificate shown on listen addresses.")),
      Reloadable(Key("listen_keyfile", &Config::listen_keyfile, FilePath(),
                     "PEM file of the key of listen_certfile.")),
      Key("state_directory", &Config::state_directory, Directory(),
          "Where fleetd keeps its own state, and the embedded registry."),
      Default("agent_ttl", Key("engine_ttl", &Config::engine_ttl, DurationAtLeast(least_ttl),
                               "How long the leading engine may be silent before another leads.")),
      Key("mass_loss_hold", &Config::mass_loss_hold, DurationAtLeast(none),
          "How long nothing moves when more than half of the machines vanish at once."),
      Key("isolation_stop_timeout", &Config::isolation_stop_timeout, DurationAtLeast(none),
          "How long units with OnIsolation=stop have to stop before they are killed."),
      Key("leave_timeout", &Config::leave_timeout, DurationAtLeast(none),
          "How long units have to stop and move when fleetd is stopped."),
      Key("events_max", &Config::events_max, Integer(1), "How many event records are kept."),
      Key("disruption_budget", &Config::disruption_budget, BudgetType(),
          "How many machines may be emptied at once by voluntary moves."),
      Reloadable(Key("capacity_cpu", &Config::capacity_cpu, Cpu(),
                     "What this machine counts as having; 0: what it reports.")),
      Reloadable(Key("capacity_memory", &Config::capacity_memory, Bytes(),
                     "What this machine counts as having; 0: what it reports.")),
      Reloadable(Key("reserved_cpu", &Config::reserved_cpu, Cpu(),
                     "What ReserveCPU= may not have of this machine.")),
      Reloadable(Key("reserved_memory", &Config::reserved_memory, Bytes(),
                     "What ReserveMemory= may not have of this machine.")),
      Key("placement", &Config::placement, PlacementType(),
          "Spread units over the machines, or use as few machines as they fit on."),
      Key("rebalance", &Config::rebalance, RebalanceType(),
          "Whether running units are moved to even out when a machine has come."),
      Key("drift", &Config::drift, DriftType(),
          "What to do about a unit that was stopped behind fleet's back."),
      Key("reboot_slots", &Config::reboot_slots, Integer(1),
          "How many machines may reboot at once (FleetLock)."),
  };
}

}  // namespace

const std::vector<ConfigKey>& ConfigKeys() {
  static const std::vector<ConfigKey> keys = MakeKeys();
  return keys;
}

const ConfigKey* FindConfigKey(absl::string_view name) {
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

absl::string_view NearestConfigKey(absl::string_view name) {
  absl::string_view nearest;
  size_t best = std::max<size_t>(2, name.size() / 3) + 1;
  for (const ConfigKey& key : ConfigKeys()) {
    const size_t distance =
        EditDistance({name.data(), name.size()}, {key.name.data(), key.name.size()});
    if (distance >= best) continue;
    best = distance;
    nearest = key.name;
  }
  return nearest;
}

}  // namespace fleet::fleetd
