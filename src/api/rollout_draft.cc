#include "api/rollout_draft.h"

#include <utility>
#include <vector>

#include "model/features.h"
#include "reconcile/engine_facts.h"
#include "registry/codec.h"

namespace fleet::api {

void RolloutDraft::Add(const ApiState& state, const std::string& name, RolloutRecord rollout) {
  const auto& keys = state.context.keys;
  txn.compares.push_back(Unchanged(keys.Unit(name), state.view->units.Find(name)));
  txn.compares.push_back(Unchanged(keys.Rollout(name), state.view->rollouts.Find(name)));
  rollouts.emplace(name, std::move(rollout));
}

void RolloutDraft::PutTemplateText(const ApiState& state, const std::string& name,
                                   const Requirements& requirements) {
  if (!reconcile::IsTemplate(name)) return;
  UnitRecord record = state.view->units.Find(name)->value;
  record.content_hash = rollouts.at(name).content_hash;
  record.former_hashes.clear();  // the rollout's history has them now
  record.features = FeaturesOf(requirements);
  txn.ops.emplace_back(
      store::Put{.key = state.context.keys.Unit(name), .value = registry::Encode(record)});
}

void RolloutDraft::PutContent(const ApiState& state, const std::shared_ptr<const UnitFile>& file) {
  txn.ops.emplace_back(store::Put{.key = state.context.keys.Content(file->hash()),
                                  .value = registry::Encode(Content{file})});
}

void RolloutDraft::Tie() {
  if (rollouts.size() < 2) return;
  std::vector<std::string> names;
  names.reserve(rollouts.size());
  for (const auto& [name, rollout] : rollouts) names.push_back(name);
  for (auto& [name, rollout] : rollouts) rollout.together = names;
}

void RolloutDraft::Demand(const Precondition& condition, std::string what,
                          std::optional<std::string> its_tag) {
  if (condition.Holds(its_tag)) return;
  unmet = std::move(what);
  tag = std::move(its_tag);
}

}  // namespace fleet::api
