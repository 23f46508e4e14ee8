#pragma once

// Requests and responses as the handlers see them: plain values, without the network library.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

namespace fleet::api {

// Query parameters, percent-decoded, in their order.
class Query {
 public:
  Query() = default;
  explicit Query(std::vector<std::pair<std::string, std::string>> items)
      : items_(std::move(items)) {}

  // The first value of that name; nullopt if it is not given.
  std::optional<std::string> Get(std::string_view name) const;
  std::vector<std::string> GetAll(std::string_view name) const;
  // Given as `name`, `name=true` or `name=1`.
  bool IsTrue(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> items_;
};

struct Request {
  std::string method;  // "GET"; HEAD comes as GET
  std::string target;  // as it came: "/fleet/v1/units/a%40.service?view=summary"
  std::optional<std::string> content_type;
  std::optional<std::string> last_event_id;
  std::optional<std::string> if_match;
  std::optional<std::string> if_none_match;
  std::optional<std::string> fleet_lock_protocol;  // the header of FleetLock
  std::optional<std::string> origin;  // the header that browsers send for other sites' pages
  std::string host;
  std::string body;

  // Filled by the router.
  std::string path_parameter;  // the {…} of the route, decoded
  Query query;
};

// Takes server-sent events for one client. Only from the API loop.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // Queues bytes of the stream. Does nothing once closed.
  virtual void Send(std::shared_ptr<const std::string> bytes) = 0;
  // What was queued and the network has not taken yet.
  virtual size_t QueuedBytes() const = 0;
  // Finished streams are closed, too.
  virtual bool closed() const = 0;
  // Forgets what is queued, but for the messages that are on their way: the client gets these
  // whole.
  virtual void DiscardQueued() = 0;
  // At once: the client sees a stream that breaks off.
  virtual void Close() = 0;
  // Once what is queued has been sent: the client sees the stream's end. Nothing is sent after it.
  virtual void Finish() = 0;
  // `drained` is called once, never from within Send(), when the queue next becomes empty.
  virtual void OnDrained(absl::AnyInvocable<void()> drained) = 0;
};

struct Response {
  int code = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // Set: the answer is an event stream; called once the head is on its way. `body` is unused.
  absl::AnyInvocable<void(std::shared_ptr<EventSink>)> events;
};

// Called exactly once for each request, in the API loop, at once or later.
using Responder = absl::AnyInvocable<void(Response)>;

// What answers requests: Api, or a stand-in in tests. Called in the API loop.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  virtual void Handle(Request request, Responder respond) = 0;
  // The server itself has answered a request with this error: it could not be read. `method` and
  // `target` are as far as they have come.
  virtual void OnRefused(std::string_view /*method*/, std::string_view /*target*/, int /*code*/) {}
  // How many bytes the body of such a request may have.
  virtual size_t MaxBody(std::string_view method, std::string_view target) const = 0;
};

// Each canonical code has one HTTP status.
int HttpCode(absl::StatusCode code);

Response JsonResponse(int code, std::string body);
// {"error":{"code":N,"message":"…"}}, with Retry-After for 503.
Response ErrorResponse(int code, std::string_view message);
Response ErrorResponse(const absl::Status& status);

}  // namespace fleet::api
