// GET /events: what the cluster did and why, in pages or, with follow=true, as a stream.

#include <memory>
#include <utility>

#include "api/api_state.h"
#include "api/json_writer.h"
#include "api/page.h"
#include "base/log.h"
#include "fmt/core.h"
#include "registry/codec.h"

namespace fleet::api {
namespace {

constexpr int64_t kRecordsPerRead = 1000;

// Collects one page. An entry is named by its record's key and its place in that.
class EventsJob : public std::enable_shared_from_this<EventsJob> {
 public:
  EventsJob(ApiState& state, PageRequest page, const std::string& after, Responder respond)
      : state_(state),
        page_(std::move(page)),
        filter_{Filter("unitName"), Filter("machineID")},
        prefix_(EventsPrefix(state.context.keys)),
        after_(after),
        respond_(std::move(respond)) {
    body_.BeginObject().Key("events").BeginArray();
  }

  void Start() { Read(prefix_ + (page_.next_unit.empty() ? after_ : page_.next_unit)); }

 private:
  void Read(std::string from_key) {
    state_.context.store->Range(
        {.range = {std::move(from_key), store::PrefixRange(prefix_).end}, .limit = kRecordsPerRead},
        [self = shared_from_this()](absl::StatusOr<store::RangeResult> result) {
          if (result.ok()) {
            self->Take(*result);
          } else {
            self->respond_(WriteErrorResponse(absl::UnavailableError(result.status().message())));
          }
        });
  }

  void Take(const store::RangeResult& result) {
    for (const store::KeyValue& kv : result.kvs) {
      const std::string id = kv.key.substr(prefix_.size());
      if (id == after_) continue;
      // A record is not divided: a page may be a little longer than was asked for.
      if (written_ >= page_.size) return Finish(id);
      const auto record = registry::DecodeEvent(kv.value);
      if (record.ok()) {
        Write(id, *record);
      } else {
        log::Warning("event {} cannot be read: {}", id, std::string(record.status().message()));
      }
    }
    if (result.more && !result.kvs.empty()) return Read(result.kvs.back().key + '\0');
    Finish("");
  }

  std::string Filter(const std::string& name) const {
    const auto it = page_.filters.find(name);
    return it == page_.filters.end() ? "" : it->second;
  }

  void Write(const std::string& id, const EventRecord& record) {
    for (const EventEntry& entry : record.entries) {
      if (!filter_.Wants(entry)) continue;
      WriteEvent(body_, id, record.time, entry);
      ++written_;
    }
  }

  void Finish(const std::string& next) {
    body_.EndArray();
    if (!next.empty()) body_.Always("nextPageToken", NextPageToken(page_, "events", next));
    body_.EndObject();
    respond_(JsonResponse(200, body_.Take()));
  }

  ApiState& state_;
  const PageRequest page_;
  const EventFilter filter_;
  const std::string prefix_;
  const std::string after_;
  Responder respond_;
  JsonWriter body_;
  size_t written_ = 0;
};

// The id of an event: what it is named by in the registry, "epoch/number".
absl::StatusOr<std::string> ReadAfter(const Request& request, bool follows) {
  std::string after = request.query.Get("after").value_or("");
  if (follows) after = request.last_event_id.value_or(after);
  const size_t slash = after.find('/');
  const bool is_id = slash != std::string::npos && slash > 0 && slash + 1 < after.size() &&
                     after.find_first_not_of("0123456789", slash + 1) == std::string::npos;
  if (after.empty() || is_id) return after;
  return absl::InvalidArgumentError(fmt::format("after={} is not the id of an event", after));
}

void FollowEvents(ApiState& state, const Request& request, Responder respond) {
  const auto text = [&](std::string_view name) { return request.query.Get(name).value_or(""); };
  auto after = ReadAfter(request, /*follows=*/true);
  if (!after.ok()) {
    respond(ErrorResponse(after.status()));
    return;
  }
  state.feed.Follow({.unit = text("unitName"), .machine = text("machineID")}, *std::move(after),
                    std::move(respond));
}

void ListEvents(ApiState& state, const Request& request, Responder respond) {
  auto page = ReadPageRequest(request.query, "events", {"unitName", "machineID"},
                              state.context.token_limit);
  const auto after = ReadAfter(request, /*follows=*/false);
  absl::Status status = page.status();
  status.Update(after.status());
  if (!status.ok()) {
    respond(ErrorResponse(status));
    return;
  }
  std::make_shared<EventsJob>(state, *std::move(page), *after, std::move(respond))->Start();
}

}  // namespace

void AddEventRoutes(ApiState& state) {
  AddWithView(state,
              {.method = "GET",
               .pattern = "/fleet/v1/events",
               .resource = "Events",
               .name = "List",
               .description = "Retrieve a page of what the cluster did, the oldest first.",
               .parameters = {"nextPageToken", "limit", "unitName", "machineID", "after", "follow"},
               .response_schema = "EventPage",
               .may_stream = true,
               .handler = [&state](const Request& request, Responder respond) {
                 if (request.query.IsTrue("follow")) {
                   FollowEvents(state, request, std::move(respond));
                 } else {
                   ListEvents(state, request, std::move(respond));
                 }
               }});
}

}  // namespace fleet::api
