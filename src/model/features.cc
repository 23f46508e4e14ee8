#include "model/features.h"

#include <algorithm>

namespace fleet {

namespace {

const char* const kIsolation = "isolation";    // OnIsolation=stop
const char* const kReschedule = "reschedule";  // Reschedule=on-failure

}  // namespace

const std::vector<std::string>& KnownFeatures() {
  static const auto* const kKnown = new std::vector<std::string>{kIsolation, kReschedule};
  return *kKnown;
}

std::vector<std::string> FeaturesOf(const Requirements& requirements) {
  std::vector<std::string> features;
  if (requirements.stops_on_isolation) features.emplace_back(kIsolation);
  if (requirements.reschedules_on_failure) features.emplace_back(kReschedule);
  return features;
}

std::string UnknownFeature(const std::vector<std::string>& features) {
  const auto& known = KnownFeatures();
  const auto it = std::find_if(features.begin(), features.end(), [&](const std::string& feature) {
    return std::find(known.begin(), known.end(), feature) == known.end();
  });
  return it == features.end() ? "" : *it;
}

}  // namespace fleet
