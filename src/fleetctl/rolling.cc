#include "fleetctl/rolling.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "base/budget.h"
#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/loss_notice.h"
#include "fleetctl/progress.h"

namespace fleet::fleetctl {
namespace {

constexpr absl::Duration kLookEvery = absl::Milliseconds(250);

// The exit code of a rollout that does not run any more.
int Ended(Session& session, const client::Rollout& rollout) {
  if (rollout.state == "done") {
    session.out() << (rollout.restarts ? "Restarted " : "Updated ") << NamesOf(rollout) << ": "
                  << rollout.total << (rollout.total == 1 ? " unit" : " units") << "\n";
    // Those that wait for a machine.
    for (const std::string& unit : rollout.not_started) session.err() << "  " << unit << "\n";
    return kDone;
  }
  session.err() << "Error: the rollout of " << NamesOf(rollout)
                << (rollout.state == "paused" ? " is paused" : " was rolled back") << ": "
                << rollout.reason << "\n";
  if (rollout.state == "paused") {
    session.err() << "  \"fleetctl rollout resume " << rollout.name << "\" tries again";
    // What is going back already has nothing before it but what failed.
    const bool goes_back = !rollout.history.empty() && rollout.history[0].how == "roll-back";
    if (!goes_back) {
      session.err() << ", \"fleetctl rollout undo " << rollout.name << "\" goes back";
    }
    session.err() << "\n";
  }
  return kFailed;
}

absl::StatusOr<int> Follow(Session& session, client::Rollout rollout, const WaitLimits& limits) {
  const absl::Time deadline = client::MonotonicNow() + limits.timeout;
  const std::string id = rollout.id;
  Progress progress(session);
  LossNotice notice([&](std::string_view text) {
    progress.Clear();
    session.err() << "Notice: " << text << "\n";
  });
  while (true) {
    // Rolled back, it has an id that begins with its own.
    if (!rollout.id.starts_with(id)) {
      progress.Clear();
      session.err() << "Error: the rollout of " << rollout.name << " was superseded\n";
      return kFailed;
    }
    std::string line = Cat(NamesOf(rollout), ": ", rollout.reached, " of ", rollout.total);
    if (!rollout.not_started.empty()) Append(line, ", ", rollout.not_started.front());
    progress.Show(line);
    if (rollout.state != "running") {
      progress.Clear();
      return Ended(session, rollout);
    }
    const absl::Time now = client::MonotonicNow();
    if (now >= deadline) {
      progress.Clear();
      session.err() << "Error: timed out waiting for the rollout of " << NamesOf(rollout)
                    << ", which goes on: " << rollout.reached << " of " << rollout.total << "\n";
      for (const std::string& unit : rollout.not_started) session.err() << "  " << unit << "\n";
      return kTimedOut;
    }
    absl::SleepFor(std::min(kLookEvery, deadline - now));
    auto next = session.api().GetRollout(rollout.name);
    if (next.ok()) {
      notice.Back();
      rollout = *std::move(next);
    } else if (IsAway(next.status())) {
      notice.Lost("connection", next.status());
    } else {
      return next.status();
    }
  }
}

}  // namespace

std::vector<FlagSpec> RollingFlags() {
  return {{"max-unavailable", 0, "N", "",
           "how many units may be down at once: a number or a share such as 25%"},
          {"supersede", 0, "", "", "take the place of a rollout that has not ended"}};
}

std::vector<FlagSpec> FailureFlags() {
  return {{"pause-on-failure", 0, "", "", "pause when a unit fails (the default)"},
          {"rollback-on-failure", 0, "", "", "bring the former text back when a unit fails"},
          {"force", 0, "", "", "only warn of unknown [X-Fleet] keys"}};
}

absl::StatusOr<client::RolloutRequest> RolloutRequestFrom(const Flags& flags) {
  const std::string most = flags.Text("max-unavailable");
  if (!most.empty() && !ParseBudget(most).ok()) {
    return UsageError(
        Cat("--max-unavailable is a number from 1 up, such as 2, or a share from 1% to "
            "100%, not \"",
            most, "\""));
  }
  return client::RolloutRequest{.max_unavailable = most, .supersede = flags.On("supersede")};
}

absl::StatusOr<int> CarryRollout(Session& session, const std::string& verb,
                                 const std::vector<client::RolledUnit>& units,
                                 client::RolloutRequest request, const WaitLimits& limits) {
  client::Rollout rollout;
  if (units.size() == 1) {
    request.content = units[0].content;
    ASSIGN_OR_RETURN(rollout, session.api().StartRollout(units[0].name, request));
  } else {
    ASSIGN_OR_RETURN(rollout, session.api().StartRollout(units, request));
  }
  if (limits.block) return Follow(session, std::move(rollout), limits);
  for (const client::RolledUnit& unit : units) {
    session.out() << "Triggered unit " << unit.name << " " << verb << "\n";
  }
  return kDone;
}

std::string NamesOf(const client::Rollout& rollout) {
  return rollout.together.empty() ? rollout.name : Join(rollout.together, ", ");
}

}  // namespace fleet::fleetctl
