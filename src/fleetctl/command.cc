#include "fleetctl/command.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "client/text.h"
#include "fleetctl/driver.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/help.h"
#include "fleetctl/output.h"
#include "fleetctl/tunnel.h"
#include "fleetctl/verbs.h"

namespace fleet::fleetctl {
namespace {

absl::StatusOr<client::ClientOptions> OptionsFrom(const Flags& flags,
                                                  const Environment& environment) {
  client::ClientOptions options;
  const std::string driver = ToLower(flags.Text("driver"));
  if (driver != "api" && driver != "etcd")
    return UsageError(Cat("--driver is API or etcd, not \"", flags.Text("driver"), "\""));
  ASSIGN_OR_RETURN(options.request_timeout, flags.Duration("request-timeout"));
  options.tls = {.ca_file = flags.Text("ca-file"),
                 .cert_file = flags.Text("cert-file"),
                 .key_file = flags.Text("key-file")};
  options.warn = [err = environment.err](std::string_view text) {
    *err << "Warning: " << text << "\n";
  };
  if (flags.On("debug")) {
    options.trace = [err = environment.err](std::string_view line) {
      *err << "DEBUG: " << line << "\n";
    };
  }
  if (driver == "etcd") {
    RETURN_IF_ERROR(SetUpEtcdDriver(flags, environment, options));
    return options;
  }
  auto endpoints = client::ParseEndpoints(flags.Text("endpoint"));
  if (!endpoints.ok()) return UsageError(MessageOf(endpoints.status()));
  options.endpoints = *std::move(endpoints);
  RETURN_IF_ERROR(SetUpTunnel(flags, environment, options));
  return options;
}

// True if any command's flag that is written so has the word that follows it for its value.
bool TakesValue(std::string_view word, std::string_view next) {
  std::string_view name = word;
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  const auto takes = [&](const std::vector<FlagSpec>& specs) {
    const Flags flags(specs);
    const FlagSpec* spec = name.size() == 1 ? flags.FindLetter(name[0]) : flags.Find(name);
    return spec != nullptr && spec->Takes(next);
  };
  return takes(GlobalFlags()) ||
         std::any_of(Commands().begin(), Commands().end(),
                     [&](const Command& command) { return takes(command.flags); });
}

// The first word that is neither a flag nor a flag's value: the command.
size_t CommandIndex(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    if (word == "--") return i + 1;
    if (word.size() < 2 || word[0] != '-') return i;
    const std::string_view next = i + 1 < arguments.size() ? arguments[i + 1] : std::string_view();
    if (word.find('=') == std::string_view::npos && TakesValue(word, next)) ++i;
  }
  return arguments.size();
}

int FailedUsage(const Environment& environment, const absl::Status& status,
                std::string_view command) {
  *environment.err << "Error: " << MessageOf(status) << "\n";
  const int code = ExitCodeOf(status);
  if (code == kUsage) {
    *environment.err << (command.empty() ? std::string("\"fleetctl help\" lists the commands.\n")
                                         : Cat("\"fleetctl help ", command, "\" shows its use.\n"));
  }
  return code;
}

absl::Status CheckArguments(const Command& command, const std::vector<std::string>& arguments) {
  const size_t count = arguments.size();
  if (std::cmp_less(count, command.min_arguments)) {
    return UsageError(Cat(command.name, " needs ", command.arguments));
  }
  if (command.max_arguments >= 0 && std::cmp_greater(count, command.max_arguments)) {
    return UsageError(command.max_arguments == 0
                          ? Cat(command.name, " takes no arguments")
                          : Cat(command.name, " takes at most ", command.max_arguments,
                                command.max_arguments == 1 ? " argument" : " arguments"));
  }
  // As a variable of a script is that is not set: it would begin each machine's id.
  const bool takes_machines = command.arguments.find("MACHINE") != std::string_view::npos;
  if (takes_machines && std::find(arguments.begin(), arguments.end(), "") != arguments.end())
    return UsageError(Cat(command.name, ": an empty word stands for no machine"));
  return absl::OkStatus();
}

int RunCommand(const Command& command, const std::vector<std::string>& rest,
               const Environment& environment) {
  std::vector<FlagSpec> specs = command.flags;
  for (const FlagSpec& global : GlobalFlags()) {
    // A command's own flag of the same name or letter hides the global one's.
    FlagSpec spec = global;
    bool hidden = false;
    for (const FlagSpec& own : command.flags) {
      hidden = hidden || own.name == spec.name;
      if (own.letter == spec.letter) spec.letter = 0;
    }
    if (!hidden) specs.push_back(spec);
  }
  auto parsed = ParseFlags(std::move(specs), rest, command.stop_after);
  if (!parsed.ok()) return FailedUsage(environment, parsed.status(), command.name);
  if (absl::Status status = ApplyEnvironment(parsed->flags, environment.variables); !status.ok())
    return FailedUsage(environment, status, command.name);
  UnifyFormat(parsed->flags);
  if (parsed->flags.On("help")) {
    *environment.out << CommandHelp(command);
    return kDone;
  }
  if (parsed->flags.On("version")) {
    *environment.out << VersionLine();
    return kDone;
  }
  for (const std::string_view name : parsed->ignored)
    *environment.err << "Notice: --" << name << " has no effect.\n";
  if (absl::Status status = CheckArguments(command, parsed->arguments); !status.ok())
    return FailedUsage(environment, status, command.name);
  auto options = OptionsFrom(parsed->flags, environment);
  if (!options.ok()) return FailedUsage(environment, options.status(), command.name);
  Session session(environment, *std::move(parsed), *std::move(options));
  return command.run(session);
}

}  // namespace

std::vector<FlagSpec> GlobalFlags() {
  return {
      {"endpoint", 0, "URL[,URL…]", "unix:///var/run/fleet.sock",
       "where fleetd's API listens: unix:///path, http://host:port or https://host:port; tried in "
       "order"},
      {"driver", 0, "API|etcd", "API",
       "how to reach the cluster; with etcd, --endpoint names its servers (http://127.0.0.1:2379)"},
      {"etcd-key-prefix", 0, "PREFIX", "/fleet/", "with --driver=etcd: where the registry is"},
      {"ca-file", 0, "FILE", "", "certificates that the server's has to be signed by"},
      {"cert-file", 0, "FILE", "", "client certificate"},
      {"key-file", 0, "FILE", "", "the client certificate's key"},
      {"tunnel", 0, "HOST[:PORT]", "", "reach the API and the machines through this SSH host"},
      {"ssh-username", 0, "NAME", "core", "user to log in as"},
      {"ssh-timeout", 0, "DURATION", "10", "for making an SSH connection"},
      {"known-hosts-file", 0, "FILE", "~/.fleetctl/known_hosts", "host keys that were accepted"},
      {.name = "strict-host-key-checking",
       .value = "BOOL",
       .fallback = "true",
       .help = "ask before an unknown host key is accepted",
       .optional = true},
      {"request-timeout", 0, "DURATION", "3", "for each request to the API"},
      {"debug", 0, "", "", "print each request on stderr"},
      // FLEETCTL_VERSION is what images call the version that they have.
      {.name = "version", .letter = 'v', .help = "print the version", .from_environment = false},
      {.name = "help",
       .letter = 'h',
       .help = "print this help, or a command's",
       .from_environment = false},
      {.name = "etcd-cafile", .value = "FILE", .ignored = true},
      {.name = "etcd-certfile", .value = "FILE", .ignored = true},
      {.name = "etcd-keyfile", .value = "FILE", .ignored = true},
      {.name = "experimental-api", .ignored = true},
      {.name = "sign", .ignored = true},
  };
}

const std::vector<Command>& Commands() {
  static const auto* const kCommands = new std::vector<Command>{
      AdoptCommand(),     BackupCommand(),    CatCommand(),          CompletionCommand(),
      CordonCommand(),    DestroyCommand(),   DrainCommand(),        EventsCommand(),
      ExplainCommand(),   FdForwardCommand(), FeaturesCommand(),     ForgetCommand(),
      HelpCommand(),      JournalCommand(),   ListMachinesCommand(), ListUnitFilesCommand(),
      ListUnitsCommand(), LoadCommand(),      LogsCommand(),         MetadataCommand(),
      PlanCommand(),      RebalanceCommand(), ReleaseHoldCommand(),  RestartCommand(),
      RestoreCommand(),   RolloutCommand(),   ScaleCommand(),        SshCommand(),
      StartCommand(),     StatusCommand(),    StopCommand(),         SubmitCommand(),
      TopCommand(),       UncordonCommand(),  UnloadCommand(),       UpdateCommand(),
      VerifyCommand(),    VersionCommand(),
  };
  return *kCommands;
}

absl::StatusOr<const Command*> FindCommand(std::string_view word) {
  std::vector<std::string_view> names;
  for (const Command& command : Commands()) names.push_back(command.name);
  ASSIGN_OR_RETURN(const std::string_view found, FindName(word, names, "command"));
  return &*std::find_if(Commands().begin(), Commands().end(),
                        [&](const Command& command) { return command.name == found; });
}

int Run(const std::vector<std::string>& arguments, const Environment& environment) {
  const size_t index = CommandIndex(arguments);
  if (index >= arguments.size()) {
    auto parsed = ParseFlags(GlobalFlags(), arguments);
    if (!parsed.ok()) return FailedUsage(environment, parsed.status(), "");
    *environment.out << (parsed->flags.On("version") ? VersionLine() : OverallHelp());
    return kDone;
  }
  const auto command = FindCommand(arguments[index]);
  if (!command.ok()) return FailedUsage(environment, command.status(), "");
  std::vector<std::string> rest = arguments;
  rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(index));
  return RunCommand(**command, rest, environment);
}

}  // namespace fleet::fleetctl
