#include "model/unit_status.h"

#include <array>
#include <utility>

#include "fmt/format.h"
#include "model/hindrance.h"

namespace fleet {
namespace {

// Load states in which systemd will never run the unit.
bool IsBadLoadState(std::string_view load_state) {
  constexpr std::array<std::string_view, 4> kBad = {"not-found", "bad-setting", "error", "masked"};
  for (const std::string_view bad : kBad) {
    if (load_state == bad) return true;
  }
  return false;
}

// Processes of the unit exist, or its activation is under way.
bool IsUp(const StateReport& report) {
  return report.active_state == "active" || report.active_state == "reloading" ||
         report.active_state == "activating" || report.active_state == "deactivating";
}

std::string FailureOf(const StateReport& report) {
  if (!report.result.empty()) return report.result;
  if (IsBadLoadState(report.load_state)) return fmt::format("load state {}", report.load_state);
  if (report.sub_state == "auto-restart") return report.sub_state;
  return fmt::format("{} ({})", report.active_state, report.sub_state);
}

DesiredState CurrentOf(const UnitName& name, const Assignment& assignment,
                       const StateReport& report) {
  const bool answers = report.generation == assignment.generation;
  if (answers && assignment.state == AssignmentState::kLaunched &&
      (IsUp(report) || CountsAsStarted(name.type(), report))) {
    return DesiredState::kLaunched;
  }
  // A report of an older generation says nothing about a start; but what was loaded still is.
  const bool loaded = report.load_state == "loaded" && (answers || !IsUp(report));
  return loaded ? DesiredState::kLoaded : DesiredState::kInactive;
}

struct Outcome {
  Progress progress = Progress::kPending;
  std::string reason;
};

Outcome OutcomeOf(const UnitName& name, AssignmentState asked, const StateReport& report) {
  if (!report.settled) return {};
  if (!report.result.empty() || IsBadLoadState(report.load_state)) {
    return {Progress::kFailed, FailureOf(report)};
  }
  if (asked == AssignmentState::kLoaded) {
    // It may be up all the same: systemd starts it for a socket, a timer or another unit.
    const bool reached = report.load_state == "loaded" && report.active_state != "deactivating";
    return {reached ? Progress::kReached : Progress::kPending, ""};
  }
  if (report.active_state == "failed" || report.sub_state == "auto-restart") {
    return {Progress::kFailed, FailureOf(report)};
  }
  if (CountsAsStarted(name.type(), report)) return {Progress::kReached, ""};
  if (report.active_state == "inactive") return {Progress::kFailed, FailureOf(report)};
  return {};  // activating or deactivating again, by itself
}

// The status of `record` given its live assignment, if there is one.
UnitStatus Derive(const ClusterView& view, const UnitName& name, const UnitRecord& record,
                  const std::string& machine, const Assignment* live) {
  UnitStatus status;
  if (live == nullptr) {
    status.progress = record.refusal.empty() ? Progress::kPending : Progress::kWaiting;
    status.reason = record.refusal;
    if (record.refusal.empty() && !record.nominated_machine.empty()) {
      status.reason = fmt::format("waits until the unit that it replaces has left machine {}",
                                  record.nominated_machine);
    }
    return status;
  }
  if (view.machines.Find(machine) == nullptr) {
    // Without a refusal the engine has yet to act.
    status.progress = record.refusal.empty() ? Progress::kPending : Progress::kWaiting;
    status.reason =
        record.refusal.empty()
            ? fmt::format("machine {} is gone, and the unit has not been moved elsewhere yet",
                          machine)
            : record.refusal;
    return status;
  }
  status.machine = machine;
  const auto* stored = view.states.Find(UnitOnMachine{name.full(), machine});
  if (stored == nullptr) return status;
  const StateReport& report = stored->value;
  if (report.uid != live->uid || report.gone) return status;
  status.reason = HindranceOf(report, *live);
  status.current = CurrentOf(name, *live, report);
  if (report.generation != live->generation) return status;
  status.report = &report;
  Outcome outcome = OutcomeOf(name, live->state, report);
  status.progress = outcome.progress;
  status.reason = std::move(outcome.reason);
  if (status.progress == Progress::kFailed) status.log_tail = report.log_tail;
  return status;
}

// Whether the assignment asks for what the record wants; if not, the engine has yet to act.
bool Answers(const Assignment& assignment, const UnitRecord& record) {
  const AssignmentState wanted = record.desired == DesiredState::kLaunched
                                     ? AssignmentState::kLaunched
                                     : AssignmentState::kLoaded;
  return assignment.state == wanted && assignment.restarts == record.restarts &&
         assignment.starts == record.starts && assignment.content_hash == record.content_hash;
}

// `anything_left`: an assignment of the unit exists, be it a tombstone.
UnitStatus Settle(UnitStatus status, const UnitRecord& record, const Assignment* live,
                  bool anything_left) {
  if (record.desired == DesiredState::kInactive) {
    status.progress = anything_left ? Progress::kPending : Progress::kReached;
  } else if (live == nullptr || status.progress == Progress::kWaiting || Answers(*live, record)) {
    return status;
  } else {
    status.progress = Progress::kPending;
  }
  status.reason.clear();
  status.log_tail.clear();
  return status;
}

}  // namespace

std::string_view ToString(Progress progress) {
  switch (progress) {
    case Progress::kWaiting:
      return "waiting";
    case Progress::kPending:
      return "pending";
    case Progress::kReached:
      return "reached";
    case Progress::kFailed:
      return "failed";
  }
  return "unknown";
}

UnitStatus StatusOf(const ClusterView& view, const UnitName& name) {
  const auto* stored = view.units.Find(name.full());
  if (stored == nullptr) return {.progress = Progress::kReached};
  const UnitRecord& record = stored->value;

  const Assignment* live = nullptr;
  std::string machine;
  bool anything_left = false;
  for (auto it = FirstOf(view.assignments, name.full()); InUnit(it, view.assignments, name.full());
       ++it) {
    const Assignment& assignment = it->second.value;
    if (assignment.uid != record.uid) continue;
    anything_left = true;
    if (assignment.state == AssignmentState::kGone || live != nullptr) continue;
    live = &assignment;
    machine = it->first.machine;
  }
  return Settle(Derive(view, name, record, machine, live), record, live, anything_left);
}

UnitStatus StatusOn(const ClusterView& view, const UnitName& name, const std::string& machine) {
  const auto* unit = view.units.Find(name.full());
  const auto* stored = view.assignments.Find(UnitOnMachine{name.full(), machine});
  if (unit == nullptr) {  // destroyed: it only has to go
    return {.progress = stored == nullptr ? Progress::kReached : Progress::kPending};
  }
  const UnitRecord& record = unit->value;
  const bool ours = stored != nullptr && stored->value.uid == record.uid;
  const bool lives = ours && stored->value.state != AssignmentState::kGone;
  const Assignment* live = lives ? &stored->value : nullptr;
  return Settle(Derive(view, name, record, machine, live), record, live, ours);
}

bool CountsAsStarted(UnitType type, const StateReport& report) {
  if (report.active_state == "active" || report.active_state == "reloading") return true;
  // A oneshot, or a service that ran to its end: only `settled` tells it from one not yet started.
  return type == UnitType::kService && report.settled && !report.gone &&
         report.load_state == "loaded" && report.active_state == "inactive" &&
         report.result.empty();
}

}  // namespace fleet
