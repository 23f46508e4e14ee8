#include <algorithm>
#include <utility>

#include "base/status.h"
#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/action.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/read_backup.h"
#include "fleetctl/restore_plan.h"

namespace fleet::fleetctl {
namespace {

using Kind = UnitStep::Kind;

// Units of one request: small enough that one sees it go on.
constexpr size_t kChunk = 200;
constexpr absl::Duration kTimeout = absl::Minutes(1);

std::string Changes(const std::vector<client::MetadataChange>& changes) {
  std::vector<std::string> texts;
  texts.reserve(changes.size());
  for (const client::MetadataChange& change : changes)
    texts.push_back(change.value ? Cat(change.key, "=", *change.value)
                                 : Cat(change.key, " removed"));
  return Join(texts, ",");
}

std::string Effect(const UnitStep& step) {
  std::string effect = step.desired_state;
  if (!step.registered_state.empty() && step.registered_state != step.desired_state)
    Append(effect, ", was ", step.registered_state);
  if (step.text_differs) effect += ", text replaced";
  return effect;
}

class Restore {
 public:
  Restore(Session& session, std::string origin, RestorePlan plan)
      : session_(session),
        origin_(std::move(origin)),
        plan_(std::move(plan)),
        dry_run_(session.flags().On("dry-run")),
        verdict_(NamesOf(plan_)) {}

  absl::StatusOr<int> Run(const WaitLimits& limits) {
    PrintWhatStays();
    RETURN_IF_ERROR(RestoreMachines());
    RETURN_IF_ERROR(RestoreUnits());
    RETURN_IF_ERROR(RestoreReplicas());
    RETURN_IF_ERROR(RestoreHistories());
    if (limits.block && !dry_run_) RETURN_IF_ERROR(WaitForUnits(limits.timeout));
    PrintSummary();
    return verdict_.code();
  }

 private:
  static std::vector<std::string> NamesOf(const RestorePlan& plan) {
    std::vector<std::string> names;
    names.reserve(plan.units.size());
    for (const UnitStep& step : plan.units) names.push_back(step.name);
    return names;
  }

  void PrintDiffers(const std::string& name) {
    ++kept_;
    session_.err() << "WARNING: Unit " << name << " in registry differs from " << origin_
                   << ". Add --replace to override.\n";
  }

  void PrintWhatStays() {
    for (const UnitStep& step : plan_.units) {
      if (step.kind == Kind::kThere) {
        ++there_;
        session_.out() << "Unit " << step.name << " is there already, nothing to do\n";
      } else if (step.kind == Kind::kTextDiffers) {
        PrintDiffers(step.name);
      } else if (step.kind == Kind::kStateHigher) {
        ++kept_;
        session_.err() << "WARNING: Unit " << step.name << " in registry is "
                       << step.registered_state << ", in " << origin_ << " " << step.desired_state
                       << ". Add --replace to override.\n";
      }
    }
  }

  // Before the units: they are placed by it.
  absl::Status RestoreMachines() {
    std::vector<client::MetadataChange> changes;
    for (const MachineStep& step : plan_.machines) {
      for (const MachineStep::Kept& kept : step.kept) {
        session_.err() << "WARNING: Metadata " << kept.key << " of machine " << step.id
                       << " in registry is " << kept.registered << ", in " << origin_ << " "
                       << kept.wanted << ". Add --replace to override.\n";
      }
      changes.insert(changes.end(), step.changes.begin(), step.changes.end());
    }
    if (!dry_run_) RETURN_IF_ERROR(session_.api().PatchMetadata(changes));
    for (const MachineStep& step : plan_.machines) {
      if (!step.changes.empty()) {
        ++machines_restored_;
        session_.out() << "Metadata of machine " << step.id << Done() << " ("
                       << Changes(step.changes) << ")\n";
      } else if (step.kept.empty() && !step.cordons && !step.drains) {
        session_.out() << "Metadata of machine " << step.id << " is there already, nothing to do\n";
      }
    }
    for (const MachineStep& step : plan_.machines) {
      if (step.cordons) RETURN_IF_ERROR(Close(step.id, "cordoned"));
      if (step.drains) RETURN_IF_ERROR(Close(step.id, "drained"));
    }
    session_.out().flush();
    return absl::OkStatus();
  }

  // A machine that this cluster does not have cannot be closed.
  absl::Status Close(const std::string& id, std::string_view how) {
    if (dry_run_) {
      session_.out() << "Machine " << id << " would be " << how << "\n";
      return absl::OkStatus();
    }
    const absl::Status closed =
        how == "cordoned" ? session_.api().CordonMachine(id) : session_.api().DrainMachine(id, {});
    if (absl::IsNotFound(closed)) {
      session_.err() << "WARNING: Machine " << id << " is not known here, and not " << how << "\n";
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(closed);
    session_.out() << "Machine " << id << " is " << how << "\n";
    return absl::OkStatus();
  }

  // Once all instances are there: those that are missing are made, and those above go.
  absl::Status RestoreReplicas() {
    std::vector<client::UnitChange> changes;
    for (const ReplicasStep& step : plan_.replicas) {
      if (step.registered) {
        session_.err() << "WARNING: Template " << step.name << " in registry has "
                       << *step.registered << " replicas, in " << origin_ << " "
                       << (step.wanted ? std::to_string(*step.wanted) : "no number of them")
                       << ". Add --replace to override.\n";
      } else if (!step.wanted) {
        RETURN_IF_ERROR(ResetScale(step.name));
      } else {
        changes.push_back({.name = step.name, .replicas = step.wanted});
        if (dry_run_) PrintScaled(step.name, step.wanted);
      }
    }
    if (dry_run_ || changes.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const client::BatchAnswer answer, session_.api().Batch(changes));
    for (size_t i = 0; i < changes.size(); ++i) {
      const client::UnitResult& result = answer.results[i];
      if (result.code < 300) {
        PrintScaled(changes[i].name, changes[i].replicas);
      } else {
        FailToScale(changes[i].name, result.message);
      }
    }
    return absl::OkStatus();
  }

  absl::Status ResetScale(const std::string& name) {
    const absl::Status reset =
        dry_run_ ? absl::OkStatus() : session_.api().ResetScale(name).status();
    if (absl::IsNotFound(reset)) {
      FailToScale(name, MessageOf(reset));  // destroyed meanwhile
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(reset);
    PrintScaled(name, std::nullopt);
    return absl::OkStatus();
  }

  void FailToScale(const std::string& name, std::string_view why) {
    session_.err() << "Error: cannot scale " << name << ": " << why << "\n";
    verdict_.Fail(name, kFailed);
  }

  void PrintScaled(const std::string& name, std::optional<int64_t> replicas) {
    session_.out() << "Template " << name << (dry_run_ ? " would be scaled" : " scaled") << " to "
                   << (replicas ? std::to_string(*replicas) : "what its text says") << "\n";
  }

  absl::Status RestoreHistories() {
    for (const BackupHistory& history : plan_.rollouts) {
      if (!dry_run_) {
        const absl::Status stored = session_.api().SetHistory(history.name, FormatHistory(history));
        if (absl::IsNotFound(stored) || absl::IsFailedPrecondition(stored)) {
          session_.err() << "WARNING: the history of " << history.name
                         << " was not restored: " << MessageOf(stored) << "\n";
          continue;
        }
        if (!stored.ok()) {
          session_.err() << "Error: cannot restore the history of " << history.name << ": "
                         << MessageOf(stored) << "\n";
          verdict_.Fail(history.name, kFailed);
          continue;
        }
      }
      session_.out() << "History of " << history.name << Done() << " (" << history.texts.size()
                     << " texts)\n";
    }
    return absl::OkStatus();
  }

  std::string Done() const { return dry_run_ ? " would be restored" : " restored"; }

  absl::Status RestoreUnits() {
    std::vector<const UnitStep*> steps;
    for (const UnitStep& step : plan_.units) {
      if (step.kind == Kind::kRestore) steps.push_back(&step);
    }
    for (size_t begin = 0; begin < steps.size(); begin += kChunk) {
      const size_t end = std::min(begin + kChunk, steps.size());
      const std::vector<const UnitStep*> chunk(steps.begin() + static_cast<ptrdiff_t>(begin),
                                               steps.begin() + static_cast<ptrdiff_t>(end));
      if (const absl::Status status = RestoreChunk(chunk); !status.ok()) {
        return {status.code(), Cat(MessageOf(status), " (", begin, " of ", steps.size(),
                                   " units have been restored; the same restore again goes on)")};
      }
    }
    return absl::OkStatus();
  }

  absl::Status RestoreChunk(const std::vector<const UnitStep*>& chunk) {
    std::vector<client::UnitChange> changes;
    changes.reserve(chunk.size());
    for (const UnitStep* step : chunk) changes.push_back(step->change);
    std::vector<client::UnitResult> results(chunk.size());
    if (!dry_run_) {
      ASSIGN_OR_RETURN(client::BatchAnswer answer, session_.api().Batch(changes));
      revision_ = std::max(revision_, answer.revision);
      results = std::move(answer.results);
    }
    for (size_t i = 0; i < chunk.size(); ++i) PrintResult(*chunk[i], results[i]);
    session_.out().flush();
    return absl::OkStatus();
  }

  void PrintResult(const UnitStep& step, const client::UnitResult& result) {
    if (result.code >= 300) {
      ++failed_;
      session_.err() << "Error: cannot restore unit " << step.name << ": "
                     << (result.message.empty() ? Cat("HTTP ", result.code) : result.message)
                     << "\n";
      verdict_.Fail(step.name, kFailed);
      return;
    }
    if (result.differs && !step.change.replace) {
      PrintDiffers(step.name);  // somebody else has made it meanwhile
      return;
    }
    ++restored_;
    if (!step.warning.empty())
      session_.err() << "WARNING: unit " << step.name << ": " << step.warning << "\n";
    session_.out() << "Unit " << step.name << Done() << " (" << Effect(step) << ")\n";
    // A new inactive unit is where it should be.
    if (step.global || (step.desired_state == "inactive" && step.registered_state.empty())) return;
    to_wait_for_[step.desired_state].push_back(step.name);
  }

  // Units come to their states through each other (MachineOf=), so all the time is for all.
  absl::Status WaitForUnits(absl::Duration timeout) {
    const absl::Time deadline = client::MonotonicNow() + timeout;
    for (const Goal goal : {Goal::kLaunched, Goal::kLoaded, Goal::kInactive}) {
      const std::vector<std::string>& names = to_wait_for_[std::string(ToString(goal))];
      const Action action{.verb = "restore",
                          .goal = goal,
                          .limits = {.timeout = deadline - client::MonotonicNow()}};
      RETURN_IF_ERROR(
          Await(session_, action, Sent{.revision = revision_, .made = names}, verdict_));
    }
    return absl::OkStatus();
  }

  void PrintSummary() {
    const std::string_view restored = dry_run_ ? " to be restored" : " restored";
    session_.out() << "Summary: " << plan_.units.size() << " units: " << restored_ << restored
                   << ", " << there_ << " there already, " << kept_ << " kept as they were, "
                   << failed_ << " failed; metadata of " << plan_.machines.size()
                   << " machines: " << machines_restored_ << restored << "\n";
  }

  Session& session_;
  std::string origin_;
  RestorePlan plan_;
  bool dry_run_;
  Verdict verdict_;
  int64_t revision_ = 0;
  std::map<std::string, std::vector<std::string>> to_wait_for_;  // by desired state
  size_t restored_ = 0;
  size_t there_ = 0;
  size_t kept_ = 0;
  size_t failed_ = 0;
  size_t machines_restored_ = 0;
};

absl::StatusOr<int> RestoreOrFail(Session& session) {
  const Flags& flags = session.flags();
  ASSIGN_OR_RETURN(WaitLimits limits, WaitLimitsFrom(flags));
  if (!flags.Given("timeout") && !flags.Given("block-attempts")) limits.timeout = kTimeout;
  const std::string& path = session.arguments()[0];
  const std::string origin = path == "-" ? "stdin" : path;
  ASSIGN_OR_RETURN(const BackupDocument backup, ReadBackup(session, path));
  ASSIGN_OR_RETURN(const BackupDocument registry, ReadRegistry(session.api()));
  if (!backup.unreadable.empty()) {
    session.err() << "WARNING: " << origin
                  << " is not complete; when it was made these could not be read: "
                  << Join(backup.unreadable, ", ") << "\n";
  }
  Restore restore(session, origin, MakeRestorePlan(backup, registry, flags.On("replace")));
  return restore.Run(limits);
}

int RunRestore(Session& session) {
  const auto code = RestoreOrFail(session);
  return code.ok() ? *code : session.Fail(code.status());
}

std::vector<FlagSpec> RestoreFlags() {
  std::vector<FlagSpec> flags = WaitFlags();
  for (FlagSpec& flag : flags) {
    if (flag.name == "timeout")
      flag.help = "wait at most so long: 30s, 2m (1m unless --block-attempts is given)";
  }
  flags.push_back(
      {"replace", 0, "", "", "make units and metadata that are there as they are in the backup"});
  flags.push_back({"dry-run", 0, "", "", "only say what would be done"});
  return flags;
}

}  // namespace

Command RestoreCommand() {
  return {.name = "restore",
          .summary = "Bring units, desired states and what was set of machines back from a backup",
          .arguments = "FILE",
          .description =
              "FILE was made by \"fleetctl backup\", of this cluster or another; \"-\" is stdin. "
              "What is there already\nas in the file is left alone, and so is everything the file "
              "does not have: a restore can be\nrepeated. A unit with another text, or in a higher "
              "desired state than in the file, stays as it is,\nwith a warning, unless --replace "
              "is given; one with the same text in a lower state is raised to\nthat of the file. "
              "Metadata keys that the registry has otherwise stay in the same way. Then waits\n"
              "until the units that were changed are loaded or started, as start does.",
          .example =
              "  fleetctl restore --dry-run fleet.json\n"
              "  fleetctl restore fleet.json",
          .flags = RestoreFlags(),
          .run = RunRestore,
          .min_arguments = 1,
          .max_arguments = 1};
}

}  // namespace fleet::fleetctl
