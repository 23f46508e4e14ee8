#include "reconcile/rollout.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "fmt/core.h"
#include "reconcile/engine_facts.h"

namespace fleet::reconcile {

namespace {

const char* const kUpdate = "update";
const char* const kRollBack = "roll-back";

// The latest first, each text once.
void Remember(std::vector<FormerContent>& history, FormerContent content) {
  std::erase_if(history, [&](const FormerContent& former) {
    return former.content_hash == content.content_hash;
  });
  history.insert(history.begin(), std::move(content));
  if (history.size() > kMaxHistory) history.resize(kMaxHistory);
}

// The text that comes back if `content_hash` turns out to be bad: the one before. But not one that
// is brought again, and not one that never got to all units, which may be as bad.
std::string FormerText(const RolloutRecord* before, const std::string& content_hash,
                       const std::string& current_hash) {
  const bool is_again = content_hash == current_hash;
  if (before == nullptr) return is_again ? "" : current_hash;
  if (before->content_hash != current_hash) return is_again ? before->content_hash : current_hash;
  const bool was_cut_short = IsUnfinished(*before) && !before->restarts &&
                             !before->history.empty() && before->history[0].how == kUpdate &&
                             !before->former_hash.empty() && before->former_hash != content_hash;
  return is_again || was_cut_short ? before->former_hash : current_hash;
}

}  // namespace

std::vector<std::string> ReplicasToStart(const ClusterView& view, const std::string& template_name,
                                         int64_t replicas) {
  std::vector<std::string> units;
  for (const std::string& unit : InstancesIn(view, template_name)) {
    const auto number = NumberOf(*UnitName::Parse(unit));
    if (number && *number <= replicas &&
        view.units.Find(unit)->value.desired != DesiredState::kLaunched) {
      units.push_back(unit);
    }
  }
  return units;
}

std::vector<std::string> SurplusReplicas(const ClusterView& view, const std::string& template_name,
                                         int64_t replicas) {
  std::vector<std::string> surplus;
  for (std::string& unit : InstancesIn(view, template_name)) {
    const auto number = NumberOf(*UnitName::Parse(unit));
    if (number && *number > replicas && view.units.Find(unit)->value.made_by_replicas) {
      surplus.push_back(std::move(unit));
    }
  }
  std::reverse(surplus.begin(), surplus.end());
  return surplus;
}

RolloutRecord RolloutOf(const RolloutRecord* before, std::string uid,
                        const std::string& content_hash, const std::string& current_hash,
                        absl::Time now, const std::string& how,
                        const std::vector<std::string>& submitted) {
  RolloutRecord rollout = {
      .uid = std::move(uid),
      .content_hash = content_hash,
      .former_hash = FormerText(before, content_hash, current_hash),
      .history = before == nullptr ? std::vector<FormerContent>() : before->history,
      .unknown = before == nullptr ? "" : before->unknown};
  const auto note_submitted = [&](const std::string& hash) {
    const bool is_known =
        std::any_of(rollout.history.begin(), rollout.history.end(),
                    [&](const FormerContent& former) { return former.content_hash == hash; });
    if (!is_known) Remember(rollout.history, {hash, absl::UnixEpoch(), "submit"});
  };
  std::for_each(submitted.rbegin(), submitted.rend(), note_submitted);
  note_submitted(current_hash);
  Remember(rollout.history, {content_hash, now, how});
  return rollout;
}

bool IsRollBack(const RolloutRecord& rollout) {
  return !rollout.restarts && !rollout.history.empty() && rollout.history[0].how == kRollBack;
}

RolloutRecord RestartOf(const RolloutRecord* before, std::string uid,
                        const std::string& current_hash) {
  RolloutRecord rollout = {.uid = std::move(uid), .restarts = true, .content_hash = current_hash};
  if (before != nullptr) {
    rollout.former_hash = before->former_hash;
    rollout.history = before->history;
    rollout.unknown = before->unknown;
  }
  return rollout;
}

RolloutRecord RollBackOf(const RolloutRecord& failed, const std::string& why, absl::Time now) {
  RolloutRecord back = RolloutOf(&failed, failed.uid + "-back", failed.former_hash,
                                 failed.content_hash, now, kRollBack);
  back.max_unavailable = failed.max_unavailable;
  back.together = failed.together;
  back.reason = why;
  return back;
}

bool IsFormerText(const RolloutRecord& rollout, const std::string& content_hash) {
  return content_hash == rollout.former_hash ||
         std::any_of(
             rollout.history.begin(), rollout.history.end(),
             [&](const FormerContent& former) { return former.content_hash == content_hash; });
}

bool RunsToItsEnd(const UnitFile& file) {
  const auto types = file.Values("Service", "Type");
  if (!types.empty()) return types.back() == "oneshot";
  return file.Values("Service", "ExecStart").empty();  // systemd.service(5), Type=
}

bool ServesNoMore(const ClusterView& view, const std::string& content_hash,
                  const UnitStatus& status) {
  if (status.progress != Progress::kReached || status.report == nullptr ||
      status.report->active_state != "inactive") {
    return false;
  }
  const auto* content = view.contents.Find(content_hash);
  return content != nullptr && !RunsToItsEnd(*content->value.file);
}

RolloutShare ShareIn(const RolloutRecord& rollout, const UnitRecord& unit) {
  const bool was_reached = unit.rollout == rollout.uid;
  if (rollout.restarts) return was_reached ? RolloutShare::kReached : RolloutShare::kToCome;
  if (unit.content_hash == rollout.content_hash) return RolloutShare::kReached;
  // One that was reached and has been given another text since has a text of its own.
  return !was_reached && IsFormerText(rollout, unit.content_hash) ? RolloutShare::kToCome
                                                                  : RolloutShare::kNone;
}

std::vector<std::string> InstancesIn(const ClusterView& view, const std::string& template_name) {
  const auto name = UnitName::Parse(template_name);
  if (!name.ok() || !name->is_template()) return {};
  const std::string prefix = fmt::format("{}@", name->prefix());
  std::vector<std::pair<int64_t, std::string>> found;
  for (auto it = view.units.lower_bound(prefix);
       it != view.units.end() && it->first.starts_with(prefix); ++it) {
    const auto instance = UnitName::Parse(it->first);
    if (!instance.ok() || !instance->is_instance() || instance->TemplateName() != template_name) {
      continue;
    }
    found.emplace_back(NumberOf(*instance).value_or(std::numeric_limits<int64_t>::max()),
                       it->first);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> instances;
  instances.reserve(found.size());
  for (auto& [number, instance] : found) instances.push_back(std::move(instance));
  return instances;
}

std::vector<std::string> UnitsOfRollout(const ClusterView& view, const std::string& name) {
  if (IsTemplate(name)) return InstancesIn(view, name);
  if (view.units.Find(name) == nullptr) return {};
  return {name};
}

std::vector<std::string> NamesOfRollout(const ClusterView& view, const std::string& name,
                                        const RolloutRecord& rollout) {
  const auto& together = rollout.together;
  if (std::find(together.begin(), together.end(), name) == together.end()) return {name};
  std::vector<std::string> names;
  for (const std::string& one : together) {
    const auto* stored = view.rollouts.Find(one);
    if (one == name || (stored != nullptr && stored->value.uid == rollout.uid)) {
      names.push_back(one);
    }
  }
  return names;
}

RolloutProgress ProgressOf(const ClusterView& view, const std::string& name,
                           const RolloutRecord& rollout) {
  RolloutProgress progress;
  for (const std::string& one : NamesOfRollout(view, name, rollout)) {
    const RolloutRecord& its = one == name ? rollout : view.rollouts.Find(one)->value;
    for (const std::string& unit : UnitsOfRollout(view, one)) {
      const UnitRecord& record = view.units.Find(unit)->value;
      const RolloutShare share = ShareIn(its, record);
      if (share == RolloutShare::kNone || record.desired != DesiredState::kLaunched) continue;
      ++progress.total;
      if (share == RolloutShare::kReached) ++progress.reached;
      const UnitStatus status = StatusOf(view, *UnitName::Parse(unit));
      if (share == RolloutShare::kReached && ServesNoMore(view, record.content_hash, status)) {
        progress.not_started.push_back(fmt::format("{} has ended", unit));
      }
      if (status.progress == Progress::kReached) continue;
      std::string text = fmt::format("{} is {}", unit, ToString(status.progress));
      if (!status.reason.empty()) text += ": " + status.reason;
      progress.not_started.push_back(std::move(text));
    }
  }
  return progress;
}

}  // namespace fleet::reconcile
