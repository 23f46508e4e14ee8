// What is checked of replicas and rollouts. See checker.h.

#include "base/budget.h"
#include "fmt/core.h"
#include "model/unit_status.h"
#include "reconcile/engine_facts.h"
#include "reconcile/rollout.h"
#include "sim/checker.h"

namespace fleet::sim {

// S6: a rollout has no more units down than it may. Those count that it has reached while they were
// to run, and that have not started since.
void Checker::CheckRolling(const ClusterView& before, const std::vector<Change>& changes) {
  std::set<std::string> reached;  // rollouts, by uid
  for (const Change& change : changes) {
    if (change.record != Change::Record::kUnit) continue;
    const auto* was = before.units.Find(change.name);
    const auto* is = view_->units.Find(change.name);
    if (was == nullptr || is == nullptr || was->value.uid != is->value.uid ||
        was->value.rollout == is->value.rollout || is->value.desired != DesiredState::kLaunched) {
      continue;
    }
    rolling_[change.name] = is->value.rollout;
    reached.insert(is->value.rollout);
  }
  std::erase_if(rolling_, [&](const auto& entry) {
    const auto* unit = view_->units.Find(entry.first);
    return unit == nullptr || unit->value.desired != DesiredState::kLaunched ||
           unit->value.rollout != entry.second ||
           StatusOf(*view_, *UnitName::Parse(entry.first)).progress == Progress::kReached;
  });
  for (const auto& [name, stored] : view_->rollouts) {
    const RolloutRecord& rollout = stored.value;
    const auto* unit = view_->units.Find(name);
    if (!reached.contains(rollout.uid) || unit == nullptr) continue;
    const auto needs = RequirementsOf(name, rollout.content_hash);
    if (needs == nullptr) continue;
    size_t down = 0;
    for (const auto& [one, uid] : rolling_) down += uid == rollout.uid ? 1 : 0;
    const auto budget = ParseBudget(rollout.max_unavailable);
    const size_t allowed = (budget.ok() ? *budget : needs->max_unavailable)
                               .Of(reconcile::UnitsOfRollout(*view_, name).size());
    if (down > allowed) {
      Violate("S6", fmt::format("the rollout of {} has {} units down, of at most {}", name, down,
                                allowed));
    }
  }
}

// L1: the instances are those that their template asks for.
void Checker::CheckReplicas() {
  const auto replicas_of = [&](const std::string& name) -> std::optional<int64_t> {
    const auto* unit = view_->units.Find(name);
    if (unit == nullptr) return 0;
    const auto needs = RequirementsOf(name, unit->value.content_hash);
    if (unit->value.replicas || needs == nullptr) return unit->value.replicas;
    return needs->replicas;
  };
  for (const auto& [unit, stored] : view_->units) {
    const auto name = UnitName::Parse(unit);
    if (!name.ok()) continue;
    if (stored.value.made_by_replicas) {
      const auto replicas = replicas_of(name->TemplateName());
      if (replicas && reconcile::NumberOf(*name) > replicas) {
        Violate("L1", fmt::format("{} is one instance too many, of {}", unit, *replicas));
      }
    }
    if (!name->is_template()) continue;
    const int64_t replicas = replicas_of(unit).value_or(0);
    for (int64_t number = 1; number <= replicas; ++number) {
      const std::string instance = fmt::format("{}@{}.{}", name->prefix(), number, name->suffix());
      if (view_->units.Find(instance) == nullptr) {
        Violate("L1", fmt::format("{} asks for {} instances, and {} is missing", unit, replicas,
                                  instance));
      }
    }
  }
}

// L4: a rollout has ended, or it can be said what it waits for.
void Checker::CheckRolloutsEnded() {
  for (const auto& [name, stored] : view_->rollouts) {
    const RolloutRecord& rollout = stored.value;
    if (view_->units.Find(name) == nullptr) {
      Violate("C3", fmt::format("the rollout of {} outlives it", name));
      continue;
    }
    if (rollout.state != RolloutState::kRunning) continue;
    if (reconcile::ProgressOf(*view_, name, rollout).not_started.empty()) {
      Violate("L4", fmt::format("the rollout of {} has not ended, and waits for nothing", name));
    }
  }
}

}  // namespace fleet::sim
