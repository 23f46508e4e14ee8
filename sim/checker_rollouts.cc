// What is checked of replicas and rollouts. See checker.h.

#include <algorithm>
#include <cstdint>

#include "base/budget.h"
#include "fmt/core.h"
#include "model/unit_status.h"
#include "reconcile/engine_facts.h"
#include "reconcile/rollout.h"
#include "sim/checker.h"

namespace fleet::sim {

// S6: a rollout takes no unit down if as many are down as may be. Those count that it has reached
// while they were to run, and that have not started since.
void Checker::CheckRolling(const ClusterView& before, const std::vector<Change>& changes) {
  std::set<std::string> reached;  // rollouts that have taken something down, by uid
  for (const Change& change : changes) {
    if (change.record != Change::Record::kUnit) continue;
    const auto* was = before.units.Find(change.name);
    const auto* is = view_->units.Find(change.name);
    if (was == nullptr || is == nullptr || was->value.uid != is->value.uid ||
        was->value.rollout == is->value.rollout || is->value.desired != DesiredState::kLaunched) {
      continue;
    }
    CheckFits(before, change.name, is->value);
    rolling_[change.name] = is->value.rollout;
    const auto progress = StatusOf(before, *UnitName::Parse(change.name)).progress;
    if (progress == Progress::kReached) reached.insert(is->value.rollout);
  }
  std::erase_if(rolling_, [&](const auto& entry) {
    const auto* unit = view_->units.Find(entry.first);
    return unit == nullptr || unit->value.desired != DesiredState::kLaunched ||
           unit->value.rollout != entry.second ||
           StatusOf(*view_, *UnitName::Parse(entry.first)).progress == Progress::kReached;
  });
  for (const std::string& uid : reached) CheckAtOnce(uid);
}

// S3: a rollout stops nothing that runs for a text that fits no machine, whatever else there is.
void Checker::CheckFits(const ClusterView& before, const std::string& unit,
                        const UnitRecord& record) {
  const auto needs = RequirementsOf(unit, record.content_hash);
  if (needs == nullptr || StatusOf(before, *UnitName::Parse(unit)).progress != Progress::kReached) {
    return;
  }
  const auto zones = needs->metadata.find("zone");
  if (zones != needs->metadata.end() && zones->second.contains("nowhere")) {
    Violate("S3", fmt::format("{} has got a text by a rollout that fits nowhere", unit));
  }
}

void Checker::CheckAtOnce(const std::string& uid) {
  std::set<std::string> concerned;  // not those of a name that another rollout has taken since
  size_t least = SIZE_MAX;          // of what its units say
  std::string at_once;
  std::string names;
  for (const auto& [name, stored] : view_->rollouts) {
    const RolloutRecord& rollout = stored.value;
    if (rollout.uid != uid || view_->units.Find(name) == nullptr) continue;
    const auto needs = RequirementsOf(name, rollout.content_hash);
    if (needs == nullptr) return;
    const auto units = reconcile::UnitsOfRollout(*view_, name);
    concerned.insert(units.begin(), units.end());
    if (!units.empty()) least = std::min(least, needs->max_unavailable.Of(units.size()));
    at_once = rollout.max_unavailable;
    names += " " + name;
  }
  if (concerned.empty()) return;
  size_t down = 0;
  for (const auto& [unit, its] : rolling_) down += its == uid && concerned.contains(unit) ? 1 : 0;
  const auto budget = ParseBudget(at_once);
  const size_t allowed = budget.ok() ? budget->Of(concerned.size()) : least;
  if (down > allowed) {
    Violate("S6",
            fmt::format("the rollout of{} has {} units down, of at most {}", names, down, allowed));
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
    for (const std::string& other : reconcile::NamesOfRollout(*view_, name, rollout)) {
      if (view_->units.Find(other) != nullptr &&
          view_->rollouts.Find(other)->value.state != rollout.state) {
        Violate("L4",
                fmt::format("{} and {} are one rollout, and one of them has ended", name, other));
      }
    }
    if (rollout.state != RolloutState::kRunning) continue;
    if (reconcile::ProgressOf(*view_, name, rollout).not_started.empty()) {
      Violate("L4", fmt::format("the rollout of {} has not ended, and waits for nothing", name));
    }
  }
}

}  // namespace fleet::sim
