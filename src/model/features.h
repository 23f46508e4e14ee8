#pragma once

// What records ask of those who act on them, beyond what the first version understood: the names
// that UnitRecord::features, MachineRecord::features and cluster/features hold. Whatever an older
// version would take for something else than what was asked for has one.
//
// A machine says which its version knows. Once all that are there know one, the leader enables it,
// for good: records that use it may be there from then on. Until then nobody uses it. A version
// that does not know one leaves the unit as it is.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "model/cluster_view.h"
#include "model/requirements.h"

namespace fleet {

inline constexpr std::string_view kDrainDeadlineFeature = "drain-deadline";
inline constexpr std::string_view kIsolationFeature = "isolation";     // OnIsolation=stop
inline constexpr std::string_view kRescheduleFeature = "reschedule";   // Reschedule=on-failure
inline constexpr std::string_view kRolloutSetFeature = "rollout-set";  // of several names as one

// Those that this version knows; sorted.
const std::vector<std::string>& KnownFeatures();

// Those that a unit with these requirements needs; sorted.
std::vector<std::string> FeaturesOf(const Requirements& requirements);

// The first of `features` that is not among those known; empty if all are.
std::string UnknownFeature(const std::vector<std::string>& features,
                           const std::vector<std::string>& known = KnownFeatures());

bool IsEnabled(const ClusterView& view, std::string_view feature);

// Machines that are there and do not say that they know it, those whose record cannot be read among
// them; sorted.
std::vector<std::string> MachinesWithout(const ClusterView& view, std::string_view feature);

// Why a feature that is not enabled is not: which machines do not know it. Empty if all do.
std::string WhyNotEnabled(const ClusterView& view, std::string_view feature);

// FAILED_PRECONDITION, with what the operator can do, if `what` ("the deadline of a drain") needs a
// feature that is not enabled.
absl::Status CheckEnabled(const ClusterView& view, std::string_view feature, std::string_view what);
// The same of each feature that the unit's text needs.
absl::Status CheckTextEnabled(const ClusterView& view, const Requirements& requirements,
                              std::string_view unit);

// A unit goes only to machines that know what it needs. For the scheduler a feature is metadata,
// under keys that nobody can set: they have a space.
inline constexpr std::string_view kFeatureKey = "feature ";
inline bool IsFeature(std::string_view key) { return key.starts_with(kFeatureKey); }
void RequireFeatures(Requirements& requirements);
std::map<std::string, std::string> WithFeatures(std::map<std::string, std::string> metadata,
                                                const std::vector<std::string>& features);

}  // namespace fleet
