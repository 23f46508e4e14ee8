// What happens to machines, written to the log in records of its own. See engine.h for the whole.

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "engine/engine.h"

namespace fleet::engine {

namespace {

// The first is told at once; what comes within this is gathered: many machines boot together.
constexpr absl::Duration kInterval = absl::Seconds(1);
// A store takes 1.5 MiB at once.
constexpr size_t kMaxEntries = 1000;
// So many wait while nobody leads (C3).
constexpr size_t kMaxUntold = 20000;
constexpr absl::Duration kRetry = absl::Milliseconds(500);

}  // namespace

// While nobody leads, all engines keep what they see, for whoever takes the lead. A leader whose
// own machine is gone is as good as none.
void Engine::NoteMachineEvents(const ViewChange& change) {
  machine_events_.Apply(change);
  std::vector<EventEntry> events = machine_events_.Take();
  std::move(events.begin(), events.end(), std::back_inserter(untold_));
  const auto& leader = view_->leader;
  const bool is_told_by_another = leader && leader->value.machine != options_.machine_id &&
                                  view_->machines.Find(leader->value.machine) != nullptr;
  if (is_told_by_another) untold_.clear();
  if (untold_.size() > kMaxUntold) untold_.resize(kMaxUntold);
}

void Engine::TellMachineEvents() {
  if (untold_.empty()) return;
  const absl::Time now = executor_->Now();
  if (now < tell_at_) return ScheduleTurn(tell_at_ - now);
  tell_at_ = now + kInterval;
  const std::vector<EventEntry> events = std::exchange(untold_, {});
  for (auto from = events.begin(); from != events.end();) {
    const auto left = static_cast<size_t>(events.end() - from);
    const auto to = from + static_cast<std::ptrdiff_t>(std::min(left, kMaxEntries));
    std::vector<EventEntry> entries(from, to);
    for (const EventEntry& event : entries) {
      log::Debug("engine: {} {}: {}", event.kind, event.machine, event.reason);
    }
    store::Txn txn = MakeTransaction(keys_, Fence{leadership_.revision()}, {});
    const std::string key = events_.AddTo(txn, executor_->WallNow(), entries);
    // Whatever has become of it, it can be tried again.
    txn.compares.push_back({store::Compare::Target::kCreateRevision, key, 0});
    PutMachineEvents(std::move(txn), std::move(entries));
    from = to;
  }
}

void Engine::PutMachineEvents(store::Txn txn, std::vector<EventEntry> entries) {
  store::Txn copy = txn;
  store_->Commit(std::move(copy), [this, txn = std::move(txn), entries = std::move(entries),
                                   fence = leadership_.revision(), epoch = leadership_.epoch(),
                                   alive = std::weak_ptr(alive_)](
                                      const absl::StatusOr<store::TxnResult>& result) mutable {
    if (alive.expired()) return;
    if (result.ok() && result->succeeded) {
      if (options_.metrics != nullptr) options_.metrics->OnRecorded(entries);
      return;
    }
    // It is there by an earlier try, or somebody else leads.
    if (result.ok() && may_decide_ && leadership_.revision() == fence) return;
    if (absl::IsInvalidArgument(result.status())) {
      log::Warning("{} events of machines were not stored: {}", entries.size(),
                   result.status().ToString());
      return;
    }
    executor_->PostAfter(
        kRetry, [this, alive, epoch, txn = std::move(txn), entries = std::move(entries)]() mutable {
          if (alive.expired() || !leadership_.leads() || leadership_.epoch() != epoch) return;
          txn.compares.front().revision = leadership_.revision();  // of the leader
          PutMachineEvents(std::move(txn), std::move(entries));
        });
  });
}

}  // namespace fleet::engine
