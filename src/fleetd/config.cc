#include "fleetd/config.h"

#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "fleetd/config_keys.h"
#include "fleetd/config_syntax.h"

namespace fleet::fleetd {
namespace {

constexpr absl::string_view kEnvironmentPrefix = "FLEET_";
constexpr absl::string_view kHidden = "(not shown)";

// Gathers what a configuration's sources say, and every mistake in them.
class Parser {
 public:
  void ReadFile(absl::string_view text, const std::string& path) {
    for (const ConfigLine& line : SplitConfig(text)) {
      const std::string where = absl::StrCat(path, ":", line.number);
      if (!line.error.empty()) {
        errors_.push_back(absl::StrCat(where, ": the line ", line.error));
      } else {
        if (loaded_.origins.contains(line.key)) {
          loaded_.notices.push_back(absl::StrCat(where, ": ", line.key, " replaces the value of ",
                                                 loaded_.origins.at(line.key)));
        }
        Set(line.key, line.value, where, where);
      }
    }
  }

  void ReadEnvironment(const Environment& environment) {
    for (const auto& [variable, value] : environment) {
      absl::string_view name = variable;
      if (!absl::ConsumePrefix(&name, kEnvironmentPrefix)) continue;
      const std::string key = absl::AsciiStrToLower(name);
      if (FindConfigKey(key) == nullptr) {  // it need not be meant for fleetd
        loaded_.notices.push_back(
            absl::StrCat("environment: ", variable, " is no key of fleetd", DidYouMean(key)));
      } else {
        Set(key, value, absl::StrCat("environment: ", variable), "environment");
      }
    }
  }

  absl::StatusOr<LoadedConfig> Finish() {
    if (!loaded_.origins.contains("engine_ttl")) {
      loaded_.config.engine_ttl = loaded_.config.agent_ttl;
    }
    CheckEtcd();
    CheckListen();
    if (errors_.empty()) return std::move(loaded_);
    return absl::InvalidArgumentError(absl::StrJoin(errors_, "\n"));
  }

 private:
  static std::string DidYouMean(absl::string_view key) {
    const absl::string_view nearest = NearestConfigKey(key);
    return nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?");
  }

  // An empty value puts the key back to its default, as an empty assignment does in unit files.
  void Set(const std::string& name, const std::string& value, const std::string& where,
           const std::string& origin) {
    const ConfigKey* key = FindConfigKey(name);
    if (key == nullptr) {
      errors_.push_back(absl::StrCat(where, ": unknown key \"", name, "\"", DidYouMean(name)));
      return;
    }
    if (value.empty() || value == "\"\"" || value == "''") {
      loaded_.origins.erase(name);
      key->reset(loaded_.config);
      return;
    }
    const absl::Status status = key->set(loaded_.config, value);
    if (!status.ok()) {
      errors_.push_back(absl::StrCat(where, ": ", name, ": ", status.message()));
      return;
    }
    loaded_.origins[name] = origin;
    if (key->ignored) {
      loaded_.notices.push_back(absl::StrCat(where, ": ", name, " has no effect any more"));
    }
  }

  // Adds an error where exactly one of the two is set.
  void CheckPair(const char* one, const std::string& one_value, const char* other,
                 const std::string& other_value) {
    if (one_value.empty() == other_value.empty()) return;
    const char* set = one_value.empty() ? other : one;
    const char* missing = one_value.empty() ? one : other;
    errors_.push_back(
        absl::StrCat(loaded_.origins.at(set), ": ", set, " is set without ", missing));
  }

  void CheckEtcd() {
    const Config& config = loaded_.config;
    CheckPair("etcd_certfile", config.etcd_certfile, "etcd_keyfile", config.etcd_keyfile);
    CheckPair("etcd_username", config.etcd_username, "etcd_password", config.etcd_password);
    const auto secure =
        std::count_if(config.etcd_servers.begin(), config.etcd_servers.end(),
                      [](const std::string& url) { return absl::StartsWith(url, "https://"); });
    if (secure != 0 && secure != std::ssize(config.etcd_servers)) {
      errors_.push_back(absl::StrCat(loaded_.origins.at("etcd_servers"),
                                     ": etcd_servers has both http and https URLs"));
    }
    for (const char* key : {"etcd_cafile", "etcd_certfile"}) {
      if (secure == 0 && loaded_.origins.contains(key)) {
        loaded_.notices.push_back(absl::StrCat(loaded_.origins.at(key), ": ", key,
                                               " is not used: no server in etcd_servers is https"));
      }
    }
  }

  void CheckListen() {
    const Config& config = loaded_.config;
    CheckPair("listen_certfile", config.listen_certfile, "listen_keyfile", config.listen_keyfile);
    // Who has a certificate asks for those of clients and of other machines, also on loopback.
    CheckPair("listen_cafile", config.listen_cafile, "listen_certfile", config.listen_certfile);
    if (!config.listen_cafile.empty()) return;
    for (const ListenAddress& address : config.listen) {
      if (IsLoopback(address)) continue;
      const std::string what =
          absl::StrCat(loaded_.origins.at("listen"), ": listen: ", ToString(address),
                       " is open to other machines, and clients need no certificate: ");
      if (config.listen_insecure) {
        loaded_.notices.push_back(
            absl::StrCat(what, "whoever reaches it controls the cluster (listen_insecure=true)"));
      } else {
        errors_.push_back(absl::StrCat(what,
                                       "set listen_cafile, listen_certfile and listen_keyfile, or "
                                       "listen_insecure=true to have it so"));
      }
    }
  }

  LoadedConfig loaded_;
  std::vector<std::string> errors_;
};

absl::Status CannotRead(const std::string& what, int error) {
  const std::string message = absl::StrCat("cannot read ", what, ": ", std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(message);
  return absl::InternalError(message);
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const std::string what = absl::StrCat("the configuration ", path);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return CannotRead(what, EISDIR);
  std::ifstream file(path, std::ios::binary);
  if (!file) return CannotRead(what, errno);
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return CannotRead(what, EIO);
  return std::move(text).str();
}

// The files that the configuration names have to be there before anything is started.
absl::Status CheckFiles(const LoadedConfig& loaded) {
  const Config& config = loaded.config;
  const std::pair<const char*, const std::string&> files[] = {
      {"etcd_cafile", config.etcd_cafile},         {"etcd_certfile", config.etcd_certfile},
      {"etcd_keyfile", config.etcd_keyfile},       {"listen_cafile", config.listen_cafile},
      {"listen_certfile", config.listen_certfile}, {"listen_keyfile", config.listen_keyfile}};
  for (const auto& [key, path] : files) {
    if (path.empty() || access(path.c_str(), R_OK) == 0) continue;
    const int error = errno;
    return CannotRead(absl::StrCat(path, " (", key, ", ", loaded.origins.at(key), ")"), error);
  }
  return absl::OkStatus();
}

}  // namespace

bool IsLoopback(const ListenAddress& address) {
  return absl::StartsWith(address.host, "127.") || address.host == "::1";
}

std::string ToString(const ListenAddress& address) {
  const bool v6 = absl::StrContains(address.host, ":");
  return absl::StrCat(v6 ? "[" : "", address.host, v6 ? "]" : "", ":", address.port);
}

Environment ReadEnvironment() {
  Environment out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const absl::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == absl::string_view::npos) continue;
    out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

absl::StatusOr<LoadedConfig> ParseConfig(absl::string_view text, const std::string& path,
                                         const Environment& environment) {
  Parser parser;
  parser.ReadFile(text, path);
  parser.ReadEnvironment(environment);
  return parser.Finish();
}

absl::StatusOr<LoadedConfig> LoadConfig(const std::string& path, bool file_required,
                                        const Environment& environment) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok() && (file_required || !absl::IsNotFound(text.status()))) return text.status();
  ASSIGN_OR_RETURN(LoadedConfig loaded, ParseConfig(text.value_or(""), path, environment));
  RETURN_IF_ERROR(CheckFiles(loaded));
  const auto secret = loaded.origins.find("etcd_password");
  struct stat status {};
  if (secret != loaded.origins.end() && absl::StartsWith(secret->second, path) &&
      stat(path.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0) {
    loaded.notices.push_back(
        absl::StrCat(path, ": has etcd_password and can be read by every user; chmod o-r it"));
  }
  return loaded;
}

std::string CheckConfigText(const LoadedConfig& loaded) {
  std::string out;
  for (const ConfigKey& key : ConfigKeys()) {
    const auto origin = loaded.origins.find(std::string(key.name));
    const bool set = origin != loaded.origins.end();
    const std::string value = key.secret && set ? std::string(kHidden) : key.get(loaded.config);
    const std::string line = absl::StrCat(key.name, "=", value);
    absl::StrAppend(&out, line,
                    std::string(std::max<size_t>(44, line.size() + 2) - line.size(), ' '), "# ",
                    set ? origin->second : "default", "\n");
  }
  return out;
}

std::vector<std::string> KeysThatNeedARestart(const Config& running, const Config& reread) {
  std::vector<std::string> out;
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.reloadable || key.ignored || key.get(running) == key.get(reread)) continue;
    out.emplace_back(key.name);
  }
  return out;
}

}  // namespace fleet::fleetd
