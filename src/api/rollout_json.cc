#include "api/rollout_json.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "api/conditional.h"
#include "api/json_writer.h"
#include "api/page.h"
#include "fmt/core.h"
#include "model/entity_tag.h"
#include "reconcile/rollout.h"

namespace fleet::api {
namespace {

// What the names of one rollout share: found out once, however many of them are asked about.
class SharedByNames {
 public:
  struct Shared {
    std::vector<std::string> names;
    reconcile::RolloutProgress progress;
  };

  explicit SharedByNames(const ClusterView& view) : view_(view) {}

  const Shared& Of(const std::string& name, const RolloutRecord& rollout) {
    std::vector<std::string> names = reconcile::NamesOfRollout(view_, name, rollout);
    const auto [it, is_new] = known_.try_emplace({rollout.uid, names.front()});
    if (is_new) {
      it->second = {.names = std::move(names),
                    .progress = reconcile::ProgressOf(view_, name, rollout)};
    }
    return it->second;
  }

 private:
  const ClusterView& view_;
  std::map<std::pair<std::string, std::string>, Shared> known_;  // by uid and first name
};

void WriteFormer(JsonWriter& body, const FormerContent& former) {
  body.BeginObject().Always("hash", former.content_hash);
  if (former.since != absl::UnixEpoch()) {
    body.Always("since", absl::FormatTime(absl::RFC3339_sec, former.since, absl::UTCTimeZone()));
  }
  body.Always("how", former.how).EndObject();
}

// The last first. A text that a submit has brought since the last rollout is written down at the
// next one only.
void WriteHistory(JsonWriter& body, const std::vector<FormerContent>& history,
                  const std::string& current_hash) {
  body.Key("history").BeginArray();
  const bool is_known =
      std::any_of(history.begin(), history.end(),
                  [&](const FormerContent& former) { return former.content_hash == current_hash; });
  if (!is_known) WriteFormer(body, {current_hash, absl::UnixEpoch(), "submit"});
  for (const FormerContent& former : history) WriteFormer(body, former);
  body.EndArray();
}

void WriteRollout(JsonWriter& body, const ClusterView& view, SharedByNames& shared,
                  const std::string& name, const RolloutRecord& rollout) {
  const auto& [names, progress] = shared.Of(name, rollout);
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
  body.EndArray();
  if (!rollout.together.empty()) {
    body.Key("together").BeginArray();
    for (const std::string& one : names) body.String(one);
    body.EndArray();
  }
  const auto* unit = view.units.Find(name);
  WriteHistory(body, rollout.history,
               unit == nullptr ? rollout.content_hash : unit->value.content_hash);
  body.EndObject();
}

}  // namespace

Response RolloutResponse(const ClusterView& view, const std::string& name) {
  const auto* stored = view.rollouts.Find(name);
  if (stored == nullptr) {
    return ErrorResponse(404, fmt::format("there has been no rollout of {}", name));
  }
  JsonWriter body;
  SharedByNames shared(view);
  WriteRollout(body, view, shared, name, stored->value);
  Response response = JsonResponse(200, body.Take());
  AddEntityTag(response, TagOf(stored->value));
  return response;
}

Response RolloutsResponse(const ClusterView& view, const Query& query) {
  auto page = ReadPageRequest(query, "rollouts", {}, kMaxPageSize);
  if (!page.ok()) return ErrorResponse(page.status());
  if (!query.Get("limit") && page->next_unit.empty()) page->size = view.rollouts.size();
  JsonWriter body;
  SharedByNames shared(view);
  body.BeginObject().Key("rollouts").BeginArray();
  auto it = view.rollouts.lower_bound(page->next_unit);
  for (size_t n = 0; n < page->size && it != view.rollouts.end(); ++n, ++it) {
    WriteRollout(body, view, shared, it->first, it->second.value);
  }
  body.EndArray();
  if (it != view.rollouts.end()) {
    body.Always("nextPageToken", NextPageToken(*page, "rollouts", it->first));
  }
  body.EndObject();
  Response response = JsonResponse(200, body.Take());
  AddEntityTag(response);
  return response;
}

}  // namespace fleet::api
