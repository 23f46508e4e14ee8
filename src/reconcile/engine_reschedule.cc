// Reschedule=on-failure: a unit that its machine reports as failed is moved to another one, later
// each time. See engine_reconciler.h for the whole.

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/duration.h"
#include "fmt/core.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/reschedule.h"

namespace fleet::reconcile {

// What the machine says about the run that is asked for now; null while it has not answered.
const StateReport* EngineReconciler::AnswerTo(const Member& member, const Placed& live) const {
  const auto* report = view_->states.Find(UnitOnMachine{member.unit, live.machine});
  if (report == nullptr || report->value.gone || !report->value.settled ||
      report->value.uid != live.stored->value.uid ||
      report->value.generation != live.stored->value.generation) {
    return nullptr;
  }
  return &report->value;
}

// A placed unit with Reschedule=on-failure, or with a memory of it. True if something is decided
// about it.
bool EngineReconciler::JudgeFailure(const Member& member, const Placed& live,
                                    std::vector<Decision>& decisions) {
  const UnitRecord& record = member.record->value;
  const bool reschedules = member.requirements->reschedules_on_failure;
  if (!reschedules && record.failed_on.empty() && outcomes_.empty()) return false;
  const StateReport* report = AnswerTo(member, live);
  const bool has_failed = report != nullptr && report->active_state == "failed" && reschedules &&
                          live.stored->value.state == AssignmentState::kLaunched;
  const bool is_steady = report != nullptr && report->active_state == "active";
  if (!has_failed && (record.failed_on.empty() || (reschedules && !is_steady))) {
    outcomes_.erase(member.unit);
    return false;
  }
  const Outcome outcome = {live.stored->value.generation, has_failed, now_};
  Outcome& known = outcomes_.try_emplace(member.unit, outcome).first->second;
  if (known.generation != outcome.generation || known.has_failed != has_failed) known = outcome;
  const absl::Duration wait = has_failed ? BackoffOf(record) : kSteadyAfter;
  if (now_ < known.since + wait) {
    next_wakeup_ = std::min(next_wakeup_, known.since + wait);
    at_wakeup_.insert(member.unit);
    return false;
  }
  Decision decision = Begin();
  AddUnit(decision, member.unit);
  GuardUnit(decision, member.unit);
  if (!has_failed) {
    outcomes_.erase(member.unit);
    UnitRecord steady = record;
    steady.failed_on.clear();
    decision.events.push_back({"steady", member.unit, live.machine,
                               fmt::format("it has been active for {}: where it failed before is "
                                           "forgotten",
                                           DurationText(kSteadyAfter))});
    decision.writes.emplace_back(PutUnit{member.unit, std::move(steady)});
    Emit(std::move(decision), decisions);
    return true;
  }
  const auto target = IsTied(member) ? std::nullopt : ChooseFor({member}, live.machine);
  if (!target) {
    waiting_.insert(member.unit);  // judged again when there is another machine
    return false;
  }
  decision.events.push_back({"moving", member.unit, live.machine,
                             report->result.empty()
                                 ? "it has failed there"
                                 : fmt::format("it has failed there ({})", report->result)});
  PutTombstone(decision, member.unit, live, *target);
  GuardTarget(decision, *target);
  UnitRecord failed = WithFailure(record, live.machine, view_->revision);
  failed.move_to.clear();
  decision.writes.emplace_back(PutUnit{member.unit, std::move(failed)});
  Emit(std::move(decision), decisions);
  return true;
}

bool EngineReconciler::IsTied(const Member& member) const {
  return Follows(*member.requirements) || IsFollowed(member.unit);
}

// The best machine where it has not failed lately; otherwise the one where that was longest ago.
std::optional<std::string> EngineReconciler::ChooseUntried(const Member& member,
                                                           const std::string& avoid) const {
  const UnitRecord& record = member.record->value;
  const auto rank = [&](const scheduler::Verdict& verdict) {
    const int64_t load = settings_.placement == scheduler::Placement::kPack ? -verdict.score.load
                                                                            : verdict.score.load;
    return std::tuple(FailedAt(record, verdict.machine), verdict.score.spread, load,
                      std::string_view(verdict.machine));
  };
  const auto verdicts = occupancy_.scheduler().Judge(IdsOf({member}));
  const scheduler::Verdict* best = nullptr;
  for (const scheduler::Verdict& verdict : verdicts) {
    if (!verdict.ruled_out_by.empty() || verdict.machine == avoid) continue;
    if (best == nullptr || rank(verdict) < rank(*best)) best = &verdict;
  }
  if (best == nullptr) return std::nullopt;
  return best->machine;
}

// Of a placed unit, where it is; empty if it has not failed.
std::string EngineReconciler::WhatFailureMeans(const Member& member, const Placed& live) {
  const StateReport* report = AnswerTo(member, live);
  if (!member.requirements->reschedules_on_failure || report == nullptr ||
      report->active_state != "failed") {
    return "";
  }
  if (IsTied(member)) return "it has failed, and stays: other units are tied to where it is";
  if (const auto target = ChooseFor({member}, live.machine)) {
    return fmt::format("it has failed: after {} it is moved to {}",
                       DurationText(BackoffOf(member.record->value)), *target);
  }
  return "it has failed, and no other machine is eligible";
}

}  // namespace fleet::reconcile
