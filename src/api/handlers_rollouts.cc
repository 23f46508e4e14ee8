// /rollouts: rolling updates and restarts, which the engine carries out. They are started with
// POST /units/NAME/rollout.

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/time/time.h"
#include "api/api_state.h"
#include "api/conditional.h"
#include "api/json_reader.h"
#include "api/rollout_draft.h"
#include "api/rollout_json.h"
#include "base/budget.h"
#include "base/ids.h"
#include "base/status.h"
#include "fmt/core.h"
#include "fmt/ranges.h"
#include "model/features.h"
#include "model/unit_status.h"
#include "reconcile/engine_facts.h"
#include "reconcile/rollout.h"
#include "reconcile/text_check.h"
#include "registry/codec.h"

namespace fleet::api {
namespace {

// So many facts at most a resume compares: of units that have failed some may be left for the next.
constexpr size_t kMaxCompares = 100;
constexpr size_t kMaxBody = 4 << 20;  // of texts, which JSON makes longer

using Draft = RolloutDraft;

void Commit(ApiState& state, Draft draft, const std::string& shown, Responder respond) {
  std::vector<std::string> names;
  for (const auto& [name, rollout] : draft.rollouts) {
    names.push_back(name);
    draft.txn.ops.emplace_back(
        store::Put{.key = state.context.keys.Rollout(name), .value = registry::Encode(rollout)});
  }
  const std::string changed =
      fmt::format("others have changed {} or its rollout", fmt::join(names, ", "));
  if (!draft.unmet.empty()) {
    // Nothing is stored, but what was compared with is what there is.
    draft.txn.ops.clear();
    CommitAsDecided(state, std::move(draft.txn), changed, std::move(respond),
                    [what = std::move(draft.unmet), tag = std::move(draft.tag)] {
                      return PreconditionFailed(
                          fmt::format("{} is another than the request's condition asks for", what),
                          tag);
                    });
    return;
  }
  CommitAsDecided(state, std::move(draft.txn), changed, std::move(respond),
                  [&state, name = shown.empty() ? names.front() : shown] {
                    return RolloutResponse(*state.view, name);
                  });
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
  for (const std::string& instance : reconcile::InstancesIn(view, name)) {
    const auto* other = view.rollouts.Find(instance);
    if (other == nullptr || other->value.state != RolloutState::kRunning) continue;
    return absl::FailedPreconditionError(fmt::format(
        "a rollout of {}, an instance of {}, is running: let it end, or pause it", instance, name));
  }
  return absl::OkStatus();
}

absl::Status ChangesEverywhere(const UnitName& name) {
  return absl::FailedPreconditionError(fmt::format(
      "{} is global, and changes on all machines at once: submit it with --replace", name.full()));
}

// What a text asks for, if it can be rolled out to `name`.
absl::StatusOr<Requirements> CheckRolledOut(const ClusterView& view, const UnitName& name,
                                            const UnitFile& file) {
  ASSIGN_OR_RETURN(Requirements requirements, reconcile::CheckText(view, name, file));
  if (requirements.global) return ChangesEverywhere(name);
  return requirements;
}

// How a rollout is to go.
struct Terms {
  std::string uid = RandomId();
  std::string max_unavailable;
  bool rolls_back = false;
  bool supersede = false;
};

absl::StatusOr<Terms> ReadTerms(const nlohmann::json& body) {
  Terms terms;
  ASSIGN_OR_RETURN(const auto at_once, StringMember(body, "maxUnavailable"));
  ASSIGN_OR_RETURN(const auto on_failure, StringMember(body, "onFailure"));
  ASSIGN_OR_RETURN(terms.supersede, BoolMember(body, "supersede"));
  terms.max_unavailable = at_once.value_or("");
  if (!terms.max_unavailable.empty()) RETURN_IF_ERROR(ParseBudget(terms.max_unavailable).status());
  if (on_failure && *on_failure != "pause" && *on_failure != "rollback") {
    return absl::InvalidArgumentError(
        fmt::format("onFailure \"{}\" is unknown: pause or rollback", *on_failure));
  }
  terms.rolls_back = on_failure == "rollback";
  return terms;
}

// The texts of a template that submits have replaced, as far as they are still there.
std::vector<std::string> TextsSubmitted(const ClusterView& view, const UnitRecord& unit) {
  std::vector<std::string> texts = unit.former_hashes;
  std::erase_if(texts,
                [&](const std::string& hash) { return view.contents.Find(hash) == nullptr; });
  return texts;
}

// A new text, or a restart, for one template or unit.
absl::Status AddRollout(const ApiState& state, Draft& draft, const UnitName& name,
                        const registry::UnitChange& change, const Terms& terms) {
  const ClusterView& view = *state.view;
  if (change.restart == (change.file != nullptr)) {
    return absl::InvalidArgumentError("a rollout is either a new text or a \"restart\"");
  }
  const auto* unit = view.units.Find(name.full());
  if (unit == nullptr) {
    return absl::NotFoundError(fmt::format("unit {} does not exist", name.full()));
  }
  RETURN_IF_ERROR(CheckNoOther(view, name.full(), terms.supersede));
  const auto* content = view.contents.Find(unit->value.content_hash);
  if (content == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("the text of {} is not in the registry: submit it", name.full()));
  }
  const auto* last = view.rollouts.Find(name.full());
  const RolloutRecord* before = last == nullptr ? nullptr : &last->value;
  const UnitFile& text = change.restart ? *content->value.file : *change.file;
  if (!change.restart) RETURN_IF_ERROR(CheckForSubmit(text, name, change.force));
  ASSIGN_OR_RETURN(const Requirements requirements, CheckRolledOut(view, name, text));
  if (change.restart && !name.is_template() && unit->value.desired != DesiredState::kLaunched) {
    return absl::FailedPreconditionError(fmt::format("unit {} is {}, not launched: start it",
                                                     name.full(), ToString(unit->value.desired)));
  }
  if (!change.restart) {
    RETURN_IF_ERROR(CheckTextEnabled(view, requirements, name.full()));
    // A text that cannot be read may be replaced.
    const auto present = ParseRequirements(*content->value.file, name);
    if (present.ok() && present->global) return ChangesEverywhere(name);
    // It could not come back otherwise.
    if (terms.rolls_back) {
      RETURN_IF_ERROR(present.status());
      RETURN_IF_ERROR(CheckTextEnabled(view, *present, name.full()));
    }
  }
  RolloutRecord rollout =
      change.restart
          ? reconcile::RestartOf(before, terms.uid, unit->value.content_hash)
          : reconcile::RolloutOf(before, terms.uid, text.hash(), unit->value.content_hash,
                                 state.context.executor->WallNow(), "update",
                                 TextsSubmitted(view, unit->value));
  rollout.max_unavailable = terms.max_unavailable;
  rollout.rolls_back = terms.rolls_back;
  draft.Add(state, name.full(), std::move(rollout));
  draft.Demand(change.condition, fmt::format("unit {}", name.full()), TagAt(unit));
  if (!change.restart) draft.PutTemplateText(state, name.full(), requirements);
  return absl::OkStatus();
}

absl::StatusOr<Draft> DraftRollout(const ApiState& state, const Request& request) {
  ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(request.path_parameter));
  ASSIGN_OR_RETURN(const auto body, ParseJson(request.body, "a rollout"));
  ASSIGN_OR_RETURN(registry::UnitChange change, ReadUnitChange(body));
  ASSIGN_OR_RETURN(const Terms terms, ReadTerms(body));
  ASSIGN_OR_RETURN(change.condition, ParsePrecondition(request.if_match, request.if_none_match));
  Draft draft;
  RETURN_IF_ERROR(AddRollout(state, draft, name, change, terms));
  if (change.file != nullptr) draft.PutContent(state, change.file);
  return draft;
}

// One of several that has the text already keeps it when the others go back.
void KeepUnchanged(const ClusterView& view, const std::string& name, RolloutRecord& rollout) {
  const auto* last = view.rollouts.Find(name);
  const bool is_in_doubt = last != nullptr && reconcile::IsUnfinished(last->value);
  if (!rollout.restarts && !is_in_doubt &&
      rollout.content_hash == view.units.Find(name)->value.content_hash) {
    rollout.former_hash = rollout.content_hash;
  }
}

// An instance is not rolled out beside its template.
absl::Status CheckApart(const std::set<std::string>& names) {
  for (const std::string& name : names) {
    const std::string template_name = reconcile::TemplateOf(name);
    if (names.contains(template_name)) {
      return absl::InvalidArgumentError(
          fmt::format("{} is an instance of {}, and named beside it", name, template_name));
    }
  }
  return absl::OkStatus();
}

// One rollout of several templates and units.
absl::StatusOr<Draft> DraftTogether(const ApiState& state, const Request& request) {
  ASSIGN_OR_RETURN(const auto body, ParseJson(request.body, "a rollout"));
  if (!body.is_object()) return absl::InvalidArgumentError("a rollout must be a JSON object");
  ASSIGN_OR_RETURN(const Terms terms, ReadTerms(body));
  ASSIGN_OR_RETURN(const bool restarts, BoolMember(body, "restart"));
  ASSIGN_OR_RETURN(const bool force, BoolMember(body, "force"));
  const auto* units = FindMember(body, "units");
  if (units == nullptr || !units->is_array() || units->empty() ||
      units->size() > reconcile::kMaxRolledTogether) {
    return absl::InvalidArgumentError(fmt::format(
        "one rollout (\"units\") takes 1 to {} templates and units: name a template for "
        "all its instances, or take several rollouts",
        reconcile::kMaxRolledTogether));
  }
  Draft draft;
  std::set<std::string> names;
  std::map<std::string, std::shared_ptr<const UnitFile>> texts;  // by hash
  for (const auto& unit : *units) {
    if (!unit.is_object()) return absl::InvalidArgumentError("each of \"units\" is an object");
    ASSIGN_OR_RETURN(registry::UnitChange change, ReadUnitChange(unit));
    ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(change.name));
    if (!names.insert(name.full()).second) {
      return absl::InvalidArgumentError(fmt::format("{} is named twice", name.full()));
    }
    change.restart = restarts;
    change.force = force;
    RETURN_IF_ERROR(AddRollout(state, draft, name, change, terms));
    if (units->size() > 1) KeepUnchanged(*state.view, name.full(), draft.rollouts.at(name.full()));
    if (change.file != nullptr) texts.emplace(change.file->hash(), change.file);
  }
  RETURN_IF_ERROR(CheckApart(names));
  if (names.size() > 1) {
    RETURN_IF_ERROR(CheckEnabled(*state.view, kRolloutSetFeature, "a rollout of several units"));
  }
  for (const auto& [hash, file] : texts) draft.PutContent(state, file);
  draft.Tie();
  return draft;
}

// The text that an undo brings: the one before `current_hash`, or the one in the history that
// `hash` begins.
absl::StatusOr<std::string> TextToUndoTo(const std::string& name, const RolloutRecord& rollout,
                                         const std::string& current_hash, const std::string& hash) {
  if (hash.empty()) {
    // Of a submit since then; a unit that the rollout has yet to reach has a former text, too.
    const bool may_be_to_come = !reconcile::IsTemplate(name) && reconcile::IsUnfinished(rollout) &&
                                reconcile::IsFormerText(rollout, current_hash);
    if (current_hash != rollout.content_hash && !may_be_to_come) return rollout.content_hash;
    // The text before is the one that failed.
    if (reconcile::IsRollBack(rollout)) {
      return absl::FailedPreconditionError(
          fmt::format("{} has been rolled back already, or is being; name the text that it is to "
                      "have (fleetctl rollout history {})",
                      name, name));
    }
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

// Those that a change of the rollout of `name` concerns, in its state.
std::vector<std::string> NamesWith(const ClusterView& view, const std::string& name,
                                   const RolloutRecord& rollout) {
  std::vector<std::string> names = reconcile::NamesOfRollout(view, name, rollout);
  std::erase_if(names, [&](const std::string& one) {
    return view.units.Find(one) == nullptr || view.rollouts.Find(one)->value.state != rollout.state;
  });
  return names;
}

absl::Status AddUndo(const ApiState& state, Draft& draft, const UnitName& name,
                     const std::string& hash, const std::string& uid) {
  const ClusterView& view = *state.view;
  const auto* last = view.rollouts.Find(name.full());
  RETURN_IF_ERROR(CheckNoOther(view, name.full(), /*supersede=*/true));
  const UnitRecord& unit = view.units.Find(name.full())->value;
  const std::string& current_hash = unit.content_hash;
  ASSIGN_OR_RETURN(const std::string text,
                   TextToUndoTo(name.full(), last->value, current_hash, hash));
  const auto* content = view.contents.Find(text);
  if (content == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("the text {} is not in the registry any more", text));
  }
  ASSIGN_OR_RETURN(const Requirements requirements,
                   CheckRolledOut(view, name, *content->value.file));
  RETURN_IF_ERROR(CheckTextEnabled(view, requirements, name.full()));
  draft.txn.compares.push_back({.target = store::Compare::Target::kCreateRevision,
                                .key = state.context.keys.Content(text),
                                .revision = content->create_revision});
  RolloutRecord rollout =
      reconcile::RolloutOf(&last->value, uid, text, current_hash, state.context.executor->WallNow(),
                           "undo", TextsSubmitted(view, unit));
  rollout.max_unavailable = last->value.max_unavailable;
  draft.Add(state, name.full(), std::move(rollout));
  draft.PutTemplateText(state, name.full(), requirements);
  return absl::OkStatus();
}

// What an update of several has brought goes back as a whole, unless one text is named: that is of
// one of them. A restart of several says nothing of their texts.
absl::StatusOr<Draft> DraftUndo(const ApiState& state, const Request& request) {
  const ClusterView& view = *state.view;
  ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(request.path_parameter));
  std::string hash;
  if (!request.body.empty()) {
    ASSIGN_OR_RETURN(const auto body, ParseJson(request.body, "an undo"));
    ASSIGN_OR_RETURN(const auto member, StringMember(body, "hash"));
    hash = member.value_or("");
  }
  const auto* last = view.rollouts.Find(name.full());
  if (view.units.Find(name.full()) == nullptr || last == nullptr) {
    return absl::NotFoundError(fmt::format("there has been no rollout of {}", name.full()));
  }
  std::vector<std::string> names = {name.full()};
  if (hash.empty() && !last->value.restarts) names = NamesWith(view, name.full(), last->value);
  const std::string uid = RandomId();
  Draft draft;
  for (const std::string& one : names) {
    RETURN_IF_ERROR(AddUndo(state, draft, *UnitName::Parse(one), hash, uid));
  }
  draft.Tie();
  return draft;
}

// A rollout in that state, to be changed.
absl::StatusOr<Draft> DraftChange(const ApiState& state, const std::string& name,
                                  RolloutState wanted) {
  const auto* stored = state.view->rollouts.Find(name);
  if (stored == nullptr || state.view->units.Find(name) == nullptr) {
    return absl::NotFoundError(fmt::format("there has been no rollout of {}", name));
  }
  if (stored->value.state != wanted) {
    return absl::FailedPreconditionError(fmt::format("the rollout of {} is not {}, it is {}", name,
                                                     ToString(wanted),
                                                     ToString(stored->value.state)));
  }
  Draft draft;
  for (const std::string& one : NamesWith(*state.view, name, stored->value)) {
    draft.Add(state, one, state.view->rollouts.Find(one)->value);
  }
  return draft;
}

absl::StatusOr<Draft> DraftPause(const ApiState& state, const Request& request) {
  ASSIGN_OR_RETURN(Draft draft, DraftChange(state, request.path_parameter, RolloutState::kRunning));
  for (auto& [name, rollout] : draft.rollouts) {
    rollout.state = RolloutState::kPaused;
    if (!reconcile::IsRollBack(rollout)) rollout.reason = "paused by hand";
  }
  return draft;
}

// Tries again what the rollout of `name` has reached and what has failed.
void Retry(const ApiState& state, Draft& draft, const std::string& name) {
  const ClusterView& view = *state.view;
  const RolloutRecord& rollout = draft.rollouts.at(name);
  for (const std::string& unit : reconcile::UnitsOfRollout(view, name)) {
    const auto* stored = view.units.Find(unit);
    if (stored->value.rollout != rollout.uid || stored->value.desired != DesiredState::kLaunched ||
        draft.txn.compares.size() >= kMaxCompares) {
      continue;
    }
    UnitRecord record = stored->value;
    const UnitStatus status = StatusOf(view, *UnitName::Parse(unit));
    if (status.progress == Progress::kFailed ||
        reconcile::ServesNoMore(view, record.content_hash, status)) {
      ++record.restarts;
    } else if (status.progress == Progress::kWaiting) {
      record.refusal.clear();  // it is looked for a machine again
    } else {
      continue;
    }
    const std::string key = state.context.keys.Unit(unit);
    if (unit != name) draft.txn.compares.push_back(Unchanged(key, stored));
    draft.txn.ops.emplace_back(store::Put{.key = key, .value = registry::Encode(record)});
  }
}

absl::StatusOr<Draft> DraftResume(const ApiState& state, const Request& request) {
  ASSIGN_OR_RETURN(Draft draft, DraftChange(state, request.path_parameter, RolloutState::kPaused));
  for (auto& [name, rollout] : draft.rollouts) {
    rollout.state = RolloutState::kRunning;
    if (!reconcile::IsRollBack(rollout)) rollout.reason.clear();
    Retry(state, draft, name);
  }
  return draft;
}

// The history of a backup, for a unit that has none: nothing is rolled out.
absl::StatusOr<Draft> DraftHistory(const ApiState& state, const Request& request) {
  // etcd takes 1.5 MiB a request; the oldest texts are left out.
  constexpr size_t kMaxBytes = 1'000'000;
  const ClusterView& view = *state.view;
  ASSIGN_OR_RETURN(const UnitName name, UnitName::Parse(request.path_parameter));
  ASSIGN_OR_RETURN(const auto body, ParseJson(request.body, "a history"));
  const auto* history = body.is_object() ? FindMember(body, "history") : nullptr;
  if (history == nullptr || !history->is_array()) {
    return absl::InvalidArgumentError("\"history\" has to be a list of texts");
  }
  const auto* unit = view.units.Find(name.full());
  if (unit == nullptr) {
    return absl::NotFoundError(fmt::format("unit {} does not exist", name.full()));
  }
  if (view.rollouts.Find(name.full()) != nullptr) {
    return absl::AlreadyExistsError(fmt::format("{} has a history", name.full()));
  }
  Draft draft;
  RolloutRecord rollout = {
      .uid = RandomId(), .state = RolloutState::kDone, .content_hash = unit->value.content_hash};
  size_t bytes = 0;
  for (const auto& entry : *history) {
    if (!entry.is_object()) return absl::InvalidArgumentError("each of \"history\" is an object");
    ASSIGN_OR_RETURN(const registry::UnitChange change, ReadUnitChange(entry));
    ASSIGN_OR_RETURN(const auto how, StringMember(entry, "how"));
    ASSIGN_OR_RETURN(const auto since, StringMember(entry, "since"));
    FormerContent former = {.since = absl::UnixEpoch(), .how = how.value_or("submit")};
    std::string error;
    if (change.file == nullptr ||
        (since && !absl::ParseTime(absl::RFC3339_full, *since, &former.since, &error))) {
      return absl::InvalidArgumentError(
          "each of \"history\" has a \"content\", and if any an RFC 3339 time as \"since\"");
    }
    bytes += change.file->text().size();
    if (bytes > kMaxBytes || rollout.history.size() == reconcile::kMaxHistory) break;
    former.content_hash = change.file->hash();
    if (rollout.former_hash.empty() && former.content_hash != rollout.content_hash) {
      rollout.former_hash = former.content_hash;
    }
    rollout.history.push_back(std::move(former));
    draft.PutContent(state, change.file);
  }
  draft.Add(state, name.full(), std::move(rollout));
  return draft;
}

using Drafter = absl::StatusOr<Draft> (*)(const ApiState&, const Request&);

// What `drafter` has, if the headers' condition holds for the rollout that there is.
template <Drafter drafter>
absl::StatusOr<Draft> IfMatches(const ApiState& state, const Request& request) {
  ASSIGN_OR_RETURN(const Precondition condition,
                   ParsePrecondition(request.if_match, request.if_none_match));
  ASSIGN_OR_RETURN(Draft draft, drafter(state, request));
  const std::string& name = request.path_parameter;
  draft.Demand(condition, fmt::format("the rollout of {}", name),
               TagAt(state.view->rollouts.Find(name)));
  return draft;
}

struct ChangeRoute {
  const char* method = "POST";
  const char* pattern;
  const char* name;
  const char* description;
  const char* schema = "";
  bool body_optional = false;
  Drafter drafter;
  bool conditional = true;
};

void AddChange(ApiState& state, const ChangeRoute& change) {
  AddWithView(
      state,
      {.method = change.method,
       .pattern = change.pattern,
       .resource = "Rollouts",
       .name = change.name,
       .description = change.description,
       .request_schema = change.schema,
       .body_optional = change.body_optional,
       .response_schema = "Rollout",
       .has_tag = true,
       .max_body = kMaxBody,
       .conditional = change.conditional,
       .handler = [&state, drafter = change.drafter](const Request& request, Responder respond) {
         auto draft = drafter(state, request);
         if (!draft.ok()) {
           respond(ErrorResponse(draft.status()));
           return;
         }
         Commit(state, *std::move(draft), request.path_parameter, std::move(respond));
       }});
}

}  // namespace

void AddRolloutRoutes(ApiState& state) {
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/rollouts",
                      .resource = "Rollouts",
                      .name = "List",
                      .description = "Retrieve the last Rollout of each Unit.",
                      .parameters = {"nextPageToken", "limit"},
                      .response_schema = "RolloutPage",
                      .conditional = true,
                      .handler = [&state](const Request& request, Responder respond) {
                        respond(RolloutsResponse(*state.view, request.query));
                      }});
  AddWithView(state, {.method = "GET",
                      .pattern = "/fleet/v1/rollouts/{unitName}",
                      .resource = "Rollouts",
                      .name = "Get",
                      .description = "Retrieve the last Rollout of a Unit.",
                      .response_schema = "Rollout",
                      .conditional = true,
                      .handler = [&state](const Request& request, Responder respond) {
                        respond(RolloutResponse(*state.view, request.path_parameter));
                      }});
  AddChange(state, {.pattern = "/fleet/v1/units/{unitName}/rollout",
                    .name = "Start",
                    .description = "Bring a new text, or a restart, to the instances of a "
                                   "template, a few at a time.",
                    .schema = "RolloutRequest",
                    .drafter = DraftRollout});
  // Each of the units may have a condition of its own.
  AddChange(state, {.pattern = "/fleet/v1/rollouts",
                    .name = "StartTogether",
                    .description = "Bring new texts, or a restart, to several Units and templates "
                                   "as one rollout.",
                    .schema = "RolloutsRequest",
                    .drafter = DraftTogether,
                    .conditional = false});
  AddChange(state, {.pattern = "/fleet/v1/rollouts/{unitName}/pause",
                    .name = "Pause",
                    .description = "Begin with no more Units.",
                    .drafter = IfMatches<DraftPause>});
  AddChange(state, {.pattern = "/fleet/v1/rollouts/{unitName}/resume",
                    .name = "Resume",
                    .description = "Go on, and try again what has failed.",
                    .drafter = IfMatches<DraftResume>});
  AddChange(state, {.pattern = "/fleet/v1/rollouts/{unitName}/undo",
                    .name = "Undo",
                    .description = "Bring a former text back, in the same way.",
                    .schema = "UndoRequest",
                    .body_optional = true,
                    .drafter = IfMatches<DraftUndo>});
  AddChange(state,
            {.method = "PUT",
             .pattern = "/fleet/v1/rollouts/{unitName}",
             .name = "SetHistory",
             .description = "The texts that a Unit has had, of a backup; nothing is rolled out.",
             .schema = "HistoryRequest",
             .drafter = IfMatches<DraftHistory>});
}

}  // namespace fleet::api
