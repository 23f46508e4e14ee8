#include "api/event_feed.h"

#include <utility>

#include "api/api_state.h"
#include "base/log.h"
#include "fmt/core.h"
#include "registry/codec.h"

namespace fleet::api {
namespace {

constexpr int64_t kRecordsPerRead = 1000;
constexpr size_t kSlowBytes = 8 << 20;
constexpr absl::Duration kHeartbeat = absl::Seconds(15);

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
  std::string last;  // the record told last
  std::shared_ptr<EventSink> sink;
  std::unique_ptr<store::Watch> watch;
};

EventFeed::EventFeed(Executor* executor, store::Store* store, const registry::Keys& keys)
    : executor_(executor),
      store_(store),
      prefix_(EventsPrefix(keys)),
      alive_(std::make_shared<bool>(true)) {}

EventFeed::~EventFeed() {
  if (heartbeat_ != 0) executor_->Cancel(heartbeat_);
}

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
  followers_.push_back(follower);
  ScheduleHeartbeat();
  Take(follower, first);
}

void EventFeed::Read(const FollowerPtr& follower) {
  store_->Range({.range = {prefix_ + follower->last, store::PrefixRange(prefix_).end},
                 .limit = kRecordsPerRead},
                [this, follower](absl::StatusOr<store::RangeResult> result) {
                  if (result.ok()) {
                    Take(follower, *result);
                  } else {
                    Drop(follower);  // the client comes back, and is told why it cannot be served
                  }
                });
}

void EventFeed::Take(const FollowerPtr& follower, const store::RangeResult& result) {
  for (const store::KeyValue& kv : result.kvs) {
    if (!Tell(*follower, kv)) {
      Drop(follower);
      return;
    }
  }
  if (follower->sink->closed()) return;
  if (!result.more) {
    Watch(follower, result.revision + 1);
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

void EventFeed::Watch(const FollowerPtr& follower, int64_t from_revision) {
  follower->watch = store_->StartWatch(
      store::PrefixRange(prefix_), from_revision,
      [this, weak = std::weak_ptr<Follower>(follower)](absl::StatusOr<store::WatchBatch> batch) {
        const FollowerPtr told = weak.lock();
        if (!told) return;
        bool keep = batch.ok();
        if (batch.ok()) {
          for (const store::Event& event : batch->events) {
            keep = keep && (event.type != store::Event::Type::kPut || Tell(*told, event.kv));
          }
        }
        if (keep) return;
        // Not within a call of the watch that is ended.
        executor_->Post([this, alive = std::weak_ptr<bool>(alive_), told] {
          if (!alive.expired()) Drop(told);
        });
      });
}

bool EventFeed::Tell(Follower& follower, const store::KeyValue& kv) {
  const std::string id = kv.key.substr(prefix_.size());
  // Ids grow; what was told by a read comes once more in a watch that began before it.
  if (id <= follower.last) return true;
  follower.last = id;
  const auto record = registry::DecodeEvent(kv.value);
  if (!record.ok()) {
    log::Warning("event {} cannot be read: {}", id, std::string(record.status().message()));
    return true;
  }
  std::vector<std::string> texts;
  for (const EventEntry& entry : record->entries) {
    if (!follower.filter.Wants(entry)) continue;
    JsonWriter json;
    WriteEvent(json, id, record->time, entry);
    texts.push_back(json.Take());
  }
  if (texts.empty()) return true;
  if (follower.sink->QueuedBytes() > kSlowBytes) {
    log::Warning("dropped a client of /events: it left {} bytes unread",
                 follower.sink->QueuedBytes());
    return false;
  }
  auto bytes = std::make_shared<std::string>();
  for (const std::string& text : texts) {
    // Whoever breaks off within a record is told all of it again.
    if (&text == &texts.back()) *bytes += fmt::format("id: {}\n", id);
    *bytes += fmt::format("event: event\ndata: {}\n\n", text);
  }
  follower.sink->Send(std::move(bytes));
  return true;
}

void EventFeed::Drop(const FollowerPtr& follower) {
  follower->watch = nullptr;
  follower->sink->Close();
  followers_.remove(follower);
}

void EventFeed::ScheduleHeartbeat() {
  if (heartbeat_ != 0) return;
  heartbeat_ = executor_->PostAfter(kHeartbeat, [this] {
    heartbeat_ = 0;
    followers_.remove_if([](const FollowerPtr& follower) { return follower->sink->closed(); });
    static const auto* const kComment =
        new std::shared_ptr<const std::string>(std::make_shared<const std::string>(":\n\n"));
    for (const FollowerPtr& follower : followers_) follower->sink->Send(*kComment);
    if (!followers_.empty()) ScheduleHeartbeat();
  });
}

}  // namespace fleet::api
