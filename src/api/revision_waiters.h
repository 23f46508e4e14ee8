#pragma once

// Who waits for the view to reach a revision: answers of writes, so that whoever writes and then
// reads here sees it. Lives in the API loop.

#include <cstdint>
#include <map>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "base/executor.h"

namespace fleet::api {

class RevisionWaiters {
 public:
  using Waiter = absl::AnyInvocable<void(bool reached)>;

  // `executor` outlives this object; waiters still waiting at its end are dropped.
  explicit RevisionWaiters(Executor* executor) : executor_(executor) {}
  ~RevisionWaiters();
  RevisionWaiters(const RevisionWaiters&) = delete;
  RevisionWaiters& operator=(const RevisionWaiters&) = delete;

  // Calls `waiter` with true once Reached() was told of `revision` (at once if it was already),
  // with false when that takes longer than `limit`.
  void Wait(int64_t revision, absl::Duration limit, Waiter waiter);
  void Reached(int64_t revision);

 private:
  struct Entry {
    Waiter waiter;
    Executor::TimerId timer = 0;
  };
  Executor* const executor_;
  int64_t reached_ = 0;
  std::multimap<int64_t, std::shared_ptr<Entry>> waiting_;
};

}  // namespace fleet::api
