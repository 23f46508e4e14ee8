#pragma once

// What replicas and rollouts mean for records, for whoever writes them: the API and the engine.
// Pure.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/cluster_view.h"
#include "model/records.h"
#include "model/unit_status.h"

namespace fleet::reconcile {

// How many texts a rollout remembers.
inline constexpr size_t kMaxHistory = 10;
// Of how many templates and units one rollout may be: it is written in one transaction.
inline constexpr size_t kMaxRolledTogether = 32;

// Instances 1 to `replicas` of the template that exist and are not launched: a scale starts them.
// Those that are missing are made by the engine.
std::vector<std::string> ReplicasToStart(const ClusterView& view, const std::string& template_name,
                                         int64_t replicas);

// Those above `replicas` that were made because of more, the highest first: the engine destroys
// them.
std::vector<std::string> SurplusReplicas(const ClusterView& view, const std::string& template_name,
                                         int64_t replicas);

// A rollout that has not come to its end.
inline bool IsUnfinished(const RolloutRecord& rollout) {
  return rollout.state == RolloutState::kRunning || rollout.state == RolloutState::kPaused;
}

// The rollout that brings `content_hash` to `name`, whose text is `current_hash`, after what its
// last rollout (null: none) has left behind. `how` stands in its history: "update", "undo".
// `submitted` are texts that `name` has had since that rollout and before `current_hash`, the
// latest first.
RolloutRecord RolloutOf(const RolloutRecord* before, std::string uid,
                        const std::string& content_hash, const std::string& current_hash,
                        absl::Time now, const std::string& how,
                        const std::vector<std::string>& submitted = {});

// The one that takes back what `failed` has brought.
RolloutRecord RollBackOf(const RolloutRecord& failed, const std::string& why, absl::Time now);

// A rollout that takes back what another one brought. It ends as failed, with that one's reason.
bool IsRollBack(const RolloutRecord& rollout);

// The rollout that restarts the instances of `name`, or itself.
RolloutRecord RestartOf(const RolloutRecord* before, std::string uid,
                        const std::string& current_hash);

// Whether an instance with this text has it from its template: it is one that the template has had.
bool IsFormerText(const RolloutRecord& rollout, const std::string& content_hash);

// Whether a service with this text has done its work when it ends (oneshot), rather than serve.
bool RunsToItsEnd(const UnitFile& file);

// Whether a unit with this text that has started, and has not failed, is active no more, although
// it is to serve.
bool ServesNoMore(const ClusterView& view, const std::string& content_hash,
                  const UnitStatus& status);

// The names of the rollout of `name`: of those that it was begun with, those that no other rollout
// has taken since, in their order. `name` is one of them.
std::vector<std::string> NamesOfRollout(const ClusterView& view, const std::string& name,
                                        const RolloutRecord& rollout);

// How far a rollout has come, with all its names.
struct RolloutProgress {
  size_t total = 0;                      // units that it concerns and that are to run
  size_t reached = 0;                    // of these: that have got what it brings
  std::vector<std::string> not_started;  // of these, with what is the matter: "web@1.service is …"
};
RolloutProgress ProgressOf(const ClusterView& view, const std::string& name,
                           const RolloutRecord& rollout);

// Whether the rollout concerns the unit, an instance of its template or the unit itself; and
// whether it has what is brought.
enum class RolloutShare { kNone, kToCome, kReached };
RolloutShare ShareIn(const RolloutRecord& rollout, const UnitRecord& unit);

// The instances of a template that exist, by their numbers, the others after them.
std::vector<std::string> InstancesIn(const ClusterView& view, const std::string& template_name);

// The units that a rollout of `name` may concern: its instances, or the unit itself.
std::vector<std::string> UnitsOfRollout(const ClusterView& view, const std::string& name);

}  // namespace fleet::reconcile
