#pragma once

// What submit, load, start, stop, unload, destroy and restart have in common: changes that are sent
// in one batch, the lines about them, the wait, and the exit code.

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/api_client.h"
#include "fleetctl/select.h"
#include "fleetctl/session.h"
#include "fleetctl/wait.h"
#include "fleetctl/waiter.h"

namespace fleet::fleetctl {

struct Action {
  std::string verb;
  Goal goal = Goal::kLaunched;
  std::vector<client::UnitChange> changes;
  std::map<std::string, std::string> paths;  // of the units whose text came from a file
  std::set<std::string> globals;             // known to be global
  std::map<std::string, std::string> moves;  // kMoved: where each unit is to be
  bool makes_units = false;  // they come about by themselves: what is not there yet is waited for
  WaitLimits limits;
};

// Keeps the exit code of the first unit, in the order of the command line, that failed.
class Verdict {
 public:
  explicit Verdict(std::vector<std::string> order) : order_(std::move(order)) {}
  void Fail(const std::string& name, int code) { codes_.try_emplace(name, code); }
  int code() const;

 private:
  std::vector<std::string> order_;
  std::map<std::string, int> codes_;
};

// Sends the changes and prints; returns the revision of the answer and the changes that were made.
struct Sent {
  int64_t revision = 0;
  std::vector<std::string> made;
  std::set<std::string> created;
};
absl::StatusOr<Sent> Send(Session& session, const Action& action, Verdict& verdict);

// Waits for `names` and prints a line about each.
absl::Status Await(Session& session, const Action& action, const Sent& sent, Verdict& verdict);

// The lines of --no-block.
void PrintTriggered(Session& session, const Action& action, const std::vector<std::string>& names);

// Send and, unless --no-block, Await; the exit code.
int Carry(Session& session, const Action& action, Verdict& verdict);

// Prints what SelectUnits did not find.
void ReportMissing(Session& session, const Selection& selection, Verdict& verdict);

// The order of `words` as Verdict needs it: their names, and those of the units globs matched.
std::vector<std::string> OrderOf(const std::vector<std::string>& words, const Selection& selection);

}  // namespace fleet::fleetctl
