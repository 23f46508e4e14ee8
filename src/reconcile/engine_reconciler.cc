#include "reconcile/engine_reconciler.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "reconcile/engine_facts.h"

namespace fleet::reconcile {

EngineReconciler::EngineReconciler(EngineSettings settings)
    : settings_(std::move(settings)),
      view_(std::make_shared<const ClusterView>()),
      occupancy_(settings_.placement),
      absences_(settings_),
      mass_loss_(settings_.mass_loss_hold) {}

void EngineReconciler::Apply(const ViewChange& change) {
  const ClusterViewPtr before = std::exchange(view_, change.view);
  if (change.other_history || view_->revision < before->revision) {
    ForgetInFlight();
    other_history_ = true;
  }
  instances_of_.clear();
  LandInFlight();
  if (change.reset) {
    // Units that are gone from the view have to be noticed too.
    for (const auto& [unit, record] : before->units) MarkUnit(unit);
    for (const auto& [place, assignment] : before->assignments) MarkUnit(place.unit);
    for (const auto& [place, state] : before->states) MarkUnit(place.unit);
    for (const auto& [machine, record] : before->machines) MarkMachine(machine);
    ApplyReset();
    return;
  }
  for (const Change& one : change.changes) {
    ApplyOne(one);
    // What it was one rollout with goes on without it.
    const auto* rollout =
        one.record == Change::Record::kRollout ? before->rollouts.Find(one.name) : nullptr;
    if (rollout == nullptr) continue;
    for (const std::string& other : rollout->value.together) MarkRolloutOf(other);
  }
}

void EngineReconciler::ApplyReset() {
  // Settings of machines that are away count, too.
  std::erase_if(askers_, [&](const auto& asker) { return !view_->settings.Find(asker.first); });
  forgotten_.clear();
  timed_drains_.clear();
  for (const auto& [machine, settings] : view_->settings) {
    SyncForgotten(machine);
    SyncAsker(machine);
    SyncDeadline(machine);
  }
  MarkFeatures();
  for (const auto& [machine, record] : view_->machines) SyncMachine(machine);
  for (const auto& [unit, record] : view_->units) MarkUnit(unit);
  for (const auto& [place, assignment] : view_->assignments) MarkUnit(place.unit);
  for (const auto& [place, state] : view_->states) MarkUnit(place.unit);
  for (const auto& [name, rollout] : view_->rollouts) MarkRolloutOf(name);
}

void EngineReconciler::ApplyOne(const Change& change) {
  switch (change.record) {
    case Change::Record::kUnit:
    case Change::Record::kAssignment:
    case Change::Record::kState:
      MarkUnit(change.name);
      break;
    case Change::Record::kMachine:
    case Change::Record::kSettings:
      // The machine of a settings record has the same name.
      MarkMachine(change.name);
      break;
    case Change::Record::kRollout:
      MarkRolloutOf(change.name);
      MarkRolloutsOfInstances(change.name);
      break;
    case Change::Record::kContent:  // put together with the units that refer to it
    case Change::Record::kLeader:   // the engine's shell follows it
      break;
    case Change::Record::kCluster:  // the others are looked at by each Decide()
      if (change.name == "features") {
        MarkFeatures();
        MarkAllDirty(waiting_);
      }
      break;
  }
}

void EngineReconciler::SyncMachine(const std::string& machine) {
  const auto* record = view_->machines.Find(machine);
  MarkFeatures();
  SyncForgotten(machine);
  if (absences_.Note(machine, record == nullptr ? nullptr : &record->value)) {
    presence_changed_ = true;
  }
  SyncAsker(machine);
  SyncDeadline(machine);
  const auto* settings = view_->settings.Find(machine);
  const bool is_open = record != nullptr && !record->value.leaving &&
                       (settings == nullptr || !settings->value.IsClosed());
  if (is_open != open_machines_.contains(machine)) {
    machines_changed_ = true;
    machine_came_ = machine_came_ || is_open;
    if (is_open) {
      open_machines_.insert(machine);
    } else {
      open_machines_.erase(machine);
    }
  }
  occupancy_.SyncMachine(*view_, machine);
}

void EngineReconciler::MarkMachine(const std::string& machine) {
  SyncMachine(machine);
  for (const std::string& unit : occupancy_.UnitsOn(machine)) {
    MarkUnit(unit);  // what it is counted as follows from which of its machines are there
    MarkAllDirty(occupancy_.FollowersOf(unit));  // elsewhere in the machine's zone
  }
  MarkAllDirty(occupancy_.globals());
  MarkAllDirty(waiting_);
  MarkAllDirty(queued_movers_);
}

void EngineReconciler::MarkUnit(const std::string& unit) {
  MarkDirty(unit);
  MarkRolloutOf(unit);
  if (!in_flight_.contains(unit)) SyncUnit(unit);
}

void EngineReconciler::SyncUnit(const std::string& unit) {
  const auto before = occupancy_.LastRequirementsOf(unit);
  MarkThoseThatWaitWith(unit);
  if (occupancy_.SyncUnit(*view_, unit)) MarkAllDirty(waiting_);
  if (!waiting_.empty() && (before != occupancy_.LastRequirementsOf(unit) || !IsWanted(unit))) {
    MarkThoseThatWaitWith(unit);  // by its old text, and by the new one
    // What it followed may be pushed out now.
    if (before != nullptr && Follows(*before)) {
      for (const auto& [key, other] : by_priority_) MarkDirty(other);
    }
  }
  SyncMover(unit);
  SyncUnderWay(unit);
  MarkAllDirty(occupancy_.FollowersOf(unit));
  MarkAllDirty(held_back_);
}

// Units that have to share a machine are refused together: what happens to one concerns all.
void EngineReconciler::MarkThoseThatWaitWith(const std::string& unit) {
  if (waiting_.empty()) return;
  std::vector<std::string> next = {unit};
  absl::flat_hash_set<std::string> seen = {unit};
  const auto visit = [&](const std::string& name) {
    if (!waiting_.contains(name) || !seen.insert(name).second) return;
    MarkDirty(name);
    next.push_back(name);
  };
  while (!next.empty()) {
    const std::string current = std::move(next.back());
    next.pop_back();
    for (const std::string& follower : occupancy_.FollowersOf(current)) visit(follower);
    const auto requirements = occupancy_.LastRequirementsOf(current);
    if (requirements == nullptr) continue;
    for (const std::string& followed : requirements->machine_of) visit(followed);
  }
}

// A unit that has come to a machine can be pushed out again.
void EngineReconciler::MarkThoseThatCouldPushOut(const std::string& unit) {
  const auto requirements = occupancy_.LastRequirementsOf(unit);
  if (requirements == nullptr || !requirements->Reserves()) return;
  for (const auto& [key, waiting] : by_priority_) {
    if (~key <= requirements->priority) return;
    MarkDirty(waiting);
  }
}

void EngineReconciler::ForgetWaiting(const std::string& unit) {
  waiting_.erase(unit);
  stuck_.erase(unit);
  const auto it = waiting_for_room_.find(unit);
  if (it == waiting_for_room_.end()) return;
  by_priority_.erase({it->second, unit});
  waiting_for_room_.erase(it);
}

void EngineReconciler::MarkDirty(const std::string& unit) {
  if (!dirty_.insert(unit).second || !deciding_) return;
  queue_.emplace(~occupancy_.PriorityOf(unit), unit);
}

void EngineReconciler::LandInFlight() {
  while (!landing_.empty() && landing_.begin()->first <= view_->revision) {
    Land(landing_.extract(landing_.begin()).value().second);
  }
}

void EngineReconciler::Land(const std::string& unit) {
  const auto it = in_flight_.find(unit);
  // Something else may have been decided about it meanwhile.
  if (it == in_flight_.end() || !it->second.undecided.empty() ||
      it->second.until_revision > view_->revision) {
    return;
  }
  in_flight_.erase(it);
  if (unit == kFeaturesKey) MarkFeatures();
  MarkUnit(unit);
  MarkThoseThatCouldPushOut(unit);
  EndGrant(unit);
}

void EngineReconciler::OnCommitted(uint64_t decision, int64_t revision) {
  Resolve(decision, revision);
}

void EngineReconciler::OnRejected(uint64_t decision, int64_t revision) {
  Resolve(decision, revision);
}

void EngineReconciler::OnFailed(uint64_t decision) { Resolve(decision, 0); }

void EngineReconciler::Resolve(uint64_t decision, int64_t until_revision) {
  const auto node = units_of_decision_.extract(decision);
  if (node.empty()) return;
  for (const std::string& unit : node.mapped()) {
    const auto it = in_flight_.find(unit);
    if (it == in_flight_.end()) continue;
    InFlight& in_flight = it->second;
    in_flight.undecided.erase(decision);
    in_flight.until_revision = std::max(in_flight.until_revision, until_revision);
    if (in_flight.undecided.empty()) landing_.emplace(in_flight.until_revision, unit);
  }
  LandInFlight();
}

void EngineReconciler::ForgetInFlight() {
  units_of_decision_.clear();
  landing_.clear();
  const auto forgotten = std::exchange(in_flight_, {});
  for (const auto& [unit, in_flight] : forgotten) {
    if (unit == kFeaturesKey) MarkFeatures();
    MarkUnit(unit);
    EndGrant(unit);
  }
}

void EngineReconciler::BeginLeading(absl::Time now) {
  ForgetInFlight();
  // A cluster that has no id yet is new: no machine can be away from it.
  features_from_ = view_->cluster_id ? now + settings_.ttl : now;
  absences_.BeginLeading(now, AbsentOnesWithUnits());
  mass_loss_.Reset();
  started_.clear();
  presence_changed_ = true;
  JudgeAll();
  // Whoever led before has seen these machines come.
  machines_changed_ = machine_came_ = rebalance_is_due_ = false;
}

void EngineReconciler::JudgeAll() {
  ApplyReset();
  ForgetAbsent();
}

std::vector<Decision> EngineReconciler::Decide(absl::Time now, absl::Time wall_now) {
  now_ = now;
  wall_now_ = wall_now;
  absences_.Advance(now);
  if (std::exchange(other_history_, false)) silent_until_ = now + settings_.ttl;
  if (now < silent_until_) {
    MarkAllDirty(std::exchange(at_wakeup_, {}));
    next_wakeup_ = silent_until_;
    return {};
  }
  if (now >= next_wakeup_) {
    next_wakeup_ = absl::InfiniteFuture();
    MarkAllDirty(std::exchange(at_wakeup_, {}));
  }
  SyncUnsteady();
  rolled_in_pass_.clear();
  std::vector<Decision> decisions;
  JudgeMassLoss(decisions);
  EnableFeatures(decisions);
  // Nothing comes to these machines any more; but they are told last, since what is decided about
  // them otherwise is guarded by the settings that this changes.
  std::vector<Decision> settings;
  ExpireDrains(settings);
  if (!askers_.empty()) GrantSlots(settings);
  deciding_ = true;
  for (const std::string& unit : dirty_) queue_.emplace(~occupancy_.PriorityOf(unit), unit);
  while (!queue_.empty()) {
    const std::string unit = queue_.extract(queue_.begin()).value().second;
    if (dirty_.erase(unit) > 0) Judge(unit, decisions);
  }
  deciding_ = false;
  if (!forgotten_.empty()) ClearForgotten(decisions);
  std::move(settings.begin(), settings.end(), std::back_inserter(decisions));
  if (settings_.rebalances) BeginRebalance(decisions);
  return decisions;
}

absl::Time EngineReconciler::NextWakeup() const {
  if (!rebalance_is_due_) return next_wakeup_;
  const absl::Time rebalance_at = quiet_since_ + settings_.rebalance_after;
  // Past it, it waits for what is under way, not for the time.
  return rebalance_at > now_ ? std::min(next_wakeup_, rebalance_at) : next_wakeup_;
}

}  // namespace fleet::reconcile
