#include <algorithm>
#include <map>
#include <set>

#include "absl/time/clock.h"
#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/output.h"

namespace fleet::fleetctl {
namespace {

using client::Drain;
using client::MonotonicNow;

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(1);

// Says how far it has come: on a terminal in one line that is written anew.
class Progress {
 public:
  explicit Progress(Session& session) : session_(session) {}
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(const std::map<std::string, Drain>& drains) {
    if (!session_.environment().terminal) return;
    std::vector<std::string> parts;
    for (const auto& [word, drain] : drains) {
      int64_t& most = most_[word];
      most = std::max(most, drain.units_left);
      parts.push_back(
          Cat(ShortId(drain.machine_id), ": ", drain.units_left, " of ", most, " left"));
    }
    session_.err() << "\r\x1b[K" << Join(parts, ", ") << std::flush;
    shown_ = true;
  }

  void Clear() {
    if (shown_) session_.err() << "\r\x1b[K" << std::flush;
    shown_ = false;
  }

 private:
  static std::string ShortId(const std::string& id) { return id.substr(0, 8); }

  Session& session_;
  std::map<std::string, int64_t> most_;  // that were left
  bool shown_ = false;
};

void PrintHeld(Session& session, const client::HeldUnit& unit) {
  session.err() << "Unit " << unit.unit << ": "
                << WithShortIds(unit.reason, session.flags().On("full")) << "\n";
}

// Until all are empty. Their numbers follow from what is asked; a server that is away for a moment
// is asked again.
absl::StatusOr<int> AwaitDrains(Session& session, absl::Time deadline) {
  Progress progress(session);
  std::map<std::string, Drain> drains;  // by the word for the machine
  std::set<std::pair<std::string, std::string>> told;
  std::set<std::string> empty;
  absl::Duration pause = kFirstPause;
  while (true) {
    for (const std::string& word : session.arguments()) {
      if (empty.contains(word)) continue;
      const auto drain = session.api().GetDrain(word);
      if (absl::IsUnavailable(drain.status()) || absl::IsDeadlineExceeded(drain.status())) continue;
      RETURN_IF_ERROR(drain.status());
      drains[word] = *drain;
      if (!drain->drained) {
        progress.Clear();
        return absl::FailedPreconditionError(
            Cat("machine ", word, " is not drained any more: somebody has taken that back"));
      }
      for (const client::HeldUnit& unit : drain->left) {
        if (!unit.cannot_move || !told.emplace(word, unit.unit).second) continue;
        progress.Clear();
        PrintHeld(session, unit);
      }
      if (drain->units_left > 0) continue;
      empty.insert(word);
      progress.Clear();
      session.out() << "Machine " << word << " is drained" << std::endl;
    }
    if (empty.size() == std::set(session.arguments().begin(), session.arguments().end()).size()) {
      return kDone;
    }
    progress.Show(drains);
    const absl::Time now = MonotonicNow();
    if (now >= deadline) break;
    absl::SleepFor(std::min(pause, deadline - now));
    pause = std::min(pause * 2, kLongestPause);
  }
  progress.Clear();
  for (const auto& [word, drain] : drains) {
    if (empty.contains(word)) continue;
    session.err() << "Error: timed out: " << drain.units_left << " units are left on machine "
                  << word << ", which stays drained\n";
    for (const client::HeldUnit& unit : drain.left) PrintHeld(session, unit);
  }
  return kTimedOut;
}

absl::StatusOr<int> DrainMachines(Session& session) {
  absl::Duration timeout = absl::InfiniteDuration();
  if (!session.flags().Text("timeout").empty()) {
    ASSIGN_OR_RETURN(timeout, session.flags().Duration("timeout"));
  }
  const absl::Time deadline = MonotonicNow() + timeout;
  for (const std::string& machine : session.arguments()) {
    RETURN_IF_ERROR(session.api().DrainMachine(machine));
  }
  if (!session.flags().On("no-block")) return AwaitDrains(session, deadline);
  for (const std::string& machine : session.arguments()) {
    session.out() << "Machine " << machine << " is being drained\n";
  }
  return kDone;
}

int RunDrain(Session& session) {
  const auto code = DrainMachines(session);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace

Command DrainCommand() {
  return {
      .name = "drain",
      .summary = "Move all units off machines, which get nothing new",
      .arguments = "MACHINE…",
      .description =
          "Units move within their constraints, disruption_budget of fleet.conf and their "
          "MaxUnavailable=; global units\nstop. Waits until the machines are empty; what cannot "
          "move is named, and moves when room comes up. It goes\non when this command ends "
          "early, and lasts until uncordon. \"plan drain\" shows what would come of it.",
      .example =
          "  fleetctl drain 8be9b1a2\n"
          "  fleetctl drain --timeout=5m 8be9b1a2 91f2c3d4",
      .flags = {{"no-block", 0, "", "", "do not wait for the units"},
                {"timeout", 0, "DURATION", "", "wait at most so long: 30s, 2m"},
                {"full", 'l', "", "", "do not shorten ids"}},
      .run = RunDrain,
      .min_arguments = 1};
}

}  // namespace fleet::fleetctl
