#pragma once

// Where an API server listens: unix:///path, http://host:port or https://host:port.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fleet::client {

struct Endpoint {
  enum class Scheme { kUnix, kHttp, kHttps };
  Scheme scheme = Scheme::kUnix;
  std::string path;  // of a unix socket
  std::string host;  // without brackets
  std::string port;
  std::string text;  // as the user wrote it

  // For the Host header: "host:port", or "localhost" for a unix socket.
  std::string Authority() const;
};

// INVALID_ARGUMENT, naming the endpoint and the forms there are.
absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text);

// A comma separated list, in order; at least one.
absl::StatusOr<std::vector<Endpoint>> ParseEndpoints(std::string_view list);

}  // namespace fleet::client
