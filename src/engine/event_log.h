#pragma once

// The keys of events/: each engine transaction writes one record of what it did and why, and drops
// the oldest when there are more than `events_max`. Belongs to the engine loop.

#include <deque>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "model/records.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::engine {

class EventLog {
 public:
  EventLog(registry::Keys keys, size_t events_max);

  // A new epoch begins; `present` are the keys of the records that are there, in order.
  void Begin(const std::string& epoch, std::vector<std::string> present);

  // Adds the record to a transaction, and removes at most kDropsPerTxn old ones. Returns its key.
  std::string AddTo(store::Txn& txn, absl::Time now, std::vector<EventEntry> entries);
  static constexpr size_t kDropsPerTxn = 3;
  static constexpr size_t kOpsPerTxn = kDropsPerTxn + 1;

  store::KeyRange Range() const;

 private:
  const registry::Keys keys_;
  const size_t events_max_;
  std::string epoch_;
  int64_t sequence_ = 0;
  std::deque<std::string> present_;  // oldest first
};

}  // namespace fleet::engine
