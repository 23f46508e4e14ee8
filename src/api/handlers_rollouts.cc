// /rollouts: rolling updates and restarts, which the engine carries out. They are started with
// POST /units/NAME/rollout.

#include <algorithm>
#include <utility>

#include "api/api_state.h"
#include "api/json_reader.h"
#include "api/json_writer.h"
#include "base/budget.h"
#include "base/ids.h"
#include "base/status.h"
#include "fmt/core.h"
#include "model/features.h"
#include "model/unit_status.h"
#include "reconcile/engine_facts.h"
#include "reconcile/rollout.h"
#include "reconcile/text_check.h"
#include "registry/codec.h"

namespace fleet::api {
namespace {

// So many units that have failed are tried again by a resume; the others by the next one.
constexpr size_t kMaxRetries = 100;

void WriteRollout(JsonWriter& body, const ClusterView& view, const std::string& name,
                  const RolloutRecord& rollout) {
  const auto progress = reconcile::ProgressOf(view, name, rollout);
  body.BeginObject()
      .Always("name", name)
      .Always("id", rollout.uid)
      .Always("state", ToString(rollout.state))
      .Key("restarts")
      .Bool(rollout.restarts)
      .Member("hash", rollout.content_hash)
      .Member("formerHash", rollout.former_hash)
      .Member("maxUnavailable", rollout.max_unavailable)
      .Always("onFailure", rollout.rolls_back ? "rollback" : "pause")
      .Member("reason", rollout.reason)
      .Key("total")
      .Int(static_cast<int64_t>(progress.total))
      .Key("reached")
      .Int(static_cast<int64_t>(progress.reached))
      .Key("notStarted")
      .BeginArray();
  for (const std::string& unit : progress.not_started) body.String(unit);
  body.EndArray().Key("history").BeginArray();
  for (const FormerContent& former : rollout.history) {
    body.BeginObject().Always("hash", former.content_hash);
    if (former.since != absl::UnixEpoch()) {
      body.Always("since", absl::FormatTime(absl::RFC3339_sec, former.since, absl::UTCTimeZone()));
    }
    body.Always("how", former.how).EndObject();
  }
  body.EndArray().EndObject();
}

Response NoRollout(const std::string& name) {
  return ErrorResponse(404, fmt::format("there has been no rollout of {}", name));
}

Response RolloutResponse(const ApiState& state, const std::string& name) {
  const auto* stored = state.view->rollouts.Find(name);
  if (stored == nullptr) return NoRollout(name);
  JsonWriter body;
  WriteRollout(body, *state.view, name, stored->value);
  return JsonResponse(200, body.Take());
}

Response ListRollouts(const ApiState& state) {
  JsonWriter body;
  body.BeginObject().Key("rollouts").BeginArray();
  for (const auto& [name, stored] : state.view->rollouts) {
    WriteRollout(body, *state.view, name, stored.value);
  }
  body.EndArray().EndObject();
  return JsonResponse(200, body.Take());
}

// What a rollout is made of, and the transaction that makes it.
struct Draft {
  std::string name;
  store::Txn txn;
  RolloutRecord rollout;
};

store::Compare Unchanged(const std::string& key, const auto* stored) {
  return {.key = key, .revision = stored == nullptr ? 0 : stored->mod_revision};
}

// Begins a draft: the unit and its last rollout are as they were seen.
Draft DraftFor(const ApiState& state, const std::string& name) {
  const auto& keys = state.context.keys;
  Draft draft{.name = name, .txn = {}, .rollout = {}};
  draft.txn.compares = {Unchanged(keys.Unit(name), state.view->units.Find(name)),
                        Unchanged(keys.Rollout(name), state.view->rollouts.Find(name))};
  return draft;
}

// New instances of a template have the text that is rolled out.
void PutTemplateText(const ApiState& state, Draft& draft, const Requirements& requirements) {
  if (!reconcile::IsTemplate(draft.name)) return;
  UnitRecord record = state.view->units.Find(draft.name)->value;
  record.content_hash = draft.rollout.content_hash;
  record.features = FeaturesOf(requirements);
  draft.txn.ops.emplace_back(
      store::Put{.key = state.context.keys.Unit(draft.name), .value = registry::Encode(record)});
}

void Commit(ApiState& state, Draft draft, Responder respond) {
  draft.txn.ops.emplace_back(store::Put{.key = state.context.keys.Rollout(draft.name),
                                        .value = registry::Encode(draft.rollout)});
  CommitAsDecided(
      state, std::move(draft.txn), fmt::format("others have changed {} or its rollout", draft.name),
      std::move(respond), [&state, name = draft.name] { return RolloutResponse(state, name); });
}

absl::Status CheckNoOther(const ClusterView& view, const std::string& name, bool supersede) {
  const auto* own = view.rollouts.Find(name);
  if (own != nullptr && reconcile::IsUnfinished(own->value) && !supersede) {
    return absl::FailedPreconditionError(
        fmt::format("a rollout of {} is {}: let it end, undo it, or supersede it", name,
                    ToString(own->value.state)));
  }
  const std::string template_name = reconcile::TemplateOf(name);
  const auto* its = template_name.empty() ? nullptr : view.rollouts.Find(template_name);
  if (its != nullptr && reconcile::IsUnfinished(its->value)) {
    return absl::FailedPreconditionError(
        fmt::format("a rollout of {}, of which {} is a part, is {}", template_name, name,
                    ToString(its->value.state)));
  }
  return absl::OkStatus();
}

// What a text asks for, if it can be rolled out to `name`.
absl::StatusOr<Requirements> CheckRolledOut(const ClusterView& view, const UnitName& name,
                                            const UnitFile& file) {
  ASSIGN_OR_RETURN(Requirements requirements, reconcile::CheckText(view, name, file));
  if (requirements.global) {
    return absl::FailedPreconditionError(
        fmt::format("{} is global, and changes on all machines at once: submit it with --replace",
                    name.full()));
  }
  return requirements;
}

absl::StatusOr<Draft> DraftRollout(const ApiState& state, const Request& request) {
  const ClusterView& view = *state.view;
  ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(request.path_parameter));
  ASSIGN_OR_RETURN(const auto body, ParseJson(request.body, "a rollout"));
  ASSIGN_OR_RETURN(const registry::UnitChange change, ReadUnitChange(body));
  ASSIGN_OR_RETURN(const auto at_once, StringMember(body, "maxUnavailable"));
  ASSIGN_OR_RETURN(const auto on_failure, StringMember(body, "onFailure"));
  ASSIGN_OR_RETURN(const bool supersede, BoolMember(body, "supersede"));
  if (at_once && !at_once->empty()) RETURN_IF_ERROR(ParseBudget(*at_once).status());
  if (on_failure && *on_failure != "pause" && *on_failure != "rollback") {
    return absl::InvalidArgumentError(
        fmt::format("onFailure \"{}\" is unknown: pause or rollback", *on_failure));
  }
  if (change.restart == (change.file != nullptr)) {
    return absl::InvalidArgumentError("a rollout is either a new text or a \"restart\"");
  }
  const auto* unit = view.units.Find(name.full());
  if (unit == nullptr) {
    return absl::NotFoundError(fmt::format("unit {} does not exist", name.full()));
  }
  RETURN_IF_ERROR(CheckNoOther(view, name.full(), supersede));
  const auto* content = view.contents.Find(unit->value.content_hash);
  if (content == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("the text of {} is not in the registry: submit it", name.full()));
  }
  const auto* last = view.rollouts.Find(name.full());
  const RolloutRecord* before = last == nullptr ? nullptr : &last->value;
  Draft draft = DraftFor(state, name.full());
  if (change.restart) {
    RETURN_IF_ERROR(CheckRolledOut(view, name, *content->value.file).status());
    draft.rollout = reconcile::RestartOf(before, RandomId(), unit->value.content_hash);
  } else {
    RETURN_IF_ERROR(CheckForSubmit(*change.file, name, change.force));
    ASSIGN_OR_RETURN(const Requirements requirements, CheckRolledOut(view, name, *change.file));
    draft.rollout =
        reconcile::RolloutOf(before, RandomId(), change.file->hash(), unit->value.content_hash,
                             state.context.executor->WallNow(), "update");
    draft.txn.ops.emplace_back(store::Put{.key = state.context.keys.Content(change.file->hash()),
                                          .value = registry::Encode(Content{change.file})});
    PutTemplateText(state, draft, requirements);
  }
  draft.rollout.max_unavailable = at_once.value_or("");
  draft.rollout.rolls_back = on_failure == "rollback";
  return draft;
}

// The text that an undo brings: the one before, or the one in the history that `hash` begins.
absl::StatusOr<std::string> TextToUndoTo(const std::string& name, const RolloutRecord& rollout,
                                         const std::string& hash) {
  if (hash.empty()) {
    if (!rollout.former_hash.empty()) return rollout.former_hash;
    return absl::FailedPreconditionError(
        fmt::format("{} has had no other text that could come back", name));
  }
  std::string found;
  for (const FormerContent& former : rollout.history) {
    if (!former.content_hash.starts_with(hash)) continue;
    if (!found.empty()) {
      return absl::InvalidArgumentError(fmt::format("the hash {} is ambiguous", hash));
    }
    found = former.content_hash;
  }
  if (!found.empty()) return found;
  return absl::NotFoundError(fmt::format("{} has had no text {} lately", name, hash));
}

absl::StatusOr<Draft> DraftUndo(const ApiState& state, const Request& request) {
  const ClusterView& view = *state.view;
  ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(request.path_parameter));
  std::string hash;
  if (!request.body.empty()) {
    ASSIGN_OR_RETURN(const auto body, ParseJson(request.body, "an undo"));
    ASSIGN_OR_RETURN(const auto member, StringMember(body, "hash"));
    hash = member.value_or("");
  }
  const auto* unit = view.units.Find(name.full());
  const auto* last = view.rollouts.Find(name.full());
  if (unit == nullptr || last == nullptr) {
    return absl::NotFoundError(fmt::format("there has been no rollout of {}", name.full()));
  }
  RETURN_IF_ERROR(CheckNoOther(view, name.full(), /*supersede=*/true));
  ASSIGN_OR_RETURN(const std::string text, TextToUndoTo(name.full(), last->value, hash));
  const auto* content = view.contents.Find(text);
  if (content == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("the text {} is not in the registry any more", text));
  }
  ASSIGN_OR_RETURN(const Requirements requirements,
                   CheckRolledOut(view, name, *content->value.file));
  Draft draft = DraftFor(state, name.full());
  draft.txn.compares.push_back({.target = store::Compare::Target::kCreateRevision,
                                .key = state.context.keys.Content(text),
                                .revision = content->create_revision});
  draft.rollout = reconcile::RolloutOf(&last->value, RandomId(), text, unit->value.content_hash,
                                       state.context.executor->WallNow(), "undo");
  draft.rollout.max_unavailable = last->value.max_unavailable;
  PutTemplateText(state, draft, requirements);
  return draft;
}

// A rollout in that state, to be changed.
absl::StatusOr<Draft> DraftChange(const ApiState& state, const std::string& name,
                                  RolloutState wanted) {
  const auto* stored = state.view->rollouts.Find(name);
  if (stored == nullptr) {
    return absl::NotFoundError(fmt::format("there has been no rollout of {}", name));
  }
  if (stored->value.state != wanted) {
    return absl::FailedPreconditionError(fmt::format("the rollout of {} is not {}, it is {}", name,
                                                     ToString(wanted),
                                                     ToString(stored->value.state)));
  }
  Draft draft = DraftFor(state, name);
  draft.rollout = stored->value;
  return draft;
}

absl::StatusOr<Draft> DraftPause(const ApiState& state, const Request& request) {
  ASSIGN_OR_RETURN(Draft draft, DraftChange(state, request.path_parameter, RolloutState::kRunning));
  draft.rollout.state = RolloutState::kPaused;
  if (!reconcile::IsRollBack(draft.rollout)) draft.rollout.reason = "paused by hand";
  return draft;
}

// Goes on, and tries again what has failed.
absl::StatusOr<Draft> DraftResume(const ApiState& state, const Request& request) {
  const ClusterView& view = *state.view;
  ASSIGN_OR_RETURN(Draft draft, DraftChange(state, request.path_parameter, RolloutState::kPaused));
  draft.rollout.state = RolloutState::kRunning;
  if (!reconcile::IsRollBack(draft.rollout)) draft.rollout.reason.clear();
  size_t retries = 0;
  for (const std::string& unit : reconcile::UnitsOfRollout(view, draft.name)) {
    const auto* stored = view.units.Find(unit);
    if (stored->value.rollout != draft.rollout.uid ||
        stored->value.desired != DesiredState::kLaunched || retries == kMaxRetries) {
      continue;
    }
    UnitRecord record = stored->value;
    const Progress progress = StatusOf(view, *UnitName::Parse(unit)).progress;
    if (progress == Progress::kFailed) {
      ++record.restarts;
    } else if (progress == Progress::kWaiting) {
      record.refusal.clear();  // it is looked for a machine again
    } else {
      continue;
    }
    ++retries;
    const std::string key = state.context.keys.Unit(unit);
    if (unit != draft.name) draft.txn.compares.push_back(Unchanged(key, stored));
    draft.txn.ops.emplace_back(store::Put{.key = key, .value = registry::Encode(record)});
  }
  return draft;
}

using Drafter = absl::StatusOr<Draft> (*)(const ApiState&, const Request&);

void AddChange(ApiState& state, const std::string& verb, const std::string& name,
               const std::string& description, const std::string& schema, Drafter drafter) {
  AddWithView(state, {.method = "POST",
                      .pattern = verb,
                      .resource = "Rollouts",
                      .name = name,
                      .description = description,
                      .request_schema = schema,
                      .response_schema = "Rollout",
                      .handler = [&state, drafter](const Request& request, Responder respond) {
                        auto draft = drafter(state, request);
                        if (!draft.ok()) {
                          respond(ErrorResponse(draft.status()));
                          return;
                        }
                        Commit(state, *std::move(draft), std::move(respond));
                      }});
}

}  // namespace

void AddRolloutRoutes(ApiState& state) {
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/rollouts",
                      .resource = "Rollouts",
                      .name = "List",
                      .description = "Retrieve the last Rollout of each Unit.",
                      .response_schema = "RolloutPage",
                      .handler = [&state](const Request& /*request*/, Responder respond) {
                        respond(ListRollouts(state));
                      }});
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/rollouts/{unitName}",
                      .resource = "Rollouts",
                      .name = "Get",
                      .description = "Retrieve the last Rollout of a Unit.",
                      .response_schema = "Rollout",
                      .handler = [&state](const Request& request, Responder respond) {
                        respond(RolloutResponse(state, request.path_parameter));
                      }});
  AddChange(state, "/fleet/v1/units/{unitName}/rollout", "Start",
            "Bring a new text, or a restart, to the instances of a template, a few at a time.",
            "RolloutRequest", DraftRollout);
  AddChange(state, "/fleet/v1/rollouts/{unitName}/pause", "Pause", "Begin with no more Units.", "",
            DraftPause);
  AddChange(state, "/fleet/v1/rollouts/{unitName}/resume", "Resume",
            "Go on, and try again what has failed.", "", DraftResume);
  AddChange(state, "/fleet/v1/rollouts/{unitName}/undo", "Undo",
            "Bring a former text back, in the same way.", "UndoRequest", DraftUndo);
}

}  // namespace fleet::api
