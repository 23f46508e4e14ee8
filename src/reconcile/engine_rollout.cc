// Rollouts: a new text, or a restart, for the instances of a template (or for one unit), a few at a
// time. What has been done follows from the units' records, which name the rollout that reached
// them last. See engine_reconciler.h for the whole.

#include <algorithm>
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
  std::vector<std::string> idle;  // to come, and not to run: nobody notices
  std::vector<std::string> down;  // to come, and not running
  std::vector<std::string> up;    // to come, and running
  std::vector<std::string> all;
  size_t total = 0;        // that are to run
  size_t unavailable = 0;  // of these: not running, or not for long enough
  size_t under_way = 0;    // of these: because of this rollout
  std::string failed;      // the first one that it has reached and that has failed
  std::string why;
};

namespace {

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

const Stored<RolloutRecord>* EngineReconciler::RunningRollout(const std::string& name) const {
  const auto* stored = view_->rollouts.Find(name);
  return stored != nullptr && stored->value.state == RolloutState::kRunning ? stored : nullptr;
}

void EngineReconciler::JudgeRollout(const std::string& key, std::vector<Decision>& decisions) {
  const std::string name = key.substr(kRolloutPrefix.size());
  if (view_->rollouts.Find(name) == nullptr || HasUnreadableRecord(*view_, name)) return;
  const auto* unit = view_->units.Find(name);
  if (unit == nullptr) {
    PutRolloutRecord(name, std::nullopt, {"rollout-ended", name, "", "the unit was destroyed"},
                     Begin(), decisions);
    return;
  }
  const auto* running = RunningRollout(name);
  if (running == nullptr || in_flight_.contains(name) ||
      !UnknownFeature(unit->value.features).empty())
    return;
  const RolloutRecord& rollout = running->value;
  const auto requirements = ReadRequirements(*view_, name, rollout.content_hash);
  if (!requirements.ok()) {
    StopRollout(name, name, std::string(requirements.status().message()), decisions);
    return;
  }
  if ((*requirements)->global) {
    StopRollout(name, name, "it is global, and changes everywhere at once", decisions);
    return;
  }
  const RolloutUnits units = FindRolloutUnits(name, rollout, (*requirements)->healthy_after);
  if (!units.failed.empty()) {
    StopRollout(name, units.failed, units.why, decisions);
    return;
  }
  const auto budget = ParseBudget(rollout.max_unavailable);
  const size_t at_once = (budget.ok() ? *budget : (*requirements)->max_unavailable).Of(units.total);
  const auto bring = [&](const std::string& one) {
    BringRollout(name, one, **requirements, decisions);
  };
  std::for_each(units.idle.begin(), units.idle.end(), bring);
  size_t under_way = units.under_way;
  size_t unavailable = units.unavailable;
  // Those that do not run cost nothing, and may run again with what is brought.
  for (const std::string& one : units.down) {
    if (under_way >= at_once) return;
    bring(one);
    ++under_way;
  }
  for (const std::string& one : units.up) {
    if (under_way >= at_once || unavailable >= at_once) return;
    bring(one);
    ++under_way;
    ++unavailable;
  }
  if (under_way == 0 && units.idle.empty()) EndRollout(name, units.all, decisions);
}

EngineReconciler::RolloutUnits EngineReconciler::FindRolloutUnits(const std::string& name,
                                                                  const RolloutRecord& rollout,
                                                                  absl::Duration healthy_after) {
  RolloutUnits units;
  for (const std::string& unit : UnitsOfRollout(*view_, name)) {
    const UnitRecord& record = view_->units.Find(unit)->value;
    const RolloutShare share = ShareIn(rollout, record);
    if (share == RolloutShare::kNone || HasUnreadableRecord(*view_, unit)) continue;
    units.all.push_back(unit);
    const bool is_to_come = share == RolloutShare::kToCome;
    if (record.desired != DesiredState::kLaunched) {
      if (!is_to_come || rollout.restarts) continue;
      if (in_flight_.contains(unit)) {
        ++units.under_way;
      } else {
        units.idle.push_back(unit);
      }
      continue;
    }
    ++units.total;
    if (in_flight_.contains(unit)) {
      ++units.unavailable;
      ++units.under_way;
      continue;
    }
    const UnitStatus status = StatusOf(*view_, *UnitName::Parse(unit));
    const bool has_started = status.progress == Progress::kReached;
    if (is_to_come) {
      if (!has_started) ++units.unavailable;
      (has_started ? units.up : units.down).push_back(unit);
      continue;
    }
    if (record.rollout != rollout.uid) {
      if (!has_started) ++units.unavailable;
      continue;
    }
    const absl::Time healthy_at = HealthyAt(unit, status, healthy_after);
    if (healthy_at <= now_) continue;
    ++units.unavailable;
    ++units.under_way;
    if (has_started) {
      next_wakeup_ = std::min(next_wakeup_, healthy_at);
      at_wakeup_.insert(KeyOf(name));
    }
    const bool has_failed =
        status.progress == Progress::kFailed || status.progress == Progress::kWaiting;
    if (has_failed && units.failed.empty()) {
      units.failed = unit;
      units.why = status.reason;
    }
  }
  return units;
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
void EngineReconciler::BringRollout(const std::string& name, const std::string& unit,
                                    const Requirements& requirements,
                                    std::vector<Decision>& decisions) {
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
    // What was noted judges another text.
    record = WithoutNotes(std::move(record));
    record.failed_on.clear();
    record.content_hash = rollout.content_hash;
    record.features = FeaturesOf(requirements);
    GuardContent(decision, record.content_hash);
    reason = fmt::format("rolling {} of {}", IsRollBack(rollout) ? "back" : "update", name);
  }
  decision.events.push_back({"rolling", unit, "", std::move(reason)});
  decision.writes.emplace_back(PutUnit{unit, std::move(record)});
  Emit(std::move(decision), decisions);
}

// A unit that it has reached has failed: it pauses, or what it brought is taken back.
void EngineReconciler::StopRollout(const std::string& name, const std::string& failed,
                                   const std::string& why, std::vector<Decision>& decisions) {
  RolloutRecord rollout = view_->rollouts.Find(name)->value;
  const std::string reason = fmt::format("{} has failed: {}", failed, why);
  const bool is_way_back = IsRollBack(rollout);
  if (rollout.rolls_back && !rollout.restarts && !is_way_back &&
      view_->contents.Find(rollout.former_hash) != nullptr) {
    RollBack(name, reason, decisions);
    return;
  }
  rollout.state = RolloutState::kPaused;
  rollout.reason =
      is_way_back ? fmt::format("{}; then, rolling back, {}", rollout.reason, reason) : reason;
  PutRolloutRecord(name, std::move(rollout), {"rollout-paused", name, "", reason}, Begin(),
                   decisions);
}

void EngineReconciler::RollBack(const std::string& name, const std::string& why,
                                std::vector<Decision>& decisions) {
  const RolloutRecord& failed = view_->rollouts.Find(name)->value;
  const auto* unit = view_->units.Find(name);
  RolloutRecord back = RollBackOf(failed, why, now_);
  Decision decision = Begin();
  GuardUnit(decision, name);
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
  PutRolloutRecord(name, std::move(back), {"rolling-back", name, "", why}, std::move(decision),
                   decisions);
}

void EngineReconciler::EndRollout(const std::string& name, const std::vector<std::string>& units,
                                  std::vector<Decision>& decisions) {
  for (const std::string& unit : units) started_.erase(unit);
  RolloutRecord rollout = view_->rollouts.Find(name)->value;
  const bool was_taken_back = IsRollBack(rollout);
  rollout.state = was_taken_back ? RolloutState::kFailed : RolloutState::kDone;
  const std::string reason =
      was_taken_back ? fmt::format("rolled back: {}", rollout.reason) : "all its units run with it";
  PutRolloutRecord(name, std::move(rollout), {"rollout-ended", name, "", reason}, Begin(),
                   decisions);
}

void EngineReconciler::PutRolloutRecord(const std::string& name,
                                        std::optional<RolloutRecord> record, EventEntry event,
                                        Decision decision, std::vector<Decision>& decisions) {
  AddUnit(decision, KeyOf(name));
  GuardRollout(decision, name);
  GuardUnit(decision, name);
  decision.events.push_back(std::move(event));
  decision.writes.emplace_back(PutRollout{name, std::move(record)});
  Emit(std::move(decision), decisions);
}

}  // namespace fleet::reconcile
