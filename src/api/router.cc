#include "api/router.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "fmt/core.h"

namespace fleet::api {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The path of an origin-form or absolute-form target, still encoded.
std::string_view RawPath(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    target.remove_prefix(scheme.size());
    const size_t slash = target.find('/');
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
    break;
  }
  return target.substr(0, target.find_first_of("?#"));
}

std::string_view RawQuery(std::string_view target) {
  target = target.substr(0, target.find('#'));
  const size_t mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

// The pattern up to its parameter; all of it if there is none.
std::string_view BeforeParameter(std::string_view pattern) {
  return pattern.substr(0, pattern.find('{'));
}

std::string_view AfterParameter(std::string_view pattern) {
  return pattern.substr(pattern.find('}') + 1);
}

bool HasParameter(const Route& route) { return route.pattern.find('{') != std::string::npos; }

// What stands in the place of the parameter. REQUIRES: HasParameter(route) and PathMatches().
std::string_view Parameter(const Route& route, std::string_view path) {
  path.remove_prefix(BeforeParameter(route.pattern).size());
  path.remove_suffix(AfterParameter(route.pattern).size());
  return path;
}

// `path` is still encoded, so that an encoded slash does not divide segments.
bool PathMatches(const Route& route, std::string_view path) {
  if (!HasParameter(route)) return path == route.pattern;
  const std::string_view before = BeforeParameter(route.pattern);
  const std::string_view after = AfterParameter(route.pattern);
  return path.size() > before.size() + after.size() && path.starts_with(before) &&
         path.ends_with(after) && Parameter(route, path).find('/') == std::string_view::npos;
}

bool IsJson(const std::string& content_type, std::string_view method) {
  std::string type = absl::AsciiStrToLower(content_type.substr(0, content_type.find(';')));
  absl::StripAsciiWhitespace(&type);
  return type == "application/json" || (method == "PATCH" && type == "application/json-patch+json");
}

// A page of another site that a browser sends here with the user's access: an attack.
bool IsCrossSite(const Request& request) {
  if (!request.origin || request.method == "GET") return false;
  const size_t scheme = request.origin->find("://");
  return scheme == std::string::npos || request.origin->substr(scheme + 3) != request.host;
}

std::string AllowOf(const std::vector<const Route*>& routes) {
  std::set<std::string> methods = {"OPTIONS"};
  for (const Route* route : routes) {
    methods.insert(route->method);
    if (route->method == "GET") methods.insert("HEAD");
  }
  return absl::StrJoin(methods, ", ");
}

}  // namespace

absl::StatusOr<std::string> PercentDecode(std::string_view text, bool plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
      if (high < 0 || low < 0 || (high == 0 && low == 0)) {
        return absl::InvalidArgumentError(
            fmt::format("bad percent escape in the address at \"{}\"", text.substr(i, 3)));
      }
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return decoded;
}

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
        std::string_view("-._~").find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

absl::StatusOr<Query> ParseQuery(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> items;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    ASSIGN_OR_RETURN(std::string key, PercentDecode(part.substr(0, equals), true));
    std::string value;
    if (equals != std::string_view::npos) {
      ASSIGN_OR_RETURN(value, PercentDecode(part.substr(equals + 1), true));
    }
    items.emplace_back(std::move(key), std::move(value));
  }
  return Query(std::move(items));
}

void Router::Add(Route route) { routes_.push_back(std::move(route)); }

std::vector<const Route*> Router::RoutesOf(std::string_view path) const {
  std::vector<const Route*> found;
  for (const Route& route : routes_) {
    if (PathMatches(route, path)) found.push_back(&route);
  }
  return found;
}

std::string_view Router::PatternOf(std::string_view target) const {
  const auto routes = RoutesOf(RawPath(target));
  return routes.empty() ? std::string_view() : routes[0]->pattern;
}

size_t Router::MaxBody(std::string_view method, std::string_view target) const {
  for (const Route* route : RoutesOf(RawPath(target))) {
    if (route->method == method) return route->max_body;
  }
  return 1 << 20;
}

void Router::Dispatch(Request request, Responder respond) const {
  const std::string_view path = RawPath(request.target);
  const std::vector<const Route*> routes = RoutesOf(path);
  if (routes.empty()) {
    respond(ErrorResponse(404, fmt::format("nothing is served at {}", path)));
    return;
  }
  if (request.method == "OPTIONS") {
    Response response = JsonResponse(204, "");
    response.headers.emplace_back("Allow", AllowOf(routes));
    respond(std::move(response));
    return;
  }
  const auto route = std::find_if(routes.begin(), routes.end(),
                                  [&](const Route* r) { return r->method == request.method; });
  if (route == routes.end()) {
    Response response =
        ErrorResponse(405, fmt::format("method {} is not supported at {}", request.method, path));
    response.headers.emplace_back("Allow", AllowOf(routes));
    respond(std::move(response));
    return;
  }
  if (IsCrossSite(request)) {
    respond(ErrorResponse(
        403, fmt::format("a page of {} may not change anything here", *request.origin)));
    return;
  }
  if (request.method != "GET" && request.method != "DELETE" && request.content_type &&
      !(*route)->any_content_type && !IsJson(*request.content_type, request.method)) {
    respond(
        ErrorResponse(415, fmt::format("content type {} is not supported, only application/json is",
                                       *request.content_type)));
    return;
  }
  if (request.method != "GET" && !(*route)->conditional &&
      (request.if_match || request.if_none_match)) {
    respond(ErrorResponse(
        400, fmt::format("{} {} takes no If-Match and no If-None-Match: it is made on whatever "
                         "there is",
                         request.method, path)));
    return;
  }
  absl::StatusOr<std::string> parameter =
      HasParameter(**route) ? PercentDecode(Parameter(**route, path), false) : std::string();
  if (!parameter.ok()) {
    respond(ErrorResponse(parameter.status()));
    return;
  }
  absl::StatusOr<Query> query = ParseQuery(RawQuery(request.target));
  if (!query.ok()) {
    respond(ErrorResponse(query.status()));
    return;
  }
  request.path_parameter = *std::move(parameter);
  request.query = *std::move(query);
  (*route)->handler(std::move(request), std::move(respond));
}

}  // namespace fleet::api
