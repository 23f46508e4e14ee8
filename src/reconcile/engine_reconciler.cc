#include "reconcile/engine_reconciler.h"

#include <algorithm>
#include <utility>

namespace fleet::reconcile {

EngineReconciler::EngineReconciler(absl::Duration ttl)
    : ttl_(ttl), view_(std::make_shared<const ClusterView>()) {}

void EngineReconciler::Apply(const ViewChange& change) {
  const ClusterViewPtr before = std::exchange(view_, change.view);
  if (view_->revision < before->revision) ForgetInFlight();  // another history
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
  for (const Change& one : change.changes) ApplyOne(one);
}

void EngineReconciler::ApplyReset() {
  for (const auto& [machine, record] : view_->machines) MarkMachine(machine);
  for (const auto& [unit, record] : view_->units) MarkUnit(unit);
  for (const auto& [place, assignment] : view_->assignments) MarkUnit(place.unit);
  for (const auto& [place, state] : view_->states) MarkUnit(place.unit);
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
    case Change::Record::kContent:  // put together with the units that refer to it
    case Change::Record::kLeader:   // the engine's shell follows it
      break;
  }
}

void EngineReconciler::MarkMachine(const std::string& machine) {
  if (view_->machines.Find(machine) != nullptr) seen_machines_.insert(machine);
  occupancy_.SyncMachine(*view_, machine);
  const auto& units = occupancy_.UnitsOn(machine);
  dirty_.insert(units.begin(), units.end());
  dirty_.insert(occupancy_.globals().begin(), occupancy_.globals().end());
  dirty_.insert(waiting_.begin(), waiting_.end());
}

void EngineReconciler::MarkUnit(const std::string& unit) {
  dirty_.insert(unit);
  if (!in_flight_.contains(unit)) SyncUnit(unit);
}

void EngineReconciler::SyncUnit(const std::string& unit) {
  if (occupancy_.SyncUnit(*view_, unit)) dirty_.insert(waiting_.begin(), waiting_.end());
  const auto& followers = occupancy_.FollowersOf(unit);
  dirty_.insert(followers.begin(), followers.end());
  dirty_.insert(held_back_.begin(), held_back_.end());
}

void EngineReconciler::LandInFlight() {
  for (auto it = in_flight_.begin(); it != in_flight_.end();) {
    if (!it->second.undecided.empty() || it->second.until_revision > view_->revision) {
      ++it;
      continue;
    }
    const std::string unit = it->first;
    it = in_flight_.erase(it);
    MarkUnit(unit);
  }
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
    it->second.undecided.erase(decision);
    it->second.until_revision = std::max(it->second.until_revision, until_revision);
  }
  LandInFlight();
}

void EngineReconciler::ForgetInFlight() {
  units_of_decision_.clear();
  for (const auto& [unit, in_flight] : std::exchange(in_flight_, {})) MarkUnit(unit);
}

void EngineReconciler::BeginLeading(absl::Time now) {
  leading_since_ = now;
  ForgetInFlight();
  JudgeAll();
}

void EngineReconciler::JudgeAll() { ApplyReset(); }

std::vector<Decision> EngineReconciler::Decide(absl::Time now) {
  now_ = now;
  if (now >= next_wakeup_) {
    next_wakeup_ = absl::InfiniteFuture();
    dirty_.merge(std::exchange(at_wakeup_, {}));
  }
  std::vector<Decision> decisions;
  while (!dirty_.empty()) {
    const std::string unit = *dirty_.begin();
    dirty_.erase(dirty_.begin());
    Judge(unit, decisions);
  }
  return decisions;
}

}  // namespace fleet::reconcile
