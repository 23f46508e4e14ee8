#include "engine/event_log.h"

#include <utility>

#include "registry/codec.h"

namespace fleet::engine {

EventLog::EventLog(registry::Keys keys, size_t events_max)
    : keys_(std::move(keys)), events_max_(events_max) {}

store::KeyRange EventLog::Range() const { return store::PrefixRange(keys_.prefix() + "events/"); }

void EventLog::Begin(const std::string& epoch, std::vector<std::string> present) {
  epoch_ = epoch;
  sequence_ = 0;
  present_.assign(std::make_move_iterator(present.begin()), std::make_move_iterator(present.end()));
}

std::string EventLog::AddTo(store::Txn& txn, absl::Time now, std::vector<EventEntry> entries) {
  std::string key = keys_.Event(epoch_, ++sequence_);
  txn.ops.emplace_back(store::Put{key, registry::Encode(EventRecord{now, std::move(entries)})});
  present_.push_back(key);
  for (size_t i = 0; i < kDropsPerTxn && present_.size() > events_max_; ++i) {
    txn.ops.emplace_back(store::Delete{{std::move(present_.front()), ""}});
    present_.pop_front();
  }
  return key;
}

}  // namespace fleet::engine
