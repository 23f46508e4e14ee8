#pragma once

// What a request to roll out is about to store. Internal to api/.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "api/api_state.h"
#include "model/entity_tag.h"
#include "model/requirements.h"

namespace fleet::api {

// The tag of a record in the view; nullopt if there is none.
std::optional<std::string> TagAt(const auto* stored) {
  return stored == nullptr ? std::nullopt : std::optional(TagOf(stored->value));
}

store::Compare Unchanged(const std::string& key, const auto* stored) {
  return {.key = key, .revision = stored == nullptr ? 0 : stored->mod_revision};
}

// Rollouts, one for each name, and the transaction that makes them.
struct RolloutDraft {
  std::map<std::string, RolloutRecord> rollouts;
  store::Txn txn;
  // What the request's condition does not hold for, and the tag that it has; empty: it holds.
  std::string unmet;
  std::optional<std::string> tag;

  // Adds one: the unit and its last rollout are as they were seen.
  void Add(const ApiState& state, const std::string& name, RolloutRecord rollout);
  // New instances of a template have the text that is rolled out.
  void PutTemplateText(const ApiState& state, const std::string& name,
                       const Requirements& requirements);
  void PutContent(const ApiState& state, const std::shared_ptr<const UnitFile>& file);
  // They are one: from now on they go together.
  void Tie();
  void Demand(const Precondition& condition, std::string what, std::optional<std::string> its_tag);
};

}  // namespace fleet::api
