// Replicas: a template that asks for N has the instances 1 to N. Each is judged by itself; what
// changes in the template concerns all. See engine_reconciler.h for the whole.

#include <utility>

#include "base/ids.h"
#include "fmt/core.h"
#include "reconcile/engine_facts.h"
#include "reconcile/engine_reconciler.h"
#include "reconcile/rollout.h"

namespace fleet::reconcile {

// How many instances are kept: as the template's record says, or else its text. None of a template
// that was destroyed. Nullopt: as many as there are, or it cannot be known (S3).
std::optional<int64_t> EngineReconciler::ReplicasOf(const std::string& template_name) {
  if (HasUnreadableRecord(*view_, template_name)) return std::nullopt;
  const auto* stored = view_->units.Find(template_name);
  if (stored == nullptr) return 0;
  const UnitRecord& record = stored->value;
  if (!WhatItLacks(record).empty()) return std::nullopt;
  const auto requirements = occupancy_.RequirementsOf(*view_, template_name, record.content_hash);
  if (!requirements.ok() || (*requirements)->global) return std::nullopt;
  return record.replicas ? record.replicas : (*requirements)->replicas;
}

// An instance that its template asks for and that is missing, or that was made because of it and is
// one too many. True if something is decided about it.
bool EngineReconciler::JudgeReplica(const std::string& unit, std::vector<Decision>& decisions) {
  const auto* stored = view_->units.Find(unit);
  if (stored != nullptr && !stored->value.made_by_replicas) return false;
  const auto name = UnitName::Parse(unit);
  if (!name.ok() || !name->is_instance()) return false;
  const auto number = NumberOf(*name);
  const std::string template_name = name->TemplateName();
  const auto replicas = ReplicasOf(template_name);
  // Once what is decided about the template is through, all its instances are judged again.
  if (in_flight_.contains(template_name)) return false;
  if (!number || !replicas || (stored != nullptr) == (*number <= *replicas)) return false;
  Decision decision = Begin();
  AddUnit(decision, unit);
  GuardUnit(decision, unit);
  GuardUnit(decision, template_name);
  const auto* made_from = view_->units.Find(template_name);
  const std::string why = made_from == nullptr
                              ? fmt::format("its template {} was destroyed", template_name)
                              : fmt::format("{} asks for {} instance{}", template_name, *replicas,
                                            *replicas == 1 ? "" : "s");
  if (stored != nullptr) {
    decision.events.push_back({"destroyed", unit, "", why});
    decision.writes.emplace_back(DeleteUnit{unit});
    Emit(std::move(decision), decisions);
    return true;
  }
  const UnitRecord& its = made_from->value;
  // Another one than each of this name before, in this registry and those it was restored from.
  const std::string epoch = view_->leader ? view_->leader->value.epoch : "";
  const std::string uid =
      Sha256Hex(fmt::format("{} {} {} {}", its.uid, unit, view_->revision, epoch)).substr(0, 32);
  UnitRecord record = {.uid = uid,
                       .desired = DesiredState::kLaunched,
                       .content_hash = its.content_hash,
                       .features = its.features,
                       .made_by_replicas = true};
  // It has the template's new text, and counts as one that the rollout has reached.
  const auto* rollout = RunningRollout(template_name);
  if (rollout != nullptr && !in_flight_.contains(std::string(kRolloutPrefix) + template_name)) {
    GuardRollout(decision, template_name);
    record.rollout = rollout->value.uid;
  }
  GuardContent(decision, record.content_hash);
  decision.events.push_back({"created", unit, "", why});
  decision.writes.emplace_back(PutUnit{unit, std::move(record)});
  Emit(std::move(decision), decisions);
  return true;
}

// All instances of a template that has changed, the highest that are too many first.
void EngineReconciler::JudgeReplicas(const std::string& template_name,
                                     std::vector<Decision>& decisions) {
  const auto replicas = ReplicasOf(template_name);
  if (!replicas) return;
  const auto judge = [&](const std::string& unit) {
    if (in_flight_.contains(unit) || HasUnreadableRecord(*view_, unit)) return;
    JudgeReplica(unit, decisions);
  };
  for (const std::string& unit : SurplusReplicas(*view_, template_name, *replicas)) judge(unit);
  const auto name = UnitName::Parse(template_name);
  for (int64_t number = 1; number <= *replicas; ++number) {
    const std::string unit = fmt::format("{}@{}.{}", name->prefix(), number, name->suffix());
    if (view_->units.Find(unit) == nullptr) judge(unit);
  }
}

}  // namespace fleet::reconcile
