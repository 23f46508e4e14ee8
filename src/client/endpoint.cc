#include "client/endpoint.h"

#include <algorithm>

#include "base/status.h"
#include "client/text.h"

namespace fleet::client {
namespace {

absl::Status Bad(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(
      Cat("endpoint \"", text, "\": ", why,
          "; an endpoint is unix:///path/to/socket, http://host:port or https://host:port"));
}

}  // namespace

std::string Endpoint::Authority() const {
  if (scheme == Scheme::kUnix) return "localhost";
  if ((host.find(':') != std::string::npos)) return Cat("[", host, "]:", port);
  return Cat(host, ":", port);
}

absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text) {
  Endpoint endpoint;
  endpoint.text = std::string(text);
  if (text.starts_with("unix://") || text.starts_with("/")) {
    endpoint.path = std::string(WithoutPrefix(text, "unix://"));
    if (!endpoint.path.starts_with("/") || endpoint.path.size() < 2)
      return Bad(text, "the path of a unix socket has to be absolute");
    return endpoint;
  }
  std::string_view rest = text;
  if (text.starts_with("http://")) {
    endpoint.scheme = Endpoint::Scheme::kHttp;
    endpoint.port = "80";
    rest.remove_prefix(7);
  } else if (text.starts_with("https://")) {
    endpoint.scheme = Endpoint::Scheme::kHttps;
    endpoint.port = "443";
    rest.remove_prefix(8);
  } else {
    return Bad(text, "unknown scheme");
  }
  if (rest.ends_with("/")) rest.remove_suffix(1);
  if (rest.find('/') != std::string_view::npos)
    return Bad(text, "a path after the port is not supported");
  size_t end = 0;
  if (rest.starts_with("[")) {
    const size_t close = rest.find(']');
    if (close == std::string_view::npos) return Bad(text, "\"[\" is not closed");
    endpoint.host = std::string(rest.substr(1, close - 1));
    end = close + 1;
  } else {
    end = std::min(rest.find(':'), rest.size());
    endpoint.host = std::string(rest.substr(0, end));
  }
  rest.remove_prefix(end);
  if (endpoint.host.empty()) return Bad(text, "no host");
  if (!rest.empty()) {
    uint16_t port = 0;
    if (rest[0] != ':' || !ReadNumber(rest.substr(1), port)) return Bad(text, "bad port");
    endpoint.port = std::to_string(port);
  }
  return endpoint;
}

absl::StatusOr<std::vector<Endpoint>> ParseEndpoints(std::string_view list) {
  std::vector<Endpoint> endpoints;
  for (const std::string& part : SplitList(list, ',')) {
    ASSIGN_OR_RETURN(Endpoint endpoint, ParseEndpoint(part));
    endpoints.push_back(std::move(endpoint));
  }
  if (endpoints.empty()) return Bad(list, "no endpoint given");
  return endpoints;
}

}  // namespace fleet::client
