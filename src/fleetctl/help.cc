#include "fleetctl/help.h"

#include <algorithm>

#include "client/text.h"

namespace fleet::fleetctl {
namespace {

std::string Spelling(const FlagSpec& flag) {
  std::string text = flag.letter == 0 ? "    " : Cat("-", flag.letter, ", ");
  Append(text, "--", flag.name);
  if (!flag.value.empty()) Append(text, "=", flag.value);
  return text;
}

// Code points; the help has no wider ones.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string FlagList(const std::vector<FlagSpec>& flags) {
  size_t width = 0;
  for (const FlagSpec& flag : flags) {
    if (!flag.help.empty()) width = std::max(width, Width(Spelling(flag)));
  }
  std::string text;
  for (const FlagSpec& flag : flags) {
    if (flag.help.empty()) continue;
    const std::string spelling = Spelling(flag);
    Append(text, "  ", spelling, std::string(width - Width(spelling) + 2, ' '), flag.help);
    if (!flag.fallback.empty()) Append(text, " (default ", flag.fallback, ")");
    text += '\n';
  }
  return text;
}

}  // namespace

std::string VersionLine() { return "fleetctl version " FLEET_VERSION "\n"; }

std::string OverallHelp() {
  std::string text =
      "fleetctl runs units on a cluster of machines with systemd.\n\n"
      "Usage: fleetctl [FLAGS] COMMAND [FLAGS] [ARGUMENTS]\n\n"
      "Version: " FLEET_VERSION "\n\nCommands:\n";
  size_t width = 0;
  for (const Command& command : Commands()) width = std::max(width, command.name.size());
  for (const Command& command : Commands()) {
    if (command.summary.empty()) continue;
    Append(text, "  ", command.name, std::string(width - command.name.size() + 2, ' '),
           command.summary, "\n");
  }
  Append(
      text, "\nFlags, each also from the environment as FLEETCTL_<FLAG>:\n",
      FlagList(GlobalFlags()),
      "\nWhere etcd asks for a login, FLEETCTL_ETCD_USERNAME and FLEETCTL_ETCD_PASSWORD give it.\n"
      "\n\"fleetctl help COMMAND\" shows a command's flags and an example.\n");
  return text;
}

std::string CommandHelp(const Command& command) {
  std::string text = Cat(command.summary, "\n\nUsage: fleetctl ", command.name);
  if (!command.flags.empty()) text += " [FLAGS]";
  if (!command.arguments.empty()) Append(text, " ", command.arguments);
  text += '\n';
  if (!command.description.empty()) Append(text, "\n", command.description, "\n");
  Append(text, "\nExample:\n", command.example, "\n");
  if (!command.flags.empty()) Append(text, "\nFlags:\n", FlagList(command.flags));
  Append(text, "\n\"fleetctl help\" lists the flags that every command takes.\n");
  return text;
}

}  // namespace fleet::fleetctl
