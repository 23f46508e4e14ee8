#pragma once

// From method and target to a handler: percent decoding, the query, 404 and 405. Pure.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "api/http.h"

namespace fleet::api {

// One method of the API. All of it stands in /openapi.yaml, `resource`, `name` and `description` in
// the discovery document, too.
struct Route {
  std::string method;    // "GET"
  std::string pattern;   // "/fleet/v1/units/{name}"; at most one parameter, a whole segment
  std::string resource;  // "Units"; empty: not in the discovery document
  std::string name;      // "Get"
  std::string description;
  std::vector<std::string> parameters;  // of the query
  std::string request_schema;           // of the discovery document
  bool body_optional = false;           // a request without a body asks for something, too
  std::string protocol_header;          // has to be there, with the value "true"
  // Bodies may have members that the schema does not know (as fleet 1.0 took them), or it is seen
  // to elsewhere that they have not.
  bool any_member = false;
  std::string response_schema;
  std::string response_type = "application/json";  // of an answer that is no error
  bool may_stream = false;  // server-sent events come in its place, if asked for (follow=true)
  bool has_tag = false;     // answers have an ETag, though no request is conditional
  std::string error_schema = "Error";
  size_t max_body = 1 << 20;  // bytes; more is answered 413
  // Taken whatever its content type says, where something else keeps other sites' forms out.
  bool any_content_type = false;
  // A GET whose answers have an ETag, and which takes If-None-Match; any other method takes
  // If-Match and If-None-Match, and answers 412 if they do not hold.
  bool conditional = false;
  absl::AnyInvocable<void(Request, Responder) const> handler;
};

// Bytes of a percent-encoded text. INVALID_ARGUMENT for a broken escape or an encoded NUL. `plus`:
// '+' is a blank, as in queries.
absl::StatusOr<std::string> PercentDecode(std::string_view text, bool plus);

// Everything but unreserved characters (RFC 3986) is escaped.
std::string PercentEncode(std::string_view text);

absl::StatusOr<Query> ParseQuery(std::string_view text);

class Router {
 public:
  void Add(Route route);
  const std::vector<Route>& routes() const { return routes_; }

  // Finds the handler and calls it, or answers 400, 404, 405 (with Allow), 415; OPTIONS is answered
  // 204 with Allow.
  void Dispatch(Request request, Responder respond) const;

  // The pattern that this target is served by; "" if there is none. Lives as long as the router.
  std::string_view PatternOf(std::string_view target) const;

  // How large the body of this request may be.
  size_t MaxBody(std::string_view method, std::string_view target) const;

 private:
  std::vector<const Route*> RoutesOf(std::string_view path) const;

  std::vector<Route> routes_;
};

}  // namespace fleet::api
