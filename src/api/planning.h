#pragma once

// Explaining and planning, away from the API loop: on a big cluster they take longer than anybody
// may wait for an answer to something else.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "model/cluster_view.h"
#include "reconcile/engine_settings.h"
#include "reconcile/planner.h"

namespace fleet::api {

// What makes the plans; a stand-in in tests.
struct Planner {
  using Settings = reconcile::EngineSettings;
  template <typename Result, typename... What>
  using Function =
      std::function<absl::StatusOr<Result>(const ClusterViewPtr&, const Settings&, What...)>;

  Function<reconcile::UnitExplanation, const std::string&> explain = reconcile::ExplainUnit;
  Function<reconcile::Plan, const reconcile::PlanRequest&> plan = reconcile::MakePlan;
  Function<std::vector<reconcile::RebalanceMove>, size_t> rebalance = reconcile::PlanRebalance;
};

// One thread, made when it is first needed, that does one work after the other. Called from the API
// loop only.
class Planning {
 public:
  static constexpr size_t kMaxWaiting = 64;

  // `executor`: of the API loop; outlives this object.
  explicit Planning(Executor* executor, size_t max_waiting = kMaxWaiting);
  // Drops what waits. Work that is running may go on for a while, and its result is dropped.
  ~Planning();
  Planning(const Planning&) = delete;
  Planning& operator=(const Planning&) = delete;

  // Runs `work` in the thread and then, in the API loop, `done` with what it gave. `work` owns what
  // it uses. False, and neither is called, if too much waits already.
  template <typename Result>
  bool Run(absl::AnyInvocable<Result()> work, absl::AnyInvocable<void(Result)> done) {
    auto result = std::make_shared<std::optional<Result>>();
    return Add([result, work = std::move(work)]() mutable { result->emplace(work()); },
               [result, done = std::move(done)]() mutable { done(*std::move(*result)); });
  }

 private:
  struct Shared;

  bool Add(Task work, Task done);
  void Finish(uint64_t id);

  const size_t max_waiting_;
  uint64_t last_id_ = 0;
  std::unordered_map<uint64_t, Task> done_;  // of what waits or runs
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace fleet::api
