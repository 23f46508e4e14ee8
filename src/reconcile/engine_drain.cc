// Machines that are to be emptied: drained by the operator's word, or because their updater has
// been granted a slot to reboot (FleetLock). Their units are handed over as long as the disruption
// budget and their MaxUnavailable= allow; what has nowhere to go stays, and is tried again when
// room comes up. See engine_reconciler.h for the whole.

#include <algorithm>
#include <utility>

#include "fmt/core.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_limits.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/planner.h"

namespace fleet::reconcile {

namespace {

void Count(std::map<std::string, size_t>& counts, const std::string& key, bool more) {
  if (key.empty()) return;
  if (more) {
    ++counts[key];
  } else if (const auto it = counts.find(key); it != counts.end() && --it->second == 0) {
    counts.erase(it);
  }
}

bool IsToRun(const ClusterView& view, const std::string& unit) {
  const auto* record = view.units.Find(unit);
  return record != nullptr && record->value.desired == DesiredState::kLaunched;
}

}  // namespace

// Takes in what the view says: whether the unit is being handed over, and whether it is down.
void EngineReconciler::SyncUnderWay(const std::string& unit) {
  HandOver hand_over;
  for (auto it = FirstOf(view_->assignments, unit); InUnit(it, view_->assignments, unit); ++it) {
    const Assignment& assignment = it->second.value;
    if (assignment.state == AssignmentState::kGone && !assignment.next_machine.empty() &&
        view_->machines.Find(it->first.machine) != nullptr) {
      hand_over = {.from = it->first.machine, .to = assignment.next_machine};
    }
  }
  NoteUnderWay(unit, hand_over);
  NoteDown(unit, (!hand_over.from.empty() && IsToRun(*view_, unit)) || HasYetToStart(unit));
}

// An instance that is to run where it is, and has not done so yet, or has failed: that something
// else is stopped makes it worse. One that waits for a machine holds up nothing.
bool EngineReconciler::HasYetToStart(const std::string& unit) const {
  if (TemplateOf(unit).empty() || !IsToRun(*view_, unit)) return false;
  const auto name = UnitName::Parse(unit);
  for (auto it = FirstOf(view_->assignments, unit); InUnit(it, view_->assignments, unit); ++it) {
    if (it->second.value.state == AssignmentState::kGone ||
        view_->machines.Find(it->first.machine) == nullptr) {
      continue;
    }
    const Progress progress = StatusOn(*view_, *name, it->first.machine).progress;
    if (progress == Progress::kPending || progress == Progress::kFailed) return true;
  }
  return false;
}

// What moves it; nothing, if it stays.
void EngineReconciler::NoteUnderWay(const std::string& unit, const HandOver& hand_over) {
  const auto it = under_way_.find(unit);
  if (it == under_way_.end() ? hand_over.from.empty() : it->second == hand_over) return;
  if (it != under_way_.end()) {
    Count(sources_, it->second.from, /*more=*/false);
    Count(targets_, it->second.to, /*more=*/false);
    under_way_.erase(it);
    MarkAllDirty(queued_movers_);
  }
  if (hand_over.from.empty()) return;
  under_way_.emplace(unit, hand_over);
  Count(sources_, hand_over.from, /*more=*/true);
  Count(targets_, hand_over.to, /*more=*/true);
}

void EngineReconciler::NoteDown(const std::string& unit, bool is_down) {
  if (is_down == down_.contains(unit)) return;
  const std::string template_name = TemplateOf(unit);
  if (template_name.empty()) return;  // it is down by itself whenever it moves
  Count(down_of_template_, template_name, is_down);
  if (is_down) {
    down_.insert(unit);
    return;
  }
  down_.erase(unit);
  MarkAllDirty(queued_movers_);
}

// What is decided counts before it is in the view.
void EngineReconciler::NoteHandOvers(const Decision& decision) {
  for (const Write& write : decision.writes) {
    const auto* put = std::get_if<PutAssignment>(&write);
    if (put == nullptr || put->assignment.next_machine.empty()) continue;
    NoteUnderWay(put->unit, {.from = put->machine, .to = put->assignment.next_machine});
    if (IsToRun(*view_, put->unit)) NoteDown(put->unit, true);
  }
}

// Whether a voluntary move may begin (S6): its machine is being emptied already, or another one may
// be; and of each template so many instances may be down. Otherwise why not.
std::string EngineReconciler::WhatHoldsMove(const Group& group, const std::string& from) {
  std::map<std::string, std::pair<size_t, const Budget*>> moving;  // by template
  for (const Member& member : group) {
    const std::string template_name = TemplateOf(member.unit);
    // One that is down already may move, which may well mend it.
    if (template_name.empty() || down_.contains(member.unit) || !IsToRun(*view_, member.unit)) {
      continue;
    }
    auto& [count, budget] = moving[template_name];
    ++count;
    budget = &member.requirements->max_unavailable;
  }
  for (const auto& [template_name, count_and_budget] : moving) {
    const auto it = down_of_template_.find(template_name);
    if (it == down_of_template_.end()) continue;  // more at once than allowed, if they are tied
    const auto& [count, budget] = count_and_budget;
    const size_t allowed = budget->percent ? budget->Of(InstancesOf(template_name))
                                           : static_cast<size_t>(budget->amount);
    if (it->second + count > allowed) {
      return fmt::format("once other instances of {} are up (MaxUnavailable={})", template_name,
                         BudgetText(*budget));
    }
  }
  // More than are allowed are under way when a machine is back that was lost while it was emptied.
  const size_t machines = sources_.size() + (sources_.contains(from) ? 0 : 1);
  if (machines <= settings_.disruption_budget.Of(view_->machines.size())) return "";
  return "once others have moved (disruption budget)";
}

size_t EngineReconciler::InstancesOf(const std::string& template_name) {
  const auto [it, is_new] = instances_of_.try_emplace(template_name, 0);
  if (!is_new) return it->second;
  const std::string prefix = template_name.substr(0, template_name.find('@') + 1);
  for (auto unit = view_->units.lower_bound(prefix);
       unit != view_->units.end() && unit->first.starts_with(prefix); ++unit) {
    if (unit->second.value.desired == DesiredState::kLaunched &&
        TemplateOf(unit->first) == template_name) {
      ++it->second;
    }
  }
  return it->second;
}

bool EngineReconciler::IsEmptied(const std::string& machine) const {
  const auto* settings = view_->settings.Find(machine);
  if (settings == nullptr || !settings->value.IsEmptied()) return false;
  return settings->value.lock_granted || !IsOverdue(machine);
}

std::string EngineReconciler::WhyEmptied(const std::string& machine) const {
  const auto* settings = view_->settings.Find(machine);
  if (IsForced(machine)) {
    return fmt::format("machine {} is drained, and its deadline has passed", machine);
  }
  // What is left of a drain that has expired empties nothing.
  if (settings == nullptr ||
      (settings->value.drained && !settings->value.drain_expired && !IsOverdue(machine))) {
    return fmt::format("machine {} is drained", machine);
  }
  return fmt::format("machine {} is about to reboot (FleetLock)", machine);
}

// A placed unit, which may stay where it is but for a drain. True if something is decided about it.
bool EngineReconciler::JudgeDrained(const Member& member, const Placed& live,
                                    std::vector<Decision>& decisions) {
  if (!IsEmptied(live.machine)) return false;
  const Group group = GroupOn(member, live.machine);
  const bool in_flight = std::any_of(
      group.begin(), group.end(), [&](const Member& one) { return in_flight_.contains(one.unit); });
  const bool is_forced = IsForced(live.machine);
  const bool has_to_wait = FollowsOneInFlight(group);
  if (in_flight || (has_to_wait && !is_forced)) {
    HoldBack(member.unit);
    return false;
  }
  if (!is_forced && !WhatHoldsMove(group, live.machine).empty()) {
    queued_movers_.insert(member.unit);
    return false;
  }
  const auto target = has_to_wait ? std::nullopt : ChooseForDrain(group, live.machine);
  if (!target && !is_forced) {
    waiting_.insert(member.unit);  // judged again whenever room may have come up
    stuck_.insert(member.unit);
    return false;
  }
  Decision decision = Begin();
  for (const Member& one : group) {
    if (!decision.units.empty() &&
        (decision.units.size() == kMaxTogether || !HasRoomFor(decision, 2, *one.requirements))) {
      Emit(std::exchange(decision, Begin()), decisions);
    }
    AddUnit(decision, one.unit);
    decision.events.push_back(
        {target ? "moving" : "stopped", one.unit, live.machine, WhyEmptied(live.machine)});
    GuardUnit(decision, one.unit);
    AddGuard(decision, {Guard::Kind::kSettings, "", live.machine,
                        view_->settings.Find(live.machine)->mod_revision});
    PutTombstone(decision, one.unit, {live.machine, LiveOn(one, live.machine)},
                 target.value_or(""));
    if (!target) continue;
    GuardTarget(decision, *target);
    GuardFollowed(decision, *one.requirements, *target);
  }
  Emit(std::move(decision), decisions);
  return true;
}

// The best machine for them from where nobody has to leave for it: those that are to be in the
// zone of one of them (CollocateWithin) stay.
std::optional<std::string> EngineReconciler::ChooseForDrain(const Group& group,
                                                            const std::string& from) {
  const std::vector<Member> near = NearThem(group);
  if (near.empty()) return ChooseFor(group, from);
  auto& scheduler = occupancy_.scheduler();
  for (const scheduler::Slot target : scheduler.Ranked(IdsOf(group), scheduler.FindMachine(from))) {
    const std::string machine = scheduler.MachineName(target);
    std::vector<std::pair<scheduler::UnitId, Occupancy::Places>> before;
    for (const Member& member : group) {
      before.emplace_back(member.id, occupancy_.PretendOnlyOn(member.id, machine));
    }
    const bool may_stay = std::all_of(near.begin(), near.end(), [&](const Member& member) {
      const auto slot = scheduler.FindMachine(LiveOf(member)->machine);
      return !slot || !scheduler.IsPresent(*slot) ||
             scheduler.RulesOut(member.id, *slot, scheduler::As::kResident).empty();
    });
    for (const auto& [id, places] : before) occupancy_.Restore(id, places);
    if (may_stay) return machine;
  }
  return std::nullopt;
}

// Placed units that are to be in the zone of one of the group, and are not of it.
std::vector<EngineReconciler::Member> EngineReconciler::NearThem(const Group& group) {
  std::vector<Member> near;
  for (const Member& member : group) {
    for (const std::string& follower : occupancy_.FollowersOf(member.unit)) {
      const bool belongs = std::any_of(group.begin(), group.end(),
                                       [&](const Member& one) { return one.unit == follower; });
      if (belongs) continue;
      auto other = FindMember(follower);
      if (other && LiveOf(*other)) near.push_back(*std::move(other));
    }
  }
  return near;
}

// Whether a global unit has to stop on a machine that is emptied: not before those that share it.
bool EngineReconciler::EndsOnDrain(const std::string& global, const std::string& machine) {
  if (!IsEmptied(machine)) return false;
  const auto& followers = occupancy_.FollowersOf(global);
  const bool is_needed =
      std::any_of(followers.begin(), followers.end(), [&](const std::string& follower) {
        const auto* stored = view_->assignments.Find(UnitOnMachine{follower, machine});
        return stored != nullptr && !ReportedGone(*view_, follower, machine, stored->value);
      });
  return !is_needed;
}

// What a drain makes of a unit that is still there.
void EngineReconciler::ExplainDrained(const Member& member, const Placed& live,
                                      UnitExplanation& explained) {
  const Group group = GroupOn(member, live.machine);
  const auto target = ChooseForDrain(group, live.machine);
  const bool has_expired = !IsEmptied(live.machine);
  if (target && !has_expired) {
    const std::string held = IsForced(live.machine) ? "" : WhatHoldsMove(group, live.machine);
    explained.state = UnitExplanation::State::kMoving;
    explained.reason = fmt::format("{}: it moves {}", WhyEmptied(live.machine),
                                   held.empty() ? "to " + *target : held);
    return;
  }
  const std::string why = has_expired
                              ? fmt::format("it stays on {}, whose drain has expired", live.machine)
                              : fmt::format("{}, and it stays", WhyEmptied(live.machine));
  explained.state = UnitExplanation::State::kPlaced;
  if (target) {
    explained.reason = fmt::format("{}: drained again, it would go to {}", why, *target);
    return;
  }
  if (!FollowsOneInFlight(group) && ChooseFor(group, live.machine)) {
    explained.reason = fmt::format("{}: {} would have to leave to be near it (CollocateWithin)",
                                   why, NearThem(group).front().unit);
    return;
  }
  const auto slot = occupancy_.scheduler().FindMachine(live.machine);
  explained.explanation = occupancy_.scheduler().Explain(IdsOf(group), slot);
  explained.reason = fmt::format("{}: {}", why, explained.explanation.Summary());
}

std::vector<HeldUnit> EngineReconciler::FindHeld(const std::string& machine) {
  std::vector<HeldUnit> held;
  for (const std::string& unit : UnitsLeftOn(*view_, machine)) {
    const auto* stored = view_->assignments.Find(UnitOnMachine{unit, machine});
    const bool is_live = stored != nullptr && stored->value.state != AssignmentState::kGone;
    const UnitExplanation why = Explain(unit);
    HeldUnit one = {.unit = unit, .reason = why.reason};
    const bool is_global = why.state == UnitExplanation::State::kGlobal;
    const bool stays = is_global && is_live && WasLeftBehind(machine);
    if (IsStrayOn(unit, machine)) {
      held.push_back({.unit = unit,
                      .reason = "it runs there, and is in no record: adopt it, or stop it there",
                      .cannot_move = true});
      continue;
    }
    one.cannot_move = is_live && why.state != UnitExplanation::State::kMoving &&
                      (stays || !(is_global && EndsOnDrain(unit, machine)));
    if (stays) {
      one.reason = "it stays, since the drain has expired";
    } else if (is_global && one.cannot_move) {
      one.reason = "it stops once the units that share its machine have left it";
    } else if (is_global || one.reason.empty()) {
      one.reason = "it is being stopped";
    }
    held.push_back(std::move(one));
  }
  return held;
}

}  // namespace fleet::reconcile
