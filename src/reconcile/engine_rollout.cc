// Rollouts: a new text, or a restart, for the instances of templates and for units, a few at a
// time. What has been done follows from the units' records, which name the rollout that reached
// them last. See engine_reconciler.h for the whole.

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "base/budget.h"
#include "fmt/core.h"
#include "model/features.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/rollout.h"

namespace fleet::reconcile {

// The units that a rollout concerns, as they are now.
struct EngineReconciler::RolloutUnits {
  std::vector<RolloutStep> idle;  // to come, and not to run: nobody notices
  std::vector<RolloutStep> down;  // to come, and not running
  std::vector<RolloutStep> up;    // to come, and running
  std::vector<std::string> all;
  size_t total = 0;        // that are to run
  size_t unavailable = 0;  // of these: not running, or not for long enough
  size_t under_way = 0;    // of these: because of this rollout
  size_t waiting = 0;      // of these: have what it brings, and no machine to run it
  bool moving = false;     // one that it has reached may have to leave its machine yet
  std::string failed;      // the first one that it has reached and that has failed
  std::string why;
};

namespace {

// The report that it is up; null if it is not.
const StateReport* UpReportOf(const ClusterView& view, const std::string& unit) {
  for (auto it = FirstOf(view.states, unit); InUnit(it, view.states, unit); ++it) {
    const std::string& active = it->second.value.active_state;
    if (active == "active" || active == "activating" || active == "reloading") {
      return &it->second.value;
    }
  }
  return nullptr;
}

std::string KeyOf(const std::string& name) { return std::string(kRolloutPrefix) + name; }

}  // namespace

// The rollout of the unit or of its template, if it has anything to do with the unit.
void EngineReconciler::MarkRolloutOf(const std::string& unit) {
  if (view_->rollouts.empty()) return;
  if (view_->rollouts.Find(unit) != nullptr) MarkDirty(KeyOf(unit));
  const std::string template_name = TemplateOf(unit);
  if (!template_name.empty() && RunningRollout(template_name) != nullptr) {
    MarkDirty(KeyOf(template_name));
  }
}

// The instances' own rollouts, which wait for that of their template.
void EngineReconciler::MarkRolloutsOfInstances(const std::string& template_name) {
  if (!IsTemplate(template_name)) return;
  const std::string prefix = template_name.substr(0, template_name.find('@') + 1);
  for (auto it = view_->rollouts.lower_bound(prefix);
       it != view_->rollouts.end() && it->first.starts_with(prefix); ++it) {
    if (TemplateOf(it->first) == template_name) MarkDirty(KeyOf(it->first));
  }
}

const Stored<RolloutRecord>* EngineReconciler::RunningRollout(const std::string& name) const {
  const auto* stored = view_->rollouts.Find(name);
  return stored != nullptr && stored->value.state == RolloutState::kRunning ? stored : nullptr;
}

// Of a rollout of several names all is decided under the first of those.
void EngineReconciler::JudgeRollout(const std::string& key, std::vector<Decision>& decisions) {
  const std::string name = key.substr(kRolloutPrefix.size());
  held_back_.erase(key);
  if (view_->rollouts.Find(name) == nullptr || HasUnreadableRecord(*view_, name)) return;
  if (view_->units.Find(name) == nullptr) {
    Decision decision = Begin();
    AddRolloutRecord(decision, name, std::nullopt,
                     {"rollout-ended", name, "", "the unit was destroyed"});
    Emit(std::move(decision), decisions);
    return;
  }
  const auto* running = RunningRollout(name);
  if (running == nullptr) {
    // Health is watched anew once it goes on.
    if (!started_.empty()) {
      for (const std::string& unit : UnitsOfRollout(*view_, name)) started_.erase(unit);
    }
    return;
  }
  const RolloutRecord& rollout = running->value;
  std::vector<std::string> names;
  for (std::string& one : NamesOfRollout(*view_, name, rollout)) {
    // Two restarts would take their units from each other, without end: the template's goes first.
    if (RunningRollout(TemplateOf(one)) != nullptr) return;
    if (view_->units.Find(one) != nullptr && RunningRollout(one) != nullptr) {
      names.push_back(std::move(one));
    }
  }
  if (names.front() != name) {
    // Once in a pass, whoever of them asks for it: the view does not change meanwhile.
    if (!rolled_in_pass_.contains(names.front())) MarkDirty(KeyOf(names.front()));
    return;
  }
  rolled_in_pass_.insert(name);
  std::map<std::string, scheduler::RequirementsPtr> requirements;
  for (const std::string& one : names) {
    if (in_flight_.contains(one) || in_flight_.contains(KeyOf(one)) ||
        HasUnreadableRecord(*view_, one) || !WhatItLacks(view_->units.Find(one)->value).empty()) {
      return;
    }
  }
  for (const std::string& one : names) {
    const auto read = ReadRequirements(*view_, one, RunningRollout(one)->value.content_hash);
    if (!read.ok()) {
      return StopRollout(
          names, fmt::format("{} has failed: {}", one, std::string(read.status().message())),
          decisions);
    }
    if ((*read)->global) {
      return StopRollout(
          names, fmt::format("{} has failed: it is global, and changes everywhere at once", one),
          decisions);
    }
    requirements.emplace(one, *read);
  }
  RolloutUnits units;
  // What the units say themselves: the least of it.
  size_t allowed = std::numeric_limits<size_t>::max();
  for (const std::string& one : names) {
    const size_t before = units.total;
    FindRolloutUnits(one, requirements.at(one)->healthy_after, units);
    if (units.total == before) continue;
    const Budget& its = requirements.at(one)->max_unavailable;
    allowed = std::min(allowed, its.Of(units.total - before));
  }
  if (!units.failed.empty()) {
    return StopRollout(names, fmt::format("{} has failed: {}", units.failed, units.why), decisions);
  }
  const auto budget = ParseBudget(rollout.max_unavailable);
  const size_t at_once = budget.ok() ? budget->Of(units.total) : allowed;
  RolloutTrial trial;
  const auto steps = PickSteps(units, at_once, trial);
  EndTrial(trial);
  if (!trial.no_place.empty()) return StopRollout(names, trial.no_place, decisions);
  if (trial.has_to_wait) HoldBack(key);
  for (const RolloutStep& step : steps) {
    BringRollout(step, *requirements.at(step.name), decisions);
  }
  const bool has_more = !units.idle.empty() || !units.down.empty() || !units.up.empty();
  if (units.under_way == 0 && !has_more) EndRollout(names, units, decisions);
}

// Those whose turn it is, until one has no place or has to wait.
std::vector<EngineReconciler::RolloutStep> EngineReconciler::PickSteps(const RolloutUnits& units,
                                                                       size_t at_once,
                                                                       RolloutTrial& trial) {
  std::vector<RolloutStep> steps = units.idle;
  size_t under_way = units.under_way;
  size_t unavailable = units.unavailable;
  // Those that do not run cost nothing, and may run again with what is brought.
  for (const RolloutStep& step : units.down) {
    if (under_way >= at_once) return steps;
    TryStep(step, units.moving, trial);
    if (trial.has_to_wait || !trial.no_place.empty()) return steps;
    steps.push_back(step);
    ++under_way;
  }
  for (const RolloutStep& step : units.up) {
    if (under_way >= at_once) return steps;
    TryStep(step, units.moving, trial);
    // Also of the one whose turn is to come: a text without a place is not waited with.
    if (trial.has_to_wait || !trial.no_place.empty() || unavailable >= at_once) return steps;
    steps.push_back(step);
    ++under_way;
    ++unavailable;
  }
  return steps;
}

// Those of one name, added to what is known of the others.
void EngineReconciler::FindRolloutUnits(const std::string& name, absl::Duration healthy_after,
                                        RolloutUnits& units) {
  ++rollout_walks_;
  const RolloutRecord& rollout = view_->rollouts.Find(name)->value;
  for (const std::string& unit : UnitsOfRollout(*view_, name)) {
    const UnitRecord& record = view_->units.Find(unit)->value;
    const RolloutShare share = ShareIn(rollout, record);
    if (share == RolloutShare::kNone || HasUnreadableRecord(*view_, unit)) continue;
    units.all.push_back(unit);
    const bool is_to_come = share == RolloutShare::kToCome;
    if (record.desired != DesiredState::kLaunched) {
      if (rollout.restarts) continue;
      if (in_flight_.contains(unit)) {
        if (is_to_come) ++units.under_way;
      } else if (const auto* report = UpReportOf(*view_, unit); report != nullptr) {
        // A socket or a timer has started it. A new text stops it, until that happens again.
        ++units.total;
        if (is_to_come) {
          units.up.push_back({unit, name});
        } else if (report->content_hash != record.content_hash) {
          ++units.unavailable;
          ++units.under_way;
        }
      } else if (is_to_come) {
        units.idle.push_back({unit, name});
      }
      continue;
    }
    ++units.total;
    if (in_flight_.contains(unit)) {
      ++units.unavailable;
      ++units.under_way;
      units.moving = true;
      continue;
    }
    const UnitStatus status = StatusOf(*view_, *UnitName::Parse(unit));
    const bool has_started = status.progress == Progress::kReached;
    const bool has_ended = ServesNoMore(*view_, record.content_hash, status);
    if (is_to_come) {
      const bool is_up = has_started && !has_ended;
      if (!is_up) ++units.unavailable;
      (is_up ? units.up : units.down).push_back({unit, name});
      continue;
    }
    if (record.rollout != rollout.uid) {
      if (!has_started) ++units.unavailable;
      continue;
    }
    const absl::Time healthy_at = HealthyAt(unit, status, healthy_after);
    if (healthy_at <= now_ && !has_ended) continue;
    ++units.unavailable;
    if (status.progress == Progress::kWaiting) {
      // For a machine: its own may be gone. That says nothing of what is brought, which it has.
      ++units.waiting;
      continue;
    }
    ++units.under_way;
    units.moving = units.moving || !HasItsText(unit, record) || under_way_.contains(unit);
    if (has_started && !has_ended) {
      next_wakeup_ = std::min(next_wakeup_, healthy_at);
      at_wakeup_.insert(KeyOf(name));
    }
    const bool has_failed = has_ended || status.progress == Progress::kFailed;
    if (has_failed && units.failed.empty()) {
      units.failed = unit;
      units.why = has_ended ? "it has ended" : status.reason;
    }
  }
}

// Whether no machine is asked to run it with another text than its record says.
bool EngineReconciler::HasItsText(const std::string& unit, const UnitRecord& record) const {
  const auto placed = AssignmentsOf(unit);
  return std::all_of(placed.begin(), placed.end(), [&](const Placed& one) {
    const Assignment& assignment = one.stored->value;
    return assignment.state == AssignmentState::kGone || assignment.uid != record.uid ||
           assignment.content_hash == record.content_hash;
  });
}

// When a unit that a rollout has reached counts as healthy; InfiniteFuture while it has not
// started.
absl::Time EngineReconciler::HealthyAt(const std::string& unit, const UnitStatus& status,
                                       absl::Duration healthy_after) {
  if (status.progress != Progress::kReached || status.report == nullptr) {
    started_.erase(unit);
    return absl::InfiniteFuture();
  }
  const std::pair run = {status.report->generation, now_};
  auto& known = started_.try_emplace(unit, run).first->second;
  if (known.first != run.first) known = run;
  return known.second + healthy_after;
}

// It is the unit's turn.
void EngineReconciler::BringRollout(const RolloutStep& step, const Requirements& requirements,
                                    std::vector<Decision>& decisions) {
  const auto& [unit, name] = step;
  const RolloutRecord& rollout = view_->rollouts.Find(name)->value;
  Decision decision = Begin();
  AddUnit(decision, unit);
  GuardUnit(decision, unit);
  GuardRollout(decision, name);
  UnitRecord record = view_->units.Find(unit)->value;
  record.rollout = rollout.uid;
  std::string reason;
  if (rollout.restarts) {
    ++record.restarts;
    reason = fmt::format("rolling restart of {}", name);
  } else {
    record = WithText(std::move(record), rollout.content_hash, requirements);
    GuardContent(decision, record.content_hash);
    reason = fmt::format("rolling {} of {}", IsRollBack(rollout) ? "back" : "update", name);
  }
  decision.events.push_back({"rolling", unit, "", std::move(reason)});
  if (record.desired == DesiredState::kLaunched) NoteDown(unit, true);
  decision.writes.emplace_back(PutUnit{unit, std::move(record)});
  Emit(std::move(decision), decisions);
}

// It cannot go on: it pauses, or what it brought is taken back.
void EngineReconciler::StopRollout(const std::vector<std::string>& names, const std::string& reason,
                                   std::vector<Decision>& decisions) {
  const bool may_go_back = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    const RolloutRecord& rollout = view_->rollouts.Find(name)->value;
    return rollout.rolls_back && !rollout.restarts && !IsRollBack(rollout) &&
           view_->contents.Find(rollout.former_hash) != nullptr;
  });
  if (may_go_back) return RollBack(names, reason, decisions);
  Decision decision = Begin();
  for (const std::string& name : names) {
    RolloutRecord rollout = view_->rollouts.Find(name)->value;
    rollout.state = RolloutState::kPaused;
    rollout.reason = IsRollBack(rollout)
                         ? fmt::format("{}; then, rolling back, {}", rollout.reason, reason)
                         : reason;
    AddRolloutRecord(decision, name, std::move(rollout), {"rollout-paused", name, "", reason});
  }
  Emit(std::move(decision), decisions);
}

void EngineReconciler::RollBack(const std::vector<std::string>& names, const std::string& why,
                                std::vector<Decision>& decisions) {
  Decision decision = Begin();
  for (const std::string& name : names) {
    const RolloutRecord& failed = view_->rollouts.Find(name)->value;
    const auto* unit = view_->units.Find(name);
    RolloutRecord back = RollBackOf(failed, why, wall_now_);
    GuardContent(decision, back.content_hash);
    // Unless the template has been given yet another text since.
    if (IsTemplate(name) && unit->value.content_hash == failed.content_hash) {
      const auto requirements = ReadRequirements(*view_, name, back.content_hash);
      UnitRecord record = unit->value;
      record.content_hash = back.content_hash;
      if (requirements.ok()) record.features = FeaturesOf(**requirements);
      AddUnit(decision, name);
      decision.writes.emplace_back(PutUnit{name, std::move(record)});
    }
    AddRolloutRecord(decision, name, std::move(back), {"rolling-back", name, "", why});
  }
  Emit(std::move(decision), decisions);
}

void EngineReconciler::EndRollout(const std::vector<std::string>& names, const RolloutUnits& units,
                                  std::vector<Decision>& decisions) {
  for (const std::string& unit : units.all) started_.erase(unit);
  const std::string with_it =
      units.waiting == 0 ? "all its units run with it"
                         : fmt::format("all its units have it, {} of {} wait for a machine",
                                       units.waiting, units.total);
  Decision decision = Begin();
  for (const std::string& name : names) {
    RolloutRecord rollout = view_->rollouts.Find(name)->value;
    const bool was_taken_back = IsRollBack(rollout);
    rollout.state = was_taken_back ? RolloutState::kFailed : RolloutState::kDone;
    const std::string reason =
        was_taken_back ? fmt::format("rolled back: {}", rollout.reason) : with_it;
    AddRolloutRecord(decision, name, std::move(rollout), {"rollout-ended", name, "", reason});
  }
  Emit(std::move(decision), decisions);
}

// nullopt: it is deleted.
void EngineReconciler::AddRolloutRecord(Decision& decision, const std::string& name,
                                        std::optional<RolloutRecord> record,
                                        EventEntry event) const {
  AddUnit(decision, KeyOf(name));
  GuardRollout(decision, name);
  GuardUnit(decision, name);
  decision.events.push_back(std::move(event));
  decision.writes.emplace_back(PutRollout{name, std::move(record)});
}

}  // namespace fleet::reconcile
