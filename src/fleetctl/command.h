#pragma once

// The table of commands: each lies in commands/<verb>.cc and is added to the list below.

#include <string_view>
#include <vector>

#include "fleetctl/flags.h"
#include "fleetctl/session.h"

namespace fleet::fleetctl {

struct Command {
  std::string_view name;
  std::string_view summary;    // one line
  std::string_view arguments;  // "NAME|FILE…", for the usage line
  std::string_view description;
  std::string_view example;  // lines that work as they stand
  std::vector<FlagSpec> flags;
  int (*run)(Session& session);
  int min_arguments = 0;
  int max_arguments = -1;  // -1: no limit
  int stop_after = -1;     // see ParseFlags
};

// commands/<verb>.cc
Command AdoptCommand();
Command BackupCommand();
Command CatCommand();
Command CompletionCommand();
Command CordonCommand();
Command DestroyCommand();
Command DrainCommand();
Command EventsCommand();
Command ExplainCommand();
Command FdForwardCommand();
Command FeaturesCommand();
Command ForgetCommand();
Command HelpCommand();
Command JournalCommand();
Command ListMachinesCommand();
Command ListUnitFilesCommand();
Command ListUnitsCommand();
Command LoadCommand();
Command LogsCommand();
Command MetadataCommand();
Command PlanCommand();
Command RebalanceCommand();
Command ReleaseHoldCommand();
Command RestartCommand();
Command RestoreCommand();
Command RolloutCommand();
Command ScaleCommand();
Command SshCommand();
Command StartCommand();
Command StatusCommand();
Command StopCommand();
Command SubmitCommand();
Command TopCommand();
Command UncordonCommand();
Command UnloadCommand();
Command UpdateCommand();
Command VerifyCommand();
Command VersionCommand();

// All of them, sorted by name.
const std::vector<Command>& Commands();

// The command of that name or of which it is the only one's prefix. UsageError with a suggestion.
absl::StatusOr<const Command*> FindCommand(std::string_view word);

// The flags that every command takes.
std::vector<FlagSpec> GlobalFlags();

// fleetctl as a function: `arguments` without the program's name; the exit code.
int Run(const std::vector<std::string>& arguments, const Environment& environment);

}  // namespace fleet::fleetctl
