#include "api/revision_waiters.h"

#include <algorithm>
#include <utility>

namespace fleet::api {

RevisionWaiters::~RevisionWaiters() {
  for (auto& [revision, entry] : waiting_) executor_->Cancel(entry->timer);
}

void RevisionWaiters::Wait(int64_t revision, absl::Duration limit, Waiter waiter) {
  if (revision <= reached_) {
    waiter(true);
    return;
  }
  auto entry = std::make_shared<Entry>();
  entry->waiter = std::move(waiter);
  entry->timer = executor_->PostAfter(limit, [this, revision, entry] {
    const auto [begin, end] = waiting_.equal_range(revision);
    const auto it = std::find_if(begin, end, [&](const auto& w) { return w.second == entry; });
    if (it != end) waiting_.erase(it);
    entry->waiter(false);
  });
  waiting_.emplace(revision, std::move(entry));
}

void RevisionWaiters::Reached(int64_t revision) {
  reached_ = revision;
  while (!waiting_.empty() && waiting_.begin()->first <= revision) {
    const auto entry = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    executor_->Cancel(entry->timer);
    entry->waiter(true);
  }
}

}  // namespace fleet::api
