// Records of other versions: which features may be used, and units that need others. See
// engine_reconciler.h for the whole.

#include <algorithm>
#include <utility>

#include "fmt/core.h"
#include "fmt/ranges.h"
#include "model/features.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"

namespace fleet::reconcile {

// A machine or the record has changed. Units that wait are judged again at each change of a machine
// anyway, and nothing else makes machines know more.
void EngineReconciler::MarkFeatures() {
  features_changed_ = true;
  why_not_yet_.clear();
}

// Features that all machines know. What is enabled stays so: there may be records that use it.
void EngineReconciler::EnableFeatures(std::vector<Decision>& decisions) {
  if (!features_changed_ || in_flight_.contains(std::string(kFeaturesKey))) return;
  if (std::all_of(settings_.features.begin(), settings_.features.end(),
                  [&](const std::string& feature) { return IsEnabled(*view_, feature); })) {
    features_changed_ = false;
    return;
  }
  // Machines that go on while their registry was away have joined by then: an older one among them
  // would be passed over.
  if (now_ < features_from_) {
    next_wakeup_ = std::min(next_wakeup_, features_from_);
    return;
  }
  features_changed_ = false;
  if (view_->machines.empty() || view_->unreadable.Find(std::string(kFeaturesKey)) != nullptr) {
    return;
  }
  std::vector<std::string> added;
  for (const std::string& feature : settings_.features) {
    if (!IsEnabled(*view_, feature) && MachinesWithout(*view_, feature).empty()) {
      added.push_back(feature);
    }
  }
  if (added.empty()) return;
  Decision decision = Begin();
  AddUnit(decision, std::string(kFeaturesKey));
  const int64_t revision = view_->features ? view_->features->mod_revision : 0;
  AddGuard(decision, {Guard::Kind::kCluster, "features", "", revision});
  decision.events.push_back(
      {"enabled", "", "", fmt::format("all machines know {}", fmt::join(added, ", "))});
  FeaturesRecord record = view_->features ? view_->features->value : FeaturesRecord{};
  record.enabled.insert(record.enabled.end(), added.begin(), added.end());
  std::sort(record.enabled.begin(), record.enabled.end());
  decision.writes.emplace_back(PutFeatures{std::move(record)});
  Emit(std::move(decision), decisions);
}

// Why this feature may not be used yet; empty if it may, also while all machines know it and the
// leader has yet to say so.
const std::string& EngineReconciler::WhyNotYet(const std::string& feature) {
  const auto [it, is_new] = why_not_yet_.try_emplace(feature);
  if (is_new && !IsEnabled(*view_, feature)) it->second = WhyNotEnabled(*view_, feature);
  return it->second;
}

// Why a unit is left as it is that needs what not all machines know; empty if it is not. What it
// has been told to do with this text goes on: an older version has begun it, or a registry from
// before was restored.
std::string EngineReconciler::WhyTooEarly(const Member& member) {
  const auto& placed = member.placed;
  for (const std::string& feature : FeaturesOf(*member.requirements)) {
    const std::string& why = WhyNotYet(feature);
    if (why.empty()) continue;
    if (std::any_of(placed.begin(), placed.end(), [&](const Placed& one) {
          return one.stored->value.uid == member.record->value.uid &&
                 one.stored->value.content_hash == member.record->value.content_hash;
        })) {
      return "";
    }
    return fmt::format("it needs the feature {}, which is not enabled: {}", feature, why);
  }
  return "";
}

// The first feature that its record needs and that this version does not know; empty if it knows
// all.
std::string EngineReconciler::WhatItLacks(const UnitRecord& record) const {
  return UnknownFeature(record.features, settings_.features);
}

}  // namespace fleet::reconcile
