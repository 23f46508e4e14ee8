#include "api/event_feed.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "api/api_state.h"
#include "base/log.h"
#include "fmt/core.h"
#include "registry/codec.h"

namespace fleet::api {
namespace {

constexpr int64_t kRecordsPerRead = 1000;
// With more unsent, a client that is told what there was gets no more of it: however long that is,
// it is not dropped for what it had no time to read.
constexpr size_t kMaxQueued = 256 << 10;

}  // namespace

void WriteEvent(JsonWriter& json, const std::string& id, absl::Time time, const EventEntry& entry) {
  json.BeginObject()
      .Always("id", id)
      .Always("time", absl::FormatTime(absl::RFC3339_full, time, absl::UTCTimeZone()))
      .Always("kind", entry.kind)
      .Member("unit", entry.unit)
      .Member("machineID", entry.machine)
      .Member("reason", entry.reason)
      .EndObject();
}

std::string EventsPrefix(const registry::Keys& keys) { return keys.prefix() + "events/"; }

struct EventFeed::Follower {
  EventFilter filter;
  std::string last;   // the record told last
  bool live = false;  // it has been told what there was, and is told what the watch says
  std::shared_ptr<EventSink> sink;
};

// One record on its way to followers: read once, and written once for each filter.
class EventFeed::Telling {
 public:
  Telling(const store::KeyValue& kv, size_t prefix_size)
      : kv_(kv), id_(kv.key.substr(prefix_size)) {}

  const std::string& id() const { return id_; }

  // Null: nothing of it is wanted.
  std::shared_ptr<const std::string> For(const EventFilter& filter) {
    const auto [it, is_new] = texts_.try_emplace(filter);
    if (is_new) it->second = Write(filter);
    return it->second;
  }

 private:
  const EventRecord& Record() {
    if (record_) return *record_;
    auto record = registry::DecodeEvent(kv_.value);
    if (!record.ok()) {
      log::Warning("event {} cannot be read: {}", id_, std::string(record.status().message()));
    }
    return record_.emplace(record.ok() ? *std::move(record) : EventRecord{});
  }

  std::shared_ptr<const std::string> Write(const EventFilter& filter) {
    const EventRecord& record = Record();
    std::vector<std::string> texts;
    for (const EventEntry& entry : record.entries) {
      if (!filter.Wants(entry)) continue;
      JsonWriter json;
      WriteEvent(json, id_, record.time, entry);
      texts.push_back(json.Take());
    }
    if (texts.empty()) return nullptr;
    auto bytes = std::make_shared<std::string>();
    for (const std::string& text : texts) {
      // Whoever breaks off within a record is told all of it again.
      if (&text == &texts.back()) *bytes += fmt::format("id: {}\n", id_);
      *bytes += fmt::format("event: event\ndata: {}\n\n", text);
    }
    return bytes;
  }

  const store::KeyValue& kv_;
  const std::string id_;
  std::optional<EventRecord> record_;
  std::map<EventFilter, std::shared_ptr<const std::string>> texts_;
};

EventFeed::EventFeed(Executor* executor, store::Store* store, const registry::Keys& keys,
                     const StreamLimits& limits)
    : executor_(executor),
      store_(store),
      prefix_(EventsPrefix(keys)),
      followers_(executor, "/events", limits),
      alive_(std::make_shared<bool>(true)) {}

EventFeed::~EventFeed() = default;

void EventFeed::Follow(EventFilter filter, std::string after, Responder respond) {
  auto follower = std::make_shared<Follower>();
  follower->filter = std::move(filter);
  follower->last = std::move(after);
  store_->Range({.range = {prefix_ + follower->last, store::PrefixRange(prefix_).end},
                 .limit = kRecordsPerRead},
                [this, follower,
                 respond = std::move(respond)](absl::StatusOr<store::RangeResult> result) mutable {
                  if (!result.ok()) {
                    respond(WriteErrorResponse(absl::UnavailableError(result.status().message())));
                    return;
                  }
                  Response response;
                  response.content_type = "text/event-stream";
                  response.headers.emplace_back("Cache-Control", "no-store");
                  response.events = [this, follower,
                                     first = *std::move(result)](std::shared_ptr<EventSink> sink) {
                    Begin(follower, std::move(sink), first);
                  };
                  respond(std::move(response));
                });
}

void EventFeed::Begin(const FollowerPtr& follower, std::shared_ptr<EventSink> sink,
                      const store::RangeResult& first) {
  follower->sink = std::move(sink);
  followers_.Add(follower);
  Take(follower, first);
}

void EventFeed::Read(const FollowerPtr& follower) {
  store_->Range({.range = {prefix_ + follower->last, store::PrefixRange(prefix_).end},
                 .limit = kRecordsPerRead},
                [this, follower](absl::StatusOr<store::RangeResult> result) {
                  if (result.ok()) {
                    Take(follower, *result);
                  } else {
                    // The client comes back, and is told why it cannot be served.
                    follower->sink->Close();
                  }
                });
}

void EventFeed::Take(const FollowerPtr& follower, const store::RangeResult& result) {
  size_t told = 0;
  for (; told < result.kvs.size() && follower->sink->QueuedBytes() <= kMaxQueued; ++told) {
    Telling telling(result.kvs[told], prefix_.size());
    Tell(*follower, telling);
  }
  if (follower->sink->closed()) return;
  // What the watch has told between this read and now has not reached this follower.
  const bool complete =
      told == result.kvs.size() && !result.more && (!watch_ || watched_ <= result.revision);
  if (complete) {
    Join(follower, result.revision);
    return;
  }
  auto go_on = [this, alive = std::weak_ptr<bool>(alive_), follower] {
    if (!alive.expired() && !follower->sink->closed()) Read(follower);
  };
  if (follower->sink->QueuedBytes() > 0) {
    follower->sink->OnDrained(std::move(go_on));
  } else {
    go_on();
  }
}

void EventFeed::Join(const FollowerPtr& follower, int64_t read_at) {
  follower->live = true;
  if (watch_) return;
  watched_ = read_at;
  watch_ = store_->StartWatch(
      store::PrefixRange(prefix_), read_at + 1,
      [this](absl::StatusOr<store::WatchBatch> batch) { OnBatch(std::move(batch)); });
}

void EventFeed::OnBatch(absl::StatusOr<store::WatchBatch> batch) {
  followers_.DropClosed();
  if (batch.ok()) watched_ = batch->revision;
  if (!batch.ok() || followers_.empty()) {
    // Not within a call of the watch that is ended.
    executor_->Post([this, alive = std::weak_ptr<bool>(alive_), why = batch.status()] {
      if (!alive.expired()) EndWatch(why);
    });
    return;
  }
  for (const store::Event& event : batch->events) {
    if (event.type != store::Event::Type::kPut) continue;
    Telling telling(event.kv, prefix_.size());
    for (const FollowerPtr& follower : followers_) {
      if (follower->live) Tell(*follower, telling);
    }
  }
}

// `why` is OK when nobody was following.
void EventFeed::EndWatch(const absl::Status& why) {
  if (why.ok() && !followers_.empty()) return;  // somebody has come meanwhile
  watch_ = nullptr;
  for (const FollowerPtr& follower : followers_) {
    if (follower->live) follower->sink->Close();
  }
  followers_.DropClosed();
}

void EventFeed::Tell(Follower& follower, Telling& telling) {
  // Ids grow; what was told by a read comes once more in a watch that began before it.
  if (telling.id() <= follower.last) return;
  follower.last = telling.id();
  if (auto bytes = telling.For(follower.filter)) followers_.Send(follower, std::move(bytes));
}

}  // namespace fleet::api
