#include "client/api_caller.h"

#include <utility>

#include "absl/strings/cord.h"
#include "client/clock.h"

namespace fleet::client {
namespace {

using nlohmann::json;

constexpr absl::string_view kNotConnectedPayload = "fleet/not-connected";

absl::StatusCode CodeOf(int http) {
  switch (http) {
    case 400:
    case 413:
    case 415:
      return absl::StatusCode::kInvalidArgument;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
    case 410:
      return absl::StatusCode::kNotFound;
    case 405:
    case 501:
      return absl::StatusCode::kUnimplemented;
    case 409:
      return absl::StatusCode::kFailedPrecondition;
    case 412:
      return absl::StatusCode::kAborted;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    case 502:
    case 503:
      return absl::StatusCode::kUnavailable;
    case 504:
      return absl::StatusCode::kDeadlineExceeded;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status ErrorOf(const HttpResponse& response) {
  const json body = json::parse(response.body, nullptr, false);
  std::string message;
  if (body.is_object() && body.contains("error")) message = StringAt(body["error"], "message");
  if (message.empty()) message = Cat("the server answered HTTP ", response.head.code);
  return {CodeOf(response.head.code), message};
}

}  // namespace

bool IsNotConnected(const absl::Status& status) {
  return status.GetPayload(kNotConnectedPayload).has_value();
}

absl::Time ApiCaller::DeadlineFrom(absl::Duration extra) const {
  return MonotonicNow() + options_.request_timeout + extra;
}

void ApiCaller::Warn(const HttpHead& head) {
  for (const Warning& warning : head.warnings) {
    if (warned_.insert(warning.code).second && options_.warn) options_.warn(warning.text);
  }
}

absl::StatusOr<std::unique_ptr<HttpConnection>> ApiCaller::Open(const Endpoint& endpoint) const {
  const absl::Time deadline = DeadlineFrom();
  ASSIGN_OR_RETURN(auto stream, options_.dial ? options_.dial(endpoint, deadline)
                                              : Dial(endpoint, options_.tls, deadline));
  return std::make_unique<HttpConnection>(std::move(stream), endpoint.Authority());
}

absl::StatusOr<std::unique_ptr<HttpConnection>> ApiCaller::Connect(const Endpoint& endpoint) const {
  ASSIGN_OR_RETURN(auto opened, Open(endpoint));
  // With TLS 1.3 a server refuses a client's certificate when the client takes the connection for
  // made already.
  if (!options_.probe && endpoint.scheme != Endpoint::Scheme::kHttps) return opened;
  RETURN_IF_ERROR(opened->Exchange({.target = "/healthz"}, DeadlineFrom()).status());
  if (opened->Reusable()) return opened;
  return Open(endpoint);
}

// Calls `use` on a connection to the first endpoint that answers, beginning with the last one
// used. A request that may have been carried out is not sent again unless `repeatable`.
template <typename Result, typename Use>
absl::StatusOr<Result> ApiCaller::WithConnection(bool repeatable, Use use) {
  if (connection_ && connection_->Reusable()) {
    absl::StatusOr<Result> result = use(connection_);
    if (result.ok() || !repeatable) return Named(std::move(result), current_);
  }
  connection_ = nullptr;
  std::vector<std::string> errors;
  bool connected = false;
  for (size_t i = 0; i < options_.endpoints.size(); ++i) {
    const size_t index = (current_ + i) % options_.endpoints.size();
    const Endpoint& endpoint = options_.endpoints[index];
    auto fresh = Connect(endpoint);
    if (!fresh.ok()) {
      errors.push_back(Cat(endpoint.text, ": ", fresh.status().message()));
      Trace(Cat("cannot connect to ", errors.back()));
      continue;
    }
    Trace(Cat("connected to ", endpoint.text));
    connected = true;
    connection_ = *std::move(fresh);
    absl::StatusOr<Result> result = use(connection_);
    if (result.ok() || !repeatable) {
      current_ = index;
      return Named(std::move(result), index);
    }
    errors.push_back(Cat(endpoint.text, ": ", result.status().message()));
    connection_ = nullptr;
  }
  if (connected) return absl::UnavailableError(Join(errors, "; "));
  absl::Status status = absl::UnavailableError(
      Cat("cannot connect to ", Join(errors, "; "), " (", options_.hint, ")"));
  status.SetPayload(kNotConnectedPayload, absl::Cord("1"));
  return status;
}

template <typename Result>
absl::StatusOr<Result> ApiCaller::Named(absl::StatusOr<Result> result, size_t index) const {
  if (result.ok()) return result;
  return absl::Status(result.status().code(),
                      Cat(options_.endpoints[index].text, ": ", result.status().message()));
}

absl::StatusOr<std::string> ApiCaller::Call(const HttpRequest& request, absl::Duration extra) {
  ASSIGN_OR_RETURN(HttpResponse response,
                   WithConnection<HttpResponse>(
                       request.method == "GET", [&](std::unique_ptr<HttpConnection>& used) {
                         return used->Exchange(request, DeadlineFrom(extra));
                       }));
  Trace(Cat(request.method, " ", request.target, ": ", response.head.code, ", ",
            response.body.size(), " bytes"));
  Warn(response.head);
  if (response.head.code >= 300) return ErrorOf(response);
  return std::move(response.body);
}

absl::StatusOr<json> ApiCaller::CallJson(const HttpRequest& request, absl::Duration extra) {
  ASSIGN_OR_RETURN(const std::string body, Call(request, extra));
  json parsed = json::parse(body, nullptr, false);
  if (!parsed.is_object())
    return absl::InternalError(Cat(request.target, ": the answer is not a JSON object"));
  return parsed;
}

absl::StatusOr<SseStream> ApiCaller::OpenStream(const std::string& target) {
  const HttpRequest request{.target = target};
  std::unique_ptr<HttpConnection> stream;
  ASSIGN_OR_RETURN(HttpHead head,
                   WithConnection<HttpHead>(true, [&](std::unique_ptr<HttpConnection>& used) {
                     auto opened = used->Open(request, DeadlineFrom());
                     if (opened.ok()) stream = std::move(used);
                     return opened;
                   }));
  Trace(Cat("GET ", target, ": ", head.code));
  Warn(head);
  if (head.code == 200) return SseStream(std::move(stream));
  HttpResponse response{.head = std::move(head), .body = {}};
  for (;;) {
    auto bytes = stream->ReadSome(DeadlineFrom());
    if (!bytes.ok() || !*bytes) break;
    response.body += **bytes;
  }
  return ErrorOf(response);
}

absl::Status ApiCaller::CallMachine(const std::string& machine, std::string_view what,
                                    std::string body) {
  return Call({.method = "POST",
               .target = Cat("/fleet/v1/machines/", UrlEncode(machine), what),
               .body = std::move(body)})
      .status();
}

}  // namespace fleet::client
