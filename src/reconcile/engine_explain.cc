// Why a unit is where it is, or nowhere: the engine's own questions, asked again. See
// engine_reconciler.h for the whole.

#include <algorithm>
#include <utility>

#include "fmt/core.h"
#include "fmt/ranges.h"
#include "model/features.h"
#include "model/hindrance.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/planner.h"

namespace fleet::reconcile {

namespace {

using State = UnitExplanation::State;

std::string LoadText(const scheduler::Score& score) {
  if (!score.by_share) return fmt::format("load {}", score.load);
  return fmt::format("{:.1f}% reserved", static_cast<double>(score.load) / 10000);
}

std::string ScoreText(const std::string& spread_over, const scheduler::Score& score) {
  if (!score.spread_value) return LoadText(score);
  return fmt::format("{} others in {}={}, {}", score.spread, spread_over, *score.spread_value,
                     LoadText(score));
}

// Names of a few units.
std::string Some(const std::vector<std::string>& units) {
  constexpr size_t kNamed = 3;
  if (units.size() <= kNamed) return fmt::format("{}", fmt::join(units, ", "));
  return fmt::format("{} and {} more",
                     fmt::join(units.begin(), units.begin() + ptrdiff_t{kNamed}, ", "),
                     units.size() - kNamed);
}

}  // namespace

UnitExplanation EngineReconciler::Explain(const std::string& unit) {
  UnitExplanation explained = {.revision = view_->revision, .unit = unit};
  explained.explanation.machines = static_cast<int>(view_->machines.size());
  std::vector<std::string> leaving;
  for (const Placed& placed : AssignmentsOf(unit)) {
    const Assignment& assignment = placed.stored->value;
    if (assignment.state != AssignmentState::kGone) {
      explained.machines.push_back(placed.machine);
    } else if (!ReportedGone(*view_, unit, placed.machine, assignment) &&
               view_->machines.Find(placed.machine) != nullptr) {
      leaving.push_back(placed.machine);
    }
  }
  const State unless_placed = explained.machines.empty() ? State::kWaiting : State::kPlaced;
  if (HasUnreadableRecord(*view_, unit)) {
    explained.state = unless_placed;
    explained.reason = "a record of it cannot be read by this version: nothing is decided about it";
    return explained;
  }
  const auto* record = view_->units.Find(unit);
  if (record == nullptr) return explained;
  if (const std::string unknown = WhatItLacks(record->value); !unknown.empty()) {
    explained.state = unless_placed;
    explained.reason = fmt::format(
        "it needs \"{}\", which this version does not know: nothing is decided about it", unknown);
    return explained;
  }
  const auto requirements = occupancy_.RequirementsOf(*view_, unit, record->value.content_hash);
  const auto judge = [&](const Group& group) {
    explained.verdicts = occupancy_.scheduler().Judge(IdsOf(group));
  };
  Member member = {.unit = unit, .record = record, .id = occupancy_.IdOf(unit)};
  member.placed = AssignmentsOf(unit);
  if (requirements.ok()) {
    member.requirements = *requirements;
    judge({member});
  }
  if (IsTemplate(unit) || record->value.desired == DesiredState::kInactive) {
    explained.state = State::kNotWanted;
    explained.reason = IsTemplate(unit) ? "a template runs nowhere, only its instances do"
                                        : "its desired state is inactive";
    if (const auto replicas = IsTemplate(unit) ? ReplicasOf(unit) : std::nullopt) {
      explained.reason +=
          fmt::format("; {} of them {} kept", *replicas, *replicas == 1 ? "is" : "are");
    }
    explained.machines.insert(explained.machines.end(), leaving.begin(), leaving.end());
    if (!explained.machines.empty()) {
      explained.reason += fmt::format("; {} has to stop it", Some(explained.machines));
    }
    return explained;
  }
  if (!requirements.ok()) {
    explained.state = unless_placed;
    explained.reason = std::string(requirements.status().message());
    return explained;
  }
  if (member.requirements->global) {
    explained.state = State::kGlobal;
    explained.reason = fmt::format("global: on {} of {} machines", explained.machines.size(),
                                   view_->machines.size());
    return explained;
  }
  if (std::string early = WhyTooEarly(member); !early.empty()) {
    explained.state = unless_placed;
    explained.reason = std::move(early);
    return explained;
  }
  if (const auto live = LiveOf(member)) {
    ExplainPlaced(member, *live, explained);
  } else {
    ExplainUnplaced(member, explained);
    explained.machines = std::move(leaving);
  }
  return explained;
}

void EngineReconciler::ExplainPlaced(const Member& member, const Placed& live,
                                     UnitExplanation& explained) {
  const Group group = GroupOn(member, live.machine);
  for (const Member& one : group) {
    if (group.size() > 1) explained.together.push_back(one.unit);
  }
  std::sort(explained.together.begin(), explained.together.end());
  if (group.size() > 1) explained.verdicts = occupancy_.scheduler().Judge(IdsOf(group));
  const auto* machine = view_->machines.Find(live.machine);
  const bool is_leaving = machine != nullptr && machine->value.leaving;
  if (is_leaving && !ReportedGone(*view_, member.unit, live.machine, live.stored->value)) {
    explained.state = State::kMoving;
    explained.reason =
        fmt::format("{} is leaving the cluster: it waits until that has stopped it", live.machine);
    return;
  }
  if (std::string held = WhatHoldsLost(group, live.machine); !held.empty()) {
    explained.state = State::kMoving;
    explained.reason = std::move(held);
    return;
  }
  if (machine == nullptr || is_leaving) return ExplainNowhere(group, live.machine, explained);
  const std::string why = MustLeave(member, live);
  if (!why.empty()) {
    explained.state = State::kMoving;
    explained.reason = fmt::format("it may not stay on {}: {}", live.machine, why);
    return;
  }
  if (IsEmptied(live.machine) || IsOverdue(live.machine) || WasLeftBehind(live.machine)) {
    return ExplainDrained(member, live, explained);
  }
  explained.state = State::kPlaced;
  explained.reason = WhatFailureMeans(member, live);
  if (explained.reason.empty()) explained.reason = HindranceOn(*view_, member.unit, live.machine);
  if (!explained.reason.empty()) return;
  const std::string& target = member.record->value.move_to;
  if (target.empty() || !RulesOutMove(member, live).empty()) {
    explained.reason = WhyHere(group, live.machine, explained.verdicts);
  } else if (const std::string held = WhatHoldsMove({member}, live.machine); held.empty()) {
    explained.reason = fmt::format("a rebalance moves it to {}", target);
  } else {
    explained.reason = fmt::format("a rebalance moves it to {} {}", target, held);
  }
}

void EngineReconciler::ExplainUnplaced(const Member& member, UnitExplanation& explained) {
  for (const Placed& placed : member.placed) {
    const Assignment& assignment = placed.stored->value;
    if (view_->machines.Find(placed.machine) == nullptr) {
      explained.reason = WhatHoldsLost({}, placed.machine);
      if (explained.reason.empty()) continue;
      explained.state = State::kMoving;
      return;
    }
    if (ReportedGone(*view_, member.unit, placed.machine, assignment)) continue;
    explained.state = State::kMoving;
    explained.reason = fmt::format("it waits until {} reports it stopped", placed.machine);
    if (!assignment.next_machine.empty()) {
      explained.reason += fmt::format("; then it goes to {}", assignment.next_machine);
    }
    return;
  }
  ExplainNowhere(UnplacedGroup(member), "", explained);
}

// Units without a machine, or whose machine is `gone`.
void EngineReconciler::ExplainNowhere(const Group& group, const std::string& gone,
                                      UnitExplanation& explained) {
  explained.state = State::kWaiting;
  explained.together.clear();
  std::string nominated;
  std::string circle;
  std::vector<std::string> busy;
  for (const Member& one : group) {
    if (group.size() > 1) explained.together.push_back(one.unit);
    if (nominated.empty()) nominated = one.record->value.nominated_machine;
    if (gone.empty() && !IsFree(one)) busy.push_back(one.unit);
    if (circle.empty() && gone.empty() && one.placed.empty()) {
      circle = CircleOfReplacers(one.unit, *one.requirements);
    }
  }
  std::sort(explained.together.begin(), explained.together.end());
  if (group.size() > 1) explained.verdicts = occupancy_.scheduler().Judge(IdsOf(group));
  const std::string prefix = gone.empty() ? "" : fmt::format("its machine {} is gone, and ", gone);
  if (!busy.empty()) {
    explained.reason =
        fmt::format("it has to share a machine with {}, which has to stop first", Some(busy));
    return;
  }
  if (!nominated.empty() && view_->machines.Find(nominated) != nullptr) {
    std::vector<std::string> leaving;
    for (const scheduler::UnitId id : occupancy_.LeavingOn(nominated)) {
      leaving.push_back(occupancy_.scheduler().UnitName(id));
    }
    explained.reason = fmt::format("{}{} is reserved for it", prefix, nominated);
    if (!leaving.empty()) {
      explained.reason += fmt::format(": it waits until {} has left that", Some(leaving));
    }
    return;
  }
  if (FollowsOneInFlight(group)) {
    explained.reason = prefix + "it waits until what it follows has arrived where that moves to";
    return;
  }
  if (!circle.empty()) {
    explained.reason = circle;
    return;
  }
  if (const auto machine = ChooseFor(group, gone)) {
    explained.state = gone.empty() ? State::kWaiting : State::kMoving;
    explained.reason = fmt::format("{}it is about to be placed on {}", prefix, *machine);
    return;
  }
  const auto slot = occupancy_.scheduler().FindMachine(gone);
  explained.explanation = occupancy_.scheduler().Explain(IdsOf(group), slot);
  explained.reason = prefix + explained.explanation.Summary();
}

// Whether they would be placed there again.
std::string EngineReconciler::WhyHere(const Group& group, const std::string& machine,
                                      const std::vector<scheduler::Verdict>& verdicts) {
  const std::string& spread_over = group[0].requirements->spread_over;
  const bool packs = settings_.placement == scheduler::Placement::kPack;
  const auto& scheduler = occupancy_.scheduler();
  const auto others = scheduler.Ranked(IdsOf(group), scheduler.FindMachine(machine));
  const scheduler::Verdict* here = nullptr;
  const scheduler::Verdict* next = nullptr;  // the best of the others
  size_t eligible = 0;
  for (const scheduler::Verdict& verdict : verdicts) {
    if (verdict.machine == machine) here = &verdict;
    if (verdict.ruled_out_by.empty()) ++eligible;
    if (!others.empty() && verdict.machine == scheduler.MachineName(others[0])) next = &verdict;
  }
  const auto best = ChooseFor(group, "");
  if (here == nullptr) return "";
  if (!here->ruled_out_by.empty()) {
    std::string text = fmt::format("it stays; newcomers would be ruled out there by {}",
                                   here->ruled_out_by.front());
    if (best) text += fmt::format(", and it would be placed on {}", *best);
    return text;
  }
  if (best && *best != machine) {
    for (const scheduler::Verdict& verdict : verdicts) {
      if (verdict.machine == *best) next = &verdict;
    }
    if (next == nullptr) return "";
    return fmt::format("{} would be chosen now ({}; here {})", *best,
                       ScoreText(spread_over, next->score), ScoreText(spread_over, here->score));
  }
  if (eligible == 1 || next == nullptr) return "the only eligible machine";
  return fmt::format("the {} loaded of {} eligible machines ({}; next best {} with {})",
                     packs ? "most" : "least", eligible, ScoreText(spread_over, here->score),
                     next->machine, ScoreText(spread_over, next->score));
}

}  // namespace fleet::reconcile
