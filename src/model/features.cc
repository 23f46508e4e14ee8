#include "model/features.h"

#include <algorithm>

#include "base/status.h"
#include "fmt/core.h"
#include "fmt/ranges.h"

namespace fleet {

namespace {

const char* const kKnows = "yes";
constexpr std::string_view kMachines = "machines/";
constexpr const char* kRecord = "cluster/features";
// So many machines are named.
constexpr size_t kNamed = 3;

bool Has(const std::vector<std::string>& features, std::string_view feature) {
  return std::find(features.begin(), features.end(), feature) != features.end();
}

std::string KeyOf(const std::string& feature) { return std::string(kFeatureKey) + feature; }

}  // namespace

const std::vector<std::string>& KnownFeatures() {
  static const auto* const kKnown = new std::vector<std::string>{
      std::string(kDrainDeadlineFeature), std::string(kIsolationFeature),
      std::string(kRescheduleFeature), std::string(kRolloutSetFeature)};
  return *kKnown;
}

std::vector<std::string> FeaturesOf(const Requirements& requirements) {
  std::vector<std::string> features;
  if (requirements.stops_on_isolation) features.emplace_back(kIsolationFeature);
  if (requirements.reschedules_on_failure) features.emplace_back(kRescheduleFeature);
  return features;
}

std::string UnknownFeature(const std::vector<std::string>& features,
                           const std::vector<std::string>& known) {
  const auto it = std::find_if(features.begin(), features.end(),
                               [&](const std::string& feature) { return !Has(known, feature); });
  return it == features.end() ? "" : *it;
}

bool IsEnabled(const ClusterView& view, std::string_view feature) {
  return view.features && Has(view.features->value.enabled, feature);
}

std::vector<std::string> MachinesWithout(const ClusterView& view, std::string_view feature) {
  std::vector<std::string> machines;
  for (const auto& [machine, record] : view.machines) {
    if (!Has(record.value.features, feature)) machines.push_back(machine);
  }
  for (const auto& [key, revision] : view.unreadable) {
    if (key.starts_with(kMachines)) machines.push_back(key.substr(kMachines.size()));
  }
  std::sort(machines.begin(), machines.end());
  return machines;
}

std::string WhyNotEnabled(const ClusterView& view, std::string_view feature) {
  std::vector<std::string> machines = MachinesWithout(view, feature);
  if (machines.empty()) return "";
  const size_t count = machines.size();
  machines.resize(std::min(count, kNamed));
  for (std::string& machine : machines) {
    const auto* record = view.machines.Find(machine);
    if (record == nullptr || record->value.version.empty()) continue;
    machine += fmt::format(" (version {})", record->value.version);
  }
  std::string text = fmt::format("{}", fmt::join(machines, ", "));
  if (count > kNamed) text += fmt::format(" and {} more", count - kNamed);
  return fmt::format("{} {} not know it", text, count == 1 ? "does" : "do");
}

absl::Status CheckEnabled(const ClusterView& view, std::string_view feature,
                          std::string_view what) {
  if (IsEnabled(view, feature)) return absl::OkStatus();
  if (view.unreadable.Find(kRecord) != nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("{} needs the feature {}; which are enabled cannot be read: {} is damaged, or "
                    "of a newer version",
                    what, feature, kRecord));
  }
  const std::string why = WhyNotEnabled(view, feature);
  return absl::FailedPreconditionError(fmt::format(
      "{} needs the feature {}, which is not enabled: {}", what, feature,
      why.empty() ? "the engine that leads has yet to do that; try again in a moment"
                  : why + ". Update fleetd there, or take the machine out of the cluster"));
}

absl::Status CheckTextEnabled(const ClusterView& view, const Requirements& requirements,
                              std::string_view unit) {
  for (const std::string& feature : FeaturesOf(requirements)) {
    RETURN_IF_ERROR(CheckEnabled(view, feature, fmt::format("the text of {}", unit)));
  }
  return absl::OkStatus();
}

void RequireFeatures(Requirements& requirements) {
  for (const std::string& feature : FeaturesOf(requirements)) {
    requirements.metadata[KeyOf(feature)] = {kKnows};
  }
}

std::map<std::string, std::string> WithFeatures(std::map<std::string, std::string> metadata,
                                                const std::vector<std::string>& features) {
  for (const std::string& feature : features) metadata[KeyOf(feature)] = kKnows;
  return metadata;
}

}  // namespace fleet
