#include "fleetctl/completion.h"

#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

int RunCompletion(Session& session) {
  const std::string& shell = session.arguments()[0];
  if (shell == "bash") {
    session.out() << BashCompletion();
  } else if (shell == "zsh") {
    session.out() << ZshCompletion();
  } else if (shell == "fish") {
    session.out() << FishCompletion();
  } else {
    return session.Fail(
        UsageError(Cat("there is no completion for \"", shell, "\": bash, zsh and fish have one")));
  }
  return kDone;
}

}  // namespace

Command CompletionCommand() {
  return {
      .name = "completion",
      .summary = "Print a script that makes a shell complete fleetctl's command lines",
      .arguments = "SHELL",
      .description =
          "SHELL is bash, zsh or fish. Commands and flags are completed, and the names of units "
          "and machines\nas the cluster has them then.",
      .example =
          "  fleetctl completion fish > ~/.config/fish/completions/fleetctl.fish\n"
          "  source <(fleetctl completion bash)",
      .flags = {},
      .run = RunCompletion,
      .min_arguments = 1,
      .max_arguments = 1};
}

}  // namespace fleet::fleetctl
