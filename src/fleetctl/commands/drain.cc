#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "absl/time/clock.h"
#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/loss_notice.h"
#include "fleetctl/output.h"
#include "fleetctl/progress.h"

namespace fleet::fleetctl {
namespace {

using client::Drain;
using client::MonotonicNow;

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(1);
// After the timeout, at units that have left: they are not looked at before all else has ended.
constexpr absl::Duration kLastLook = absl::Milliseconds(500);

void PrintReason(Session& session, const std::string& unit, const std::string& reason) {
  session.err() << "Unit " << unit << ": " << WithShortIds(reason, session.flags().On("full"))
                << "\n";
}

// Waits for machines to become empty, and for what has left them to have arrived. One that fails
// keeps nobody from waiting for the others.
class Drains {
 public:
  Drains(Session& session, absl::Time deadline, Verdict& verdict)
      : session_(session),
        deadline_(deadline),
        verdict_(verdict),
        progress_(session),
        notice_([this](std::string_view text) { Notice(text); }) {}

  // Notes what is on a machine before anything moves.
  absl::Status Add(const std::string& word) {
    ASSIGN_OR_RETURN(const Drain drain, session_.api().GetDrain(word));
    Machine& machine = machines_[word];
    for (const client::HeldUnit& unit : drain.left) machine.to_arrive.insert(unit.unit);
    machine.drain = drain;
    machine.most = drain.units_left;
    return absl::OkStatus();
  }

  // Before anything was asked of it.
  bool WasOpen(const std::string& word) const {
    const Drain& drain = machines_.at(word).drain;
    return !drain.cordoned && !drain.drained && !drain.lock_granted;
  }

  // It is not drained after all.
  void Remove(const std::string& word) { machines_.erase(word); }

  // Until each has come to its end. How many are left follows from what is asked; a server that is
  // away for a moment is asked again.
  void Await() {
    absl::Duration pause = kFirstPause;
    while (true) {
      for (auto& [word, machine] : machines_) {
        if (machine.stage == Stage::kLeaving) Look(word, machine);
      }
      const absl::Time now = MonotonicNow();
      if (now >= deadline_) TimeOut();
      if (!AnyIs(Stage::kLeaving)) break;
      ShowProgress();
      const absl::Time next = std::min(now + pause, deadline_);
      AwaitArrival(next, /*is_last=*/false);
      absl::SleepFor(std::max(next - MonotonicNow(), absl::ZeroDuration()));
      pause = std::min(pause * 2, kLongestPause);
    }
    AwaitArrival(std::max(deadline_, MonotonicNow() + kLastLook), /*is_last=*/true);
    progress_.Clear();
  }

 private:
  enum class Stage {
    kLeaving,   // units are still there
    kArriving,  // those that have left are not all where they should be
    kEnded,
  };
  struct Machine {
    Stage stage = Stage::kLeaving;
    Drain drain;                      // as last seen
    std::set<std::string> told;       // units that cannot move
    std::set<std::string> to_arrive;  // units that were seen on it
    int64_t most = 0;                 // that were left
    bool has_failed = false;
  };

  // By its id: the host name of a machine is not known any more once it is gone.
  void Look(const std::string& word, Machine& machine) {
    const auto drain = session_.api().GetDrain(machine.drain.machine_id);
    if (IsAway(drain.status())) return notice_.Lost("connection", drain.status());
    notice_.Back();
    if (!drain.ok()) return End(word, machine, drain.status());
    machine.drain = *drain;
    revision_ = std::max(revision_, drain->revision);
    if (!drain->drained) {
      return End(word, machine,
                 absl::FailedPreconditionError(Cat(
                     "machine ", word, " is not drained any more: somebody has taken that back")));
    }
    const bool is_over = drain->expired && !drain->forces && drain->units_left > 0;
    if (is_over) {
      Fail(word, machine,
           absl::FailedPreconditionError(Cat("the drain of machine ", word,
                                             " has expired: ", drain->units_left,
                                             " units are left on it, and it stays cordoned")));
    }
    for (const client::HeldUnit& unit : drain->left) {
      if (is_over) {
        machine.to_arrive.erase(unit.unit);
      } else {
        machine.to_arrive.insert(unit.unit);
      }
      if (!is_over && (!unit.cannot_move || !machine.told.insert(unit.unit).second)) continue;
      progress_.Clear();
      PrintReason(session_, unit.unit, unit.reason);
    }
    // What a machine that is gone ran is moved like what has left it; its end there is not awaited.
    if (drain->units_left == 0 || is_over || !drain->present) machine.stage = Stage::kArriving;
  }

  // A unit that has left counts once it has its desired state elsewhere. One that cannot have it is
  // named: the machine is empty nevertheless.
  void AwaitArrival(absl::Time deadline, bool is_last) {
    std::set<std::string> units;
    for (const auto& [word, machine] : machines_) {
      if (machine.stage == Stage::kArriving)
        units.insert(machine.to_arrive.begin(), machine.to_arrive.end());
    }
    absl::Status status;
    if (!units.empty()) {
      const std::vector<std::string> names(units.begin(), units.end());
      Waiter waiter(Goal::kSettled, names);
      status = Wait(session_.api(), names, /*states=*/false, revision_, deadline, waiter,
                    {.outcome = [&](const Outcome& outcome) { Arrive(outcome, is_last); },
                     .notice =
                         [&](std::string_view text) {
                           if (is_last) Notice(text);  // else the next turn tries again
                         }});
    }
    for (auto& [word, machine] : machines_) {
      if (machine.stage != Stage::kArriving) continue;
      if (!status.ok()) {
        End(word, machine, status);
      } else if (machine.to_arrive.empty() || is_last) {
        EndWithArrivals(word, machine);
      }
    }
  }

  void Arrive(const Outcome& outcome, bool is_last) {
    const bool has_failed = outcome.kind == Outcome::Kind::kFailed;
    const bool timed_out = outcome.kind == Outcome::Kind::kTimedOut;
    if (timed_out && !is_last) return;
    if (has_failed || timed_out || outcome.kind == Outcome::Kind::kWaiting) {
      progress_.Clear();
      PrintReason(session_, outcome.name,
                  has_failed ? Cat("it has failed: ", outcome.reason) : outcome.reason);
    }
    if (timed_out) return;
    for (auto& [word, machine] : machines_) {
      if (machine.stage == Stage::kArriving) machine.to_arrive.erase(outcome.name);
    }
  }

  void EndWithArrivals(const std::string& word, Machine& machine) {
    if (!machine.to_arrive.empty()) {
      Fail(word, machine,
           absl::DeadlineExceededError(
               Cat("timed out: machine ", word, " is empty, but ", machine.to_arrive.size(),
                   " units that have left it are not where they should be yet")),
           kTimedOut);
    }
    machine.stage = Stage::kEnded;
    if (machine.has_failed) return;
    progress_.Clear();
    session_.out() << "Machine " << word
                   << (machine.drain.present
                           ? " is drained\n"
                           : " is gone; its units have been moved where they can be\n")
                   << std::flush;
  }

  void TimeOut() {
    for (auto& [word, machine] : machines_) {
      if (machine.stage != Stage::kLeaving) continue;
      End(word, machine,
          absl::DeadlineExceededError(Cat("timed out: ", machine.drain.units_left,
                                          " units are left on machine ", word,
                                          ", which stays drained")),
          kTimedOut);
      for (const client::HeldUnit& unit : machine.drain.left)
        PrintReason(session_, unit.unit, unit.reason);
    }
  }

  // What else it has come to is not waited for.
  void End(const std::string& word, Machine& machine, const absl::Status& why,
           std::optional<int> code = std::nullopt) {
    Fail(word, machine, why, code);
    machine.stage = Stage::kEnded;
  }

  // `code`: the exit status, where that does not follow from the error.
  void Fail(const std::string& word, Machine& machine, const absl::Status& why,
            std::optional<int> code = std::nullopt) {
    progress_.Clear();
    const int its = session_.Fail(why);
    verdict_.Fail(word, code.value_or(its));
    machine.has_failed = true;
  }

  void Notice(std::string_view text) {
    progress_.Clear();
    session_.err() << "Notice: " << text << "\n";
  }

  bool AnyIs(Stage stage) const {
    return std::any_of(machines_.begin(), machines_.end(),
                       [&](const auto& entry) { return entry.second.stage == stage; });
  }

  void ShowProgress() {
    std::vector<std::string> parts;
    for (auto& [word, machine] : machines_) {
      const Drain& drain = machine.drain;
      if (drain.machine_id.empty()) continue;
      machine.most = std::max(machine.most, drain.units_left);
      parts.push_back(Cat(drain.machine_id.substr(0, 8), ": ", drain.units_left, " of ",
                          machine.most, " left"));
    }
    progress_.Show(Join(parts, ", "));
  }

  Session& session_;
  const absl::Time deadline_;
  Verdict& verdict_;
  Progress progress_;
  LossNotice notice_;
  std::map<std::string, Machine> machines_;  // by the word that means it
  int64_t revision_ = 0;
};

std::string StateOf(const Drain& drain) {
  std::string state = drain.cordoned ? "is cordoned" : "is open";
  if (drain.drained) {
    state = drain.expired          ? "was drained until its deadline"
            : drain.units_left > 0 ? "is being drained"
                                   : "is drained";
  } else if (drain.lock_granted) {
    state = Cat("is emptied for a reboot (FleetLock, ", drain.lock_group, ")");
  } else if (!drain.lock_group.empty()) {
    state = Cat("waits for a slot to reboot (FleetLock, ", drain.lock_group, ")");
  }
  if (!drain.deadline.empty() && !drain.expired) {
    state += Cat(", until ", drain.deadline, drain.forces ? ", when what is left is stopped" : "");
  }
  return drain.present ? state : state + ", and is gone";
}

// Changes nothing.
int ShowDrains(Session& session, const std::vector<std::string>& words) {
  const std::string format = session.flags().Text("output");
  Verdict verdict(words);
  std::vector<std::string> entities;
  for (const std::string& word : words) {
    const auto drain = session.api().GetDrain(word);
    if (!drain.ok()) {
      verdict.Fail(word, session.Fail(drain.status()));
      continue;
    }
    if (HasEntities(format)) {
      entities.push_back(drain->json);
      continue;
    }
    if (format == "name") {
      session.out() << drain->machine_id << "\n";
      continue;
    }
    session.out() << "Machine " << word << " " << StateOf(*drain) << ": " << drain->units_left
                  << (drain->units_left == 1 ? " unit is on it\n" : " units are on it\n");
    for (const client::HeldUnit& unit : drain->left) {
      session.out() << "  " << unit.unit << ": "
                    << WithShortIds(unit.reason, session.flags().On("full")) << "\n";
    }
  }
  if (!entities.empty())
    session.out() << RenderEntities(entities, format, /*as_list=*/words.size() > 1);
  return verdict.code();
}

// Each of them once.
std::vector<std::string> WordsOf(const Session& session) {
  std::vector<std::string> words;
  for (const std::string& word : session.arguments()) {
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  }
  return words;
}

absl::StatusOr<int> DrainMachines(Session& session) {
  const Flags& flags = session.flags();
  absl::Duration timeout = absl::InfiniteDuration();
  if (!flags.Text("timeout").empty()) {
    ASSIGN_OR_RETURN(timeout, flags.Duration("timeout"));
  }
  const client::DrainRequest request = {.deadline = flags.Text("deadline"),
                                        .force = flags.On("force")};
  if (!request.deadline.empty()) RETURN_IF_ERROR(flags.Duration("deadline").status());
  std::vector<std::string> words = WordsOf(session);
  RETURN_IF_ERROR(CheckFormat(flags));
  if (flags.On("status")) {
    if (!request.deadline.empty() || request.force || flags.On("no-block") ||
        !flags.Text("timeout").empty()) {
      return UsageError("--status changes nothing, and goes with -o and -l only");
    }
    return ShowDrains(session, words);
  }
  if (flags.Given("output")) return UsageError("--output goes with --status");
  Verdict verdict(words);
  Drains drains(session, MonotonicNow() + timeout, verdict);
  const bool waits = !flags.On("no-block");
  // What cannot be done to one is said of it, and the others are drained.
  const auto is_refused = [&](const std::string& word, const absl::Status& status) {
    if (!status.ok()) verdict.Fail(word, session.Fail(status));
    return !status.ok();
  };
  if (waits || words.size() > 1) {
    std::erase_if(words,
                  [&](const std::string& word) { return is_refused(word, drains.Add(word)); });
  }
  // First of all nothing new comes to any of them: a unit that is on its way from one to the next
  // might be nowhere once that one is drained, too.
  const bool closes_first = words.size() > 1;
  if (closes_first) {
    std::erase_if(words, [&](const std::string& word) {
      if (!is_refused(word, session.api().CordonMachine(word))) return false;
      drains.Remove(word);
      return true;
    });
  }
  for (const std::string& word : words) {
    if (is_refused(word, session.api().DrainMachine(word, request))) {
      // As it was, then; of a second error nothing can be made.
      if (closes_first && drains.WasOpen(word)) {
        static_cast<void>(session.api().UncordonMachine(word));
      }
      drains.Remove(word);
    } else if (!waits) {
      session.out() << "Machine " << word << " is being drained\n";
    }
  }
  if (waits) drains.Await();
  return verdict.code();
}

int RunDrain(Session& session) {
  const auto code = DrainMachines(session);
  return code.ok() ? *code : session.Fail(code.status());
}

}  // namespace

Command DrainCommand() {
  // Without --status it is refused.
  FlagSpec output = OutputFlag("text or table, wide, json, yaml or name");
  output.from_environment = false;
  return {
      .name = "drain",
      .summary = "Move all units off machines, which get nothing new",
      .arguments = "MACHINE…",
      .description =
          "Units move within their constraints, disruption_budget of fleet.conf and their "
          "MaxUnavailable=; global units\nstop. Waits until the machines are empty and what has "
          "left them is active elsewhere; what cannot move is\nnamed, and moves when room comes "
          "up. Several machines are all cordoned first, and each is waited for to\nits own end. It "
          "goes on when this command ends early, and lasts until uncordon.\nAt the deadline "
          "it ends: what is left stays on the machine, which stays cordoned, or is stopped with\n"
          "--force, whatever holds it. --status changes nothing, and shows what is left and what "
          "holds "
          "it;\n\"plan drain\" shows what would come of it.",
      .example =
          "  fleetctl drain 8be9b1a2\n"
          "  fleetctl drain --timeout=5m 8be9b1a2 91f2c3d4\n"
          "  fleetctl drain --deadline=10m --force 8be9b1a2\n"
          "  fleetctl drain --status 8be9b1a2",
      .flags = {{"status", 0, "", "", "only show what is left and what holds it"},
                {"no-block", 0, "", "", "do not wait for the units"},
                {"timeout", 0, "DURATION", "", "wait at most so long: 30s, 2m"},
                {"deadline", 0, "DURATION", "", "the drain itself ends after so long: 10m, 2h"},
                // FLEETCTL_FORCE is for texts that are submitted, and is to stop nothing.
                {.name = "force",
                 .help = "at the deadline, or now, stop what is left",
                 .from_environment = false},
                output,
                {"full", 'l', "", "", "do not shorten ids"}},
      .run = RunDrain,
      .min_arguments = 1};
}

}  // namespace fleet::fleetctl
