#include "fleetctl/ssh.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/status.h"
#include "client/endpoint.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/process.h"

namespace fleet::fleetctl {
namespace {

std::string ExpandHome(const std::string& path, const Environment& environment) {
  const auto home = environment.variables.find("HOME");
  if (!path.starts_with("~/") || home == environment.variables.end()) return path;
  return Cat(home->second, path.substr(1));
}

void Option(std::vector<std::string>& argv, const std::string& text) {
  argv.emplace_back("-o");
  argv.push_back(text);
}

// A file name in ssh's configuration: quoted, and without its % tokens.
std::string QuotedFile(const std::string& file) {
  std::string text = "\"";
  for (const char c : file) {
    text += c;
    if (c == '%') text += '%';
  }
  return text + "\"";
}

void CommonOptions(std::vector<std::string>& argv, const SshOptions& options,
                   const std::vector<std::string>& known_hosts) {
  if (!options.log_file.empty()) argv.insert(argv.end(), {"-E", options.log_file});
  Option(argv, Cat("ConnectTimeout=", options.timeout_seconds));
  if (!options.strict) {
    Option(argv, "StrictHostKeyChecking=no");
    Option(argv, "UserKnownHostsFile=/dev/null");
    Option(argv, "GlobalKnownHostsFile=/dev/null");
    Option(argv, "LogLevel=ERROR");
    return;
  }
  Option(argv, "StrictHostKeyChecking=yes");
  std::string files = QuotedFile(options.known_hosts_file);
  for (const std::string& file : known_hosts) {
    if (file != options.known_hosts_file) Append(files, " ", QuotedFile(file));
  }
  Option(argv, Cat("UserKnownHostsFile=", files));
}

std::vector<std::string> TunnelBase(const SshOptions& options,
                                    const std::vector<std::string>& known_hosts) {
  std::vector<std::string> argv = {"ssh"};
  CommonOptions(argv, options, known_hosts);
  argv.insert(argv.end(), {"-l", options.username});
  if (!options.tunnel_port.empty()) argv.insert(argv.end(), {"-p", options.tunnel_port});
  return argv;
}

// ssh takes options after the host, too: a command may begin with a dash only behind "--".
std::vector<std::string> WithCommand(std::vector<std::string> argv, const std::string& host,
                                     const std::string& command) {
  argv.push_back(host);
  if (!command.empty()) argv.insert(argv.end(), {"--", command});
  return argv;
}

void AddProxy(std::vector<std::string>& argv, const SshOptions& options,
              const std::vector<std::string>& known_hosts) {
  if (options.tunnel_host.empty()) return;
  std::string command;
  for (const std::string& word : TunnelBase(options, known_hosts)) {
    // ssh expands % in a ProxyCommand before the shell and the inner ssh see it.
    std::string escaped;
    for (const char c : word) {
      escaped += c;
      if (c == '%') escaped += '%';
    }
    Append(command, ShellQuote(escaped), " ");
  }
  Option(argv, Cat("ProxyCommand=", command, "-W '[%h]:%p' ", ShellQuote(options.tunnel_host)));
}

// To a machine, up to the host.
std::vector<std::string> MachineBase(const SshOptions& options,
                                     const std::vector<std::string>& known_hosts) {
  std::vector<std::string> argv = {"ssh"};
  CommonOptions(argv, options, known_hosts);
  argv.insert(argv.end(), {"-l", options.username});
  if (!options.port.empty()) argv.insert(argv.end(), {"-p", options.port});
  if (options.forward_agent) argv.emplace_back("-A");
  AddProxy(argv, options, known_hosts);
  return argv;
}

// What ssh makes of a host with the user's configuration: `key value…` lines.
absl::StatusOr<std::map<std::string, std::string>> Resolve(const std::string& host,
                                                           const std::string& port) {
  std::vector<std::string> argv = {"ssh", "-G"};
  if (!port.empty()) argv.insert(argv.end(), {"-p", port});
  argv.push_back(host);
  ASSIGN_OR_RETURN(const Captured captured, RunCaptured(argv));
  if (captured.code != 0) {
    return absl::UnavailableError(
        Cat("ssh does not accept its configuration for ", host, ": ", Strip(captured.err)));
  }
  std::map<std::string, std::string> settings;
  for (const std::string& line : SplitList(captured.out, '\n')) {
    const size_t space = line.find(' ');
    if (space != std::string::npos)
      settings.try_emplace(line.substr(0, space), line.substr(space + 1));
  }
  return settings;
}

// What a known-hosts file calls the host.
std::string KnownHostsName(const std::map<std::string, std::string>& settings,
                           const std::string& host) {
  const auto get = [&](const std::string& key) {
    const auto it = settings.find(key);
    return it == settings.end() ? std::string() : it->second;
  };
  if (std::string alias = get("hostkeyalias"); !alias.empty() && alias != "none") return alias;
  const std::string name = get("hostname").empty() ? host : get("hostname");
  const std::string port = get("port");
  return port.empty() || port == "22" ? name : Cat("[", name, "]:", port);
}

bool IsKnown(const std::string& name, const std::vector<std::string>& files) {
  return std::any_of(files.begin(), files.end(), [&](const std::string& file) {
    if (access(file.c_str(), R_OK) != 0) return false;
    const auto found = RunCaptured({"ssh-keygen", "-F", name, "-f", file});
    return found.ok() && found->code == 0;
  });
}

// A file in a directory of its own, removed with it.
class TemporaryFile {
 public:
  TemporaryFile() {
    char name[] = "/tmp/fleetctl-XXXXXX";
    if (const char* made = mkdtemp(name); made != nullptr) directory_ = made;
  }
  ~TemporaryFile() {
    std::error_code ignored;
    if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  std::string path() const { return directory_ + "/known_hosts"; }

 private:
  std::string directory_;
};

// The answer from the terminal, or from the standard input when there is none.
std::string Ask(const std::string& question, const Environment& environment) {
  std::string answer;
  std::fstream terminal(environment.terminal_device, std::ios::in | std::ios::out);
  if (terminal) {
    terminal << question << std::flush;
    std::getline(terminal, answer);
  } else {
    *environment.err << question << std::flush;
    std::getline(*environment.in, answer);
  }
  return std::string(Strip(answer));
}

absl::Status Store(const std::string& file, const std::string& lines) {
  const std::filesystem::path path(file);
  std::error_code error;
  if (path.has_parent_path() && !std::filesystem::exists(path.parent_path(), error)) {
    std::filesystem::create_directories(path.parent_path(), error);
    std::filesystem::permissions(path.parent_path(), std::filesystem::perms::owner_all, error);
  }
  const int fd = open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const bool written =
      fd >= 0 && write(fd, lines.data(), lines.size()) == static_cast<ssize_t>(lines.size());
  const int reason = errno;
  if (fd >= 0) close(fd);
  if (written) return absl::OkStatus();
  return absl::UnavailableError(
      Cat("cannot store the host key in ", file, ": ", std::strerror(reason)));
}

// `base` is the ssh command line up to the host.
absl::Status CheckOne(const SshOptions& options, std::vector<std::string> base,
                      const std::string& host, const std::map<std::string, std::string>& settings,
                      const std::vector<std::string>& files, const Environment& environment) {
  const std::string name = KnownHostsName(settings, host);
  if (IsKnown(name, files)) return absl::OkStatus();
  const TemporaryFile keys;
  // The first value of an option counts, so these go in front.
  const std::vector<std::string> probe = {"-o", "StrictHostKeyChecking=accept-new",
                                          "-o", Cat("UserKnownHostsFile=", keys.path()),
                                          "-o", "GlobalKnownHostsFile=/dev/null",
                                          "-o", "HashKnownHosts=no",
                                          "-o", "PreferredAuthentications=none",
                                          "-o", "ControlPath=none",
                                          "-o", "BatchMode=yes"};
  base.insert(base.begin() + 1, probe.begin(), probe.end());
  ASSIGN_OR_RETURN(const Captured probed, RunCaptured(WithCommand(base, host, "true")));
  std::ifstream file(keys.path());
  const std::string lines((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (lines.empty()) {
    return absl::UnavailableError(
        Cat("cannot connect to ", host, " by ssh: ",
            probed.err.empty() ? std::string_view("it gave no host key") : Strip(probed.err)));
  }
  ASSIGN_OR_RETURN(const Captured fingerprint, RunCaptured({"ssh-keygen", "-lf", keys.path()}));
  const std::string question =
      Cat("The authenticity of host '", name, "' can't be established.\nKey fingerprint is ",
          Strip(fingerprint.out), ".\nAre you sure you want to continue connecting (yes/no)? ");
  if (Ask(question, environment) != "yes") {
    return absl::FailedPreconditionError(
        Cat("host key verification failed: the key of ", name, " was not accepted"));
  }
  RETURN_IF_ERROR(Store(options.known_hosts_file, lines));
  *environment.err << "Warning: Permanently added '" << name << "' to " << options.known_hosts_file
                   << ".\n";
  return absl::OkStatus();
}

struct KnownHosts {
  std::map<std::string, std::string> settings;
  std::vector<std::string> user_files;
  std::vector<std::string> all_files;
};

absl::StatusOr<KnownHosts> FindKnownHosts(const SshOptions& options, const std::string& host,
                                          const std::string& port, const Environment& environment) {
  KnownHosts known;
  ASSIGN_OR_RETURN(known.settings, Resolve(host, port));
  known.all_files.push_back(options.known_hosts_file);
  for (const std::string& file : SplitList(known.settings["userknownhostsfile"], ' '))
    known.user_files.push_back(ExpandHome(file, environment));
  known.all_files.insert(known.all_files.end(), known.user_files.begin(), known.user_files.end());
  for (const std::string& file : SplitList(known.settings["globalknownhostsfile"], ' '))
    known.all_files.push_back(file);
  return known;
}

}  // namespace

absl::StatusOr<SshOptions> SshOptionsFrom(const Flags& flags, const Environment& environment) {
  SshOptions options{
      .username = flags.Text("ssh-username"),
      .port = flags.Text("ssh-port"),
      .known_hosts_file = ExpandHome(flags.Text("known-hosts-file"), environment),
      .forward_agent = flags.On("forward-agent"),
  };
  ASSIGN_OR_RETURN(const absl::Duration timeout, flags.Duration("ssh-timeout"));
  options.timeout_seconds =
      std::max(1, static_cast<int>(absl::ToInt64Seconds(absl::Ceil(timeout, absl::Seconds(1)))));
  const std::string strict = flags.Text("strict-host-key-checking");
  const auto parsed = ParseBool(strict);
  if (!parsed)
    return UsageError(Cat("--strict-host-key-checking is true or false, not \"", strict, "\""));
  options.strict = *parsed;
  if (const std::string tunnel = flags.Text("tunnel"); !tunnel.empty()) {
    const auto endpoint = client::ParseEndpoint(Cat("http://", tunnel));
    if (!endpoint.ok())
      return UsageError(Cat("--tunnel is HOST or HOST:PORT, not \"", tunnel, "\""));
    options.tunnel_host = endpoint->host;
    if (options.tunnel_host.starts_with("-"))
      return UsageError(Cat("--tunnel is HOST or HOST:PORT, not \"", tunnel, "\""));
    if (tunnel.find(':', tunnel.find(']') == std::string::npos ? 0 : tunnel.find(']')) !=
        std::string::npos) {
      options.tunnel_port = endpoint->port;
    }
  }
  return options;
}

std::vector<std::string> SshArgv(const SshOptions& options, const std::string& host,
                                 const std::string& command,
                                 const std::vector<std::string>& known_hosts) {
  return WithCommand(MachineBase(options, known_hosts), host, command);
}

std::vector<std::string> TunnelArgv(const SshOptions& options, const std::string& command,
                                    const std::vector<std::string>& known_hosts) {
  return WithCommand(TunnelBase(options, known_hosts), options.tunnel_host, command);
}

std::vector<std::string> ForwardArgv(const SshOptions& options, const std::string& host,
                                     const std::string& port,
                                     const std::vector<std::string>& known_hosts) {
  std::vector<std::string> argv = TunnelBase(options, known_hosts);
  argv.insert(argv.end(), {"-W", Cat("[", host, "]:", port), options.tunnel_host});
  return argv;
}

absl::StatusOr<std::vector<std::string>> CheckTunnelKey(const SshOptions& options,
                                                        const Environment& environment) {
  if (!options.strict) return std::vector<std::string>();
  ASSIGN_OR_RETURN(KnownHosts known,
                   FindKnownHosts(options, options.tunnel_host, options.tunnel_port, environment));
  RETURN_IF_ERROR(CheckOne(options, TunnelBase(options, known.user_files), options.tunnel_host,
                           known.settings, known.all_files, environment));
  return known.user_files;
}

absl::StatusOr<std::vector<std::string>> CheckHostKeys(const SshOptions& options,
                                                       const std::string& host,
                                                       const Environment& environment) {
  if (!options.strict) return std::vector<std::string>();
  if (!options.tunnel_host.empty()) {
    RETURN_IF_ERROR(CheckTunnelKey(options, environment).status());
  }
  ASSIGN_OR_RETURN(KnownHosts known, FindKnownHosts(options, host, options.port, environment));
  RETURN_IF_ERROR(CheckOne(options, MachineBase(options, known.user_files), host, known.settings,
                           known.all_files, environment));
  return known.user_files;
}

}  // namespace fleet::fleetctl
