#pragma once

// StreamIo::CopyLines over Asio. Internal to api/: includes Asio.

#include <memory>
#include <string>

#include "api/http.h"
#include "api/stream_io.h"
#include "boost/asio/io_context.hpp"

namespace fleet::api {

void CopyLines(boost::asio::io_context& io, std::unique_ptr<JournalReader> reader,
               std::shared_ptr<EventSink> sink, LineConverter convert, EndConverter last);

}  // namespace fleet::api
