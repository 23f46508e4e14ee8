#pragma once

// StreamIo::Forward over Asio and Beast. Internal to api/: includes Asio.

#include <memory>

#include "api/http.h"
#include "api/stream_io.h"
#include "boost/asio/io_context.hpp"
#include "boost/asio/ssl/context.hpp"

namespace fleet::api {

// `tls`, which may be null, is what https endpoints are asked with: our certificate, and the
// authority that theirs is signed by.
void Forward(boost::asio::io_context& io, std::shared_ptr<boost::asio::ssl::context> tls,
             ForwardRequest request, Responder respond);

}  // namespace fleet::api
