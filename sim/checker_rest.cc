// What is checked once all has come to rest. See checker.h.

#include <algorithm>
#include <utility>

#include "fmt/core.h"
#include "model/unit_status.h"
#include "reconcile/engine_facts.h"
#include "reconcile/rollout.h"
#include "sim/checker.h"

namespace fleet::sim {

namespace {

bool IsLive(const Assignment& assignment) { return assignment.state != AssignmentState::kGone; }

// Where it stands in the way of a plain answer to "could it be placed?"
bool StandsAlone(const Requirements& needs) {
  return needs.machine_of.empty() && needs.collocate_within.empty() && needs.replaces.empty();
}

}  // namespace

const MachineTruth* Checker::TruthOf(const std::string& id) const {
  for (const auto& [name, truth] : truth_) {
    if (truth.id == id && !truth.is_duplicate) return &truth;
  }
  return nullptr;
}

void Checker::CheckConverged() {
  truth_ = machines_();
  for (const auto& [name, machine] : truth_) {
    if (machine.is_duplicate || !machine.runs_fleetd) continue;
    if (view_->machines.Find(machine.id) == nullptr) {
      Violate("L1", machine.id + " has not joined");
    }
  }
  for (const auto& [unit, record] : view_->units) {
    const auto parsed = UnitName::Parse(unit);
    if (!parsed.ok() || parsed->is_template()) continue;
    const auto needs = RequirementsOf(unit, record.value.content_hash);
    if (needs == nullptr) continue;
    if (record.value.desired != DesiredState::kInactive) CheckWanted(unit, record.value, *needs);
  }
  for (const auto& [place, assignment] : view_->assignments) {
    const auto* record = view_->units.Find(place.unit);
    const bool wanted = record != nullptr && record->value.desired != DesiredState::kInactive;
    if (view_->machines.Find(place.machine) == nullptr) continue;
    if (!wanted || !IsLive(assignment.value)) {
      Violate("L1", fmt::format("{} is still assigned to {} ({})", place.unit, place.machine,
                                ToString(assignment.value.state)));
    }
  }
  for (const auto& [place, state] : view_->states) {
    if (view_->machines.Find(place.machine) == nullptr) {
      Violate("C3",
              fmt::format("a state of {} on {}, which is not there", place.unit, place.machine));
    }
  }
  CheckEmptied();
  CheckNothingElseRuns();
  CheckReplicas();
  CheckRolloutsEnded();
}

// L4: what is still on a machine that is emptied has nowhere to go.
void Checker::CheckEmptied() {
  for (const auto& [place, assignment] : view_->assignments) {
    const auto* settings = view_->settings.Find(place.machine);
    if (settings == nullptr || !settings->value.IsEmptied() || !IsLive(assignment.value) ||
        view_->machines.Find(place.machine) == nullptr) {
      continue;
    }
    const auto* record = view_->units.Find(place.unit);
    if (record == nullptr) continue;
    const auto needs = RequirementsOf(place.unit, record->value.content_hash);
    // By now each deadline has passed.
    if (needs != nullptr && settings->value.drained && !settings->value.drain_expired &&
        settings->value.drain_deadline != absl::InfiniteFuture()) {
      Violate("L4", fmt::format("{} is still on {}, and the drain has not expired at its deadline",
                                place.unit, place.machine));
    }
    if (needs != nullptr && settings->value.IsForced()) {
      Violate("L4", fmt::format("{} is still on {}, and the drain should have stopped it",
                                place.unit, place.machine));
      continue;
    }
    if (needs == nullptr || !StandsAlone(*needs) || IsFollowed(place.unit)) continue;
    if (needs->global) {
      Violate("L4", fmt::format("{}, which is global, runs on {}", place.unit, place.machine));
      continue;
    }
    if (HasFailedSibling(place.unit)) continue;
    const auto eligible =
        Oracle(place.unit, /*reports=*/true).Eligible(std::vector<std::string>{place.unit});
    if (!eligible.empty()) {
      Violate("L4", fmt::format("{} is still on {}, which is drained, and {} is eligible",
                                place.unit, place.machine, eligible.front()));
    }
  }
}

// Another instance of its template has failed, so that no more may be down (MaxUnavailable=).
bool Checker::HasFailedSibling(const std::string& unit) const {
  const std::string template_name = reconcile::TemplateOf(unit);
  const auto siblings = reconcile::InstancesIn(*view_, template_name);
  return std::any_of(siblings.begin(), siblings.end(), [&](const std::string& one) {
    const auto needs = RequirementsOf(one, view_->units.Find(one)->value.content_hash);
    return one != unit && needs != nullptr && !needs->global &&
           StatusOf(*view_, *UnitName::Parse(one)).progress == Progress::kFailed;
  });
}

void Checker::CheckWanted(const std::string& unit, const UnitRecord& record,
                          const Requirements& needs) {
  size_t places = 0;
  for (auto it = FirstOf(view_->assignments, unit); InUnit(it, view_->assignments, unit); ++it) {
    if (!IsLive(it->second.value) || view_->machines.Find(it->first.machine) == nullptr) continue;
    ++places;
    const Assignment& live = it->second.value;
    const AssignmentState wanted = record.desired == DesiredState::kLaunched
                                       ? AssignmentState::kLaunched
                                       : AssignmentState::kLoaded;
    if (live.state != wanted || live.content_hash != record.content_hash) {
      Violate("L1", fmt::format("{} on {} is assigned as it no longer is wanted", unit,
                                it->first.machine));
    }
    CheckActual(unit, it->first.machine, live);
  }
  if (places == 0 && !needs.global) CheckUnplaced(unit, record, needs);
}

bool Checker::IsFollowed(const std::string& unit) const {
  for (const auto& [name, record] : view_->units) {
    const auto needs = RequirementsOf(name, record.value.content_hash);
    if (needs == nullptr || record.value.desired == DesiredState::kInactive) continue;
    const auto& followed = needs->machine_of;
    if (std::find(followed.begin(), followed.end(), unit) != followed.end()) return true;
  }
  return false;
}

// L1 and L3: no machine is eligible, and it says why.
void Checker::CheckUnplaced(const std::string& unit, const UnitRecord& record,
                            const Requirements& needs) {
  if (record.refusal.empty() && record.nominated_machine.empty()) {
    Violate("L3", unit + " is nowhere, and nothing says why");
  }
  if (!StandsAlone(needs) || IsFollowed(unit)) return;
  const scheduler::Naive oracle = Oracle(unit, /*reports=*/true);
  const std::vector<std::string> eligible = oracle.Eligible(std::vector<std::string>{unit});
  if (!eligible.empty()) {
    for (const auto& [place, assignment] : view_->assignments) {
      trace_(fmt::format("  {} on {} {}", place.unit, place.machine,
                         ToString(assignment.value.state)));
    }
    for (const auto& [id, machine] : view_->machines) {
      const auto* settings = view_->settings.Find(id);
      const auto metadata =
          EffectiveMetadata(machine.value, settings == nullptr ? nullptr : &settings->value);
      const auto zone = metadata.find("zone");
      trace_(fmt::format("  {} in zone {}", id, zone == metadata.end() ? "none" : zone->second));
    }
    Violate("L1", fmt::format("{} is nowhere ({}), and {} is eligible", unit, record.refusal,
                              eligible.front()));
  }
}

void Checker::CheckActual(const std::string& unit, const std::string& machine,
                          const Assignment& live) {
  const MachineTruth* truth = TruthOf(machine);
  if (truth == nullptr || !truth->runs_fleetd) return;
  const auto* state = view_->states.Find(UnitOnMachine{unit, machine});
  const host::UnitStatus status = truth->os->StatusOf(unit);
  if (state == nullptr || state->value.uid != live.uid ||
      state->value.generation != live.generation) {
    Violate("L1", fmt::format("{} reports nothing of {} as it is assigned", machine, unit));
  } else if (state->value.active_state != status.active_state) {
    Violate("L1", fmt::format("{} reports that {} is {}, and it is {}", machine, unit,
                              state->value.active_state, status.active_state));
  }
  const auto it = truth->os->units.find(unit);
  if (it != truth->os->units.end() && it->second.by_hand) return;
  const auto file = truth->os->files.find(unit);
  if (file == truth->os->files.end()) {
    Violate("L1", fmt::format("{} is not installed on {}", unit, machine));
    return;
  }
  if (live.state == AssignmentState::kLoaded) {
    if (truth->os->IsRunning(unit)) {
      Violate("L1", fmt::format("{} runs on {}, and is only to be loaded", unit, machine));
    }
    return;
  }
  const Behaviour behaviour = Behaviour::Of(file->second.text);
  switch (behaviour.kind) {
    case Behaviour::Kind::kRuns:
    case Behaviour::Kind::kCrashes:
      // A start that ran into its time-out is the unit's own failure.
      if (status.active_state != "active" &&
          !(status.active_state == "failed" && it->second.result == "timeout")) {
        Violate("L1",
                fmt::format("{} is to run on {}, and is {}", unit, machine, status.active_state));
      }
      break;
    case Behaviour::Kind::kFails:
    case Behaviour::Kind::kFinishes:
      break;
  }
}

// Whatever runs is assigned there; but for orphans of a registry that knows them no more, or knows
// only that they were not wanted at an earlier time.
void Checker::CheckNothingElseRuns() {
  for (const auto& [place, run] : running_) {
    const MachineTruth& machine = truth_.at(place.first);
    if (!machine.runs_fleetd || machine.is_duplicate) continue;
    const auto* assignment = view_->assignments.Find(UnitOnMachine{place.second, machine.id});
    if (assignment != nullptr && IsLive(assignment->value)) continue;
    const auto* record = view_->units.Find(place.second);
    const bool is_orphan = record == nullptr || record->value.uid != run.note.uid ||
                           record->value.desired == DesiredState::kInactive;
    if (is_orphan && (restored_ || HasTwin(truth_, machine.id))) continue;
    Violate("L1",
            fmt::format("{} runs on {}, and is not assigned there", place.second, place.first));
  }
}

void Checker::CheckPromise(const std::string& unit, const Promise& promise) {
  if (restored_) return;
  const auto* record = view_->units.Find(unit);
  if (!promise.exists) {
    if (record != nullptr) Violate("S4", unit + " was destroyed, and is there");
    return;
  }
  if (record == nullptr) {
    Violate("S4", unit + " was stored, and is not there");
  } else if (record->value.desired != promise.desired ||
             record->value.content_hash != promise.content_hash) {
    Violate("S4",
            fmt::format("{} was stored as {} {}, and is {} {}", unit, ToString(promise.desired),
                        promise.content_hash.substr(0, 7), ToString(record->value.desired),
                        record->value.content_hash.substr(0, 7)));
  }
}

}  // namespace fleet::sim
