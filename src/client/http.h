#pragma once

// One HTTP/1.1 connection: requests one after the other, answers read whole or, for event streams,
// as they come. Used by one thread. Deadlines are on MonotonicNow()'s clock.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/stream.h"
#include "client/warning.h"

namespace fleet::client {

struct HttpRequest {
  std::string method = "GET";
  std::string target;  // path and query, percent-encoded
  std::string body;    // sent as application/json; none when empty
};

// What came before the body.
struct HttpHead {
  int code = 0;
  std::vector<Warning> warnings;
};

struct HttpResponse {
  HttpHead head;
  std::string body;
};

class HttpConnection {
 public:
  // `authority` is the Host header.
  HttpConnection(std::unique_ptr<Stream> stream, std::string authority);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // UNAVAILABLE or DEADLINE_EXCEEDED; the connection cannot be used after an error.
  absl::StatusOr<HttpResponse> Exchange(const HttpRequest& request, absl::Time deadline);

  // Sends the request and reads the head of the answer.
  absl::StatusOr<HttpHead> Open(const HttpRequest& request, absl::Time deadline);
  // The next bytes of the body after Open(), never empty; nullopt at its end. DEADLINE_EXCEEDED:
  // nothing came in time, and more may be read later.
  absl::StatusOr<std::optional<std::string>> ReadSome(absl::Time deadline);

  // True if another request may be sent on this connection.
  bool Reusable() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Percent-encodes everything but unreserved characters (RFC 3986), for paths and query values.
std::string UrlEncode(std::string_view text);

}  // namespace fleet::client
