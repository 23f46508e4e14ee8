#include "fleetctl/manager.h"

#include <pwd.h>
#include <unistd.h>

#include "client/text.h"
#include "fleetctl/process.h"

namespace fleet::fleetctl {
namespace {

std::string OwnName() {
  const passwd* entry = getpwuid(geteuid());
  return entry == nullptr ? std::to_string(geteuid()) : entry->pw_name;
}

}  // namespace

Manager ManagerOf(Session& session, const std::string& machine_id) {
  const client::Machine* machine = session.FindMachine(machine_id);
  if (machine == nullptr || machine->systemd_user.empty()) return {};
  const std::string there =
      machine_id == session.LocalMachineId() ? OwnName() : session.flags().Text("ssh-username");
  return {.user = machine->systemd_user, .own = machine->systemd_user == there};
}

std::string StatusLine(const Manager& manager, const std::string& unit) {
  if (manager.user.empty()) return Cat("systemctl status -l ", ShellQuote(unit));
  std::string line = Cat("systemctl --user status -l ", ShellQuote(unit));
  if (manager.own) return line;
  // Root may become that user. (systemctl's --machine=USER@ would need a session bus.)
  const std::string user = ShellQuote(manager.user);
  return Cat("runuser -u ", user, " -- env \"XDG_RUNTIME_DIR=/run/user/$(id -u ", user, ")\" ",
             line);
}

std::string JournalLine(const Manager& manager, const std::string& unit, bool sudo) {
  const std::string journalctl = sudo ? "sudo journalctl" : "journalctl";
  const std::string name = ShellQuote(unit);
  if (manager.user.empty()) return Cat(journalctl, " --unit ", name);
  if (manager.own && !sudo) return Cat(journalctl, " --user-unit ", name);
  // --user-unit is of whoever asks. What the unit says, and what is said of it.
  const std::string uid = Cat(" \"_UID=$(id -u ", ShellQuote(manager.user), ")\"");
  return Cat(journalctl, " _SYSTEMD_USER_UNIT=", name, uid, " + USER_UNIT=", name, uid);
}

}  // namespace fleet::fleetctl
