#pragma once

// The registry's event records as the API tells them: in pages, and as a stream that goes on with
// new ones. No view has them: who asks has them read from the registry, and all streams share one
// watch, which is there while somebody follows.
//
// Lives in the API loop.

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "api/http.h"
#include "api/json_writer.h"
#include "api/stream_clients.h"
#include "base/executor.h"
#include "model/records.h"
#include "registry/keys.h"
#include "store/store.h"

namespace fleet::api {

struct EventFilter {
  std::string unit;  // empty: all
  std::string machine;

  bool Wants(const EventEntry& entry) const {
    return (unit.empty() || unit == entry.unit) && (machine.empty() || machine == entry.machine);
  }
  auto operator<=>(const EventFilter&) const = default;
};

// `id` is the record's key without its prefix.
void WriteEvent(JsonWriter& json, const std::string& id, absl::Time time, const EventEntry& entry);

// What all event records' keys begin with.
std::string EventsPrefix(const registry::Keys& keys);

class EventFeed {
 public:
  // What it is given outlives the feed.
  EventFeed(Executor* executor, store::Store* store, const registry::Keys& keys,
            const StreamLimits& limits = {});
  ~EventFeed();
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  // Answers with the events after the record `after`, and those that come; or with the error of the
  // first read. A message's id is that of a record that has been told whole.
  void Follow(EventFilter filter, std::string after, Responder respond);

  size_t followers() const { return followers_.size(); }

 private:
  struct Follower;
  class Telling;
  using FollowerPtr = std::shared_ptr<Follower>;

  void Begin(const FollowerPtr& follower, std::shared_ptr<EventSink> sink,
             const store::RangeResult& first);
  void Read(const FollowerPtr& follower);
  void Take(const FollowerPtr& follower, const store::RangeResult& result);
  void Join(const FollowerPtr& follower, int64_t read_at);
  void OnBatch(absl::StatusOr<store::WatchBatch> batch);
  void EndWatch(const absl::Status& why);
  void Tell(Follower& follower, Telling& telling);

  Executor* const executor_;
  store::Store* const store_;
  const std::string prefix_;
  StreamClients<Follower> followers_;
  std::unique_ptr<store::Watch> watch_;
  int64_t watched_ = 0;          // up to this revision the watch has told
  std::shared_ptr<bool> alive_;  // expires with the feed
};

}  // namespace fleet::api
