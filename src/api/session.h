#pragma once

// One connection of a client. Internal to api/: includes Asio.

#include <memory>

#include "api/http.h"
#include "api/server.h"
#include "boost/asio/generic/stream_protocol.hpp"
#include "boost/asio/ssl/context.hpp"

namespace fleet::api {

using StreamSocket = boost::asio::generic::stream_protocol::socket;

// What all sessions of a server share.
struct SessionContext {
  ServerOptions options;
  RequestHandler* handler = nullptr;
  size_t connections = 0;
};

// Serves the connection until it ends. `tls` may be null. `context` outlives the io_context's run.
void StartSession(StreamSocket socket, std::shared_ptr<boost::asio::ssl::context> tls,
                  SessionContext* context);

}  // namespace fleet::api
