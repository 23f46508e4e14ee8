// fleet.conf and the environment. Input: the file; what follows "--- environment\n" are variables,
// one a line.

#include "fleetd/config.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "fleetd/config_keys.h"
#include "fleetd/config_syntax.h"
#include "fuzz/check.h"

namespace fleet::fuzz {
namespace {

using fleetd::Config;
using fleetd::LoadedConfig;

constexpr char kPath[] = "fleet.conf";
constexpr char kPassword[] = "etcd_password";

std::vector<std::string> Lines(const std::string& text) { return absl::StrSplit(text, '\n'); }

fleetd::Environment ReadVariables(const std::string& text) {
  fleetd::Environment environment;
  for (const std::string& line : Lines(text)) {
    const std::pair<std::string, std::string> variable =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (!variable.first.empty()) environment.insert(variable);
  }
  return environment;
}

// The same password with each letter and digit replaced: quotes, blanks and comments stay.
std::string Masked(std::string value) {
  for (char& c : value) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c))) c = 'x';
  }
  return value;
}

std::string MaskPasswords(const std::string& text) {
  std::string masked;
  for (const std::string& line : Lines(text)) {
    const size_t equals = line.find('=');
    const std::string key(absl::StripAsciiWhitespace(line.substr(0, equals)));
    const bool secret = equals != std::string::npos && key == kPassword;
    absl::StrAppend(&masked,
                    secret ? line.substr(0, equals + 1) + Masked(line.substr(equals + 1)) : line,
                    "\n");
  }
  return masked;
}

std::string Talk(const absl::StatusOr<LoadedConfig>& loaded) {
  if (!loaded.ok()) return loaded.status().ToString();
  std::string talk = fleetd::CheckConfigText(*loaded);
  for (const std::string& notice : loaded->notices) absl::StrAppend(&talk, notice, "\n");
  return talk;
}

void CheckSecrets(const std::string& text, const fleetd::Environment& environment,
                  const absl::StatusOr<LoadedConfig>& loaded) {
  fleetd::Environment masked = environment;
  for (auto& [variable, value] : masked) {
    if (absl::EqualsIgnoreCase(variable, "FLEET_ETCD_PASSWORD")) value = Masked(value);
  }
  const auto other = fleetd::ParseConfig(MaskPasswords(text), kPath, masked);
  Check(Talk(other) == Talk(loaded), "no message and no listing depends on a password",
        Talk(loaded));
}

void CheckRefusal(const absl::Status& status) {
  Check(absl::IsInvalidArgument(status), "mistakes are invalid arguments", status.ToString());
  for (const std::string& line : Lines(std::string(status.message()))) {
    Check(line.starts_with("fleet.conf:") || line.starts_with("environment"),
          "each mistake says where it is", status.ToString());
  }
}

void CheckBounds(const Config& config) {
  Check(config.agent_ttl >= absl::Seconds(2) && config.engine_ttl >= absl::Seconds(2),
        "TTLs are at least two seconds");
  Check(config.agent_ttl < absl::InfiniteDuration() &&
            config.leave_timeout < absl::InfiniteDuration(),
        "durations end");
  Check(config.token_limit >= 1 && config.token_limit <= 10000, "pages have at least an entry");
  for (const int64_t amount :
       {config.capacity_cpu, config.capacity_memory, config.reserved_cpu, config.reserved_memory}) {
    Check(amount >= 0, "capacities and reservations are not negative");
  }
  Check(config.disruption_budget.amount >= 1, "one machine may always be emptied");
  for (const std::string* path : {&config.units_directory, &config.state_directory}) {
    Check(path->starts_with('/') && path->ends_with('/'), "directories have their slashes", *path);
  }
  Check(config.etcd_key_prefix.starts_with('/') && config.etcd_key_prefix.ends_with('/'),
        "the key prefix has its slashes", config.etcd_key_prefix);
  Check(config.etcd_username.empty() == config.etcd_password.empty(), "a user has a password");
  const bool checks_clients = !config.listen_cafile.empty() && !config.listen_certfile.empty() &&
                              !config.listen_keyfile.empty();
  for (const fleetd::ListenAddress& address : config.listen) {
    Check(address.port != 0 && !address.host.empty(), "addresses are whole", ToString(address));
    Check(checks_clients || config.listen_insecure || IsLoopback(address),
          "nobody listens to the world unasked", ToString(address));
  }
  for (const auto& [key, value] : config.metadata) {
    Check(!key.empty() && !value.empty(), "metadata is key=value", key);
  }
}

// What --check-config prints is a configuration file that says the same.
void CheckListing(const LoadedConfig& loaded) {
  const std::string listing = fleetd::CheckConfigText(loaded);
  const auto again = fleetd::ParseConfig(listing, kPath, {});
  Check(again.ok(), "the listing can be read", again.status().ToString() + "\n" + listing);
  Config read = again->config;
  Check(read.etcd_password.empty() == loaded.config.etcd_password.empty(),
        "that there is a password is shown", listing);
  read.etcd_password = loaded.config.etcd_password;
  for (const fleetd::ConfigKey& key : fleetd::ConfigKeys()) {
    Check(key.get(read) == key.get(loaded.config), "the listing says what the file says",
          std::string(key.name) + "\n" + listing);
  }
  Check(read == loaded.config, "the listing says all that the file says", listing);
  Check(fleetd::KeysThatNeedARestart(loaded.config, read).empty(), "nothing needs a restart");
}

void Run(const std::string& text, const fleetd::Environment& environment) {
  const auto loaded = fleetd::ParseConfig(text, kPath, environment);
  CheckSecrets(text, environment, loaded);
  if (!loaded.ok()) {
    CheckRefusal(loaded.status());
    return;
  }
  for (const auto& [key, origin] : loaded->origins) {
    Check(fleetd::FindConfigKey(key) != nullptr, "only known keys are set", key);
  }
  CheckBounds(loaded->config);
  CheckListing(*loaded);
}

void CheckQuoting(const std::string& text) {
  const auto one = fleetd::Unquote(fleetd::Quote(text));
  Check(one.ok() && *one == text, "a quoted text reads back", fleetd::Quote(text));
}

}  // namespace
}  // namespace fleet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto [file, variables] =
      fleet::fuzz::SplitAt(fleet::fuzz::Text(data, size), "--- environment\n");
  fleet::fuzz::Run(std::string(file), fleet::fuzz::ReadVariables(std::string(variables)));
  fleet::fuzz::CheckQuoting(std::string(file));
  return 0;
}
