#include "reconcile/testing/commit_checks.h"

#include <algorithm>

#include "fmt/core.h"
#include "model/features.h"
#include "reconcile/occupancy.h"

namespace fleet::reconcile::testing {

namespace {

std::string WhyNotEnabledSo(const ClusterView& records, const std::vector<std::string>& enabled) {
  static const std::vector<std::string> kNone;
  const auto& before = records.features ? records.features->value.enabled : kNone;
  if (enabled == before) return "the features are written, and are the same";
  if (!std::includes(enabled.begin(), enabled.end(), before.begin(), before.end())) {
    return "a feature is not enabled any more";
  }
  for (const std::string& feature : enabled) {
    if (IsEnabled(records, feature)) continue;
    for (const auto& [machine, stored] : records.machines) {
      if (UnknownFeature({feature}, stored.value.features).empty()) continue;
      return fmt::format("{} is enabled, and {} does not know it", feature, machine);
    }
  }
  return "";
}

std::string WhyNotPlacedSo(const ClusterView& records, const PutAssignment& put) {
  const UnitOnMachine place{put.unit, put.machine};
  const std::string& hash = put.assignment.content_hash;
  const auto* before = records.assignments.Find(place);
  const auto* report = records.states.Find(place);
  const bool has_it = before != nullptr && before->value.state != AssignmentState::kGone &&
                      before->value.content_hash == hash;
  const bool runs_it = report != nullptr && report->value.content_hash == hash;
  if (has_it || runs_it) return "";  // it stays, or is adopted
  const auto needs = ReadRequirements(records, put.unit, hash);
  const auto* machine = records.machines.Find(put.machine);
  if (!needs.ok() || machine == nullptr) return "";
  const std::string lacks = UnknownFeature(FeaturesOf(**needs), machine->value.features);
  if (lacks.empty()) return "";
  return fmt::format("{} comes to {}, which does not know {}", put.unit, put.machine, lacks);
}

}  // namespace

std::vector<std::string> MachinesHeldBy(const ClusterView& records, const std::string& unit) {
  std::vector<std::string> machines;
  for (const auto& [place, stored] : records.assignments) {
    if (place.unit != unit) continue;
    if (stored.value.state != AssignmentState::kGone) machines.push_back(place.machine);
    if (!stored.value.next_machine.empty()) machines.push_back(stored.value.next_machine);
  }
  const auto* record = records.units.Find(unit);
  if (record != nullptr) machines.push_back(record->value.nominated_machine);
  return machines;
}

bool Occupies(const ClusterView& records, const UnitOnMachine& place,
              const Assignment& assignment) {
  if (records.machines.Find(place.machine) == nullptr) return false;
  const auto* report = records.states.Find(place);
  return report == nullptr || !report->value.gone ||
         report->value.generation != assignment.generation;
}

std::string WhatVersionsForbid(const ClusterView& records, const Decision& decision) {
  for (const Write& write : decision.writes) {
    std::string wrong;
    if (const auto* features = std::get_if<PutFeatures>(&write)) {
      wrong = WhyNotEnabledSo(records, features->record.enabled);
    } else if (const auto* put = std::get_if<PutAssignment>(&write);
               put != nullptr && put->assignment.state != AssignmentState::kGone) {
      wrong = WhyNotPlacedSo(records, *put);
    }
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace fleet::reconcile::testing
