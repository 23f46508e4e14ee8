#include "client/http.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <utility>

#include "base/status.h"
#include "client/text.h"

namespace fleet::client {
namespace {

namespace http = boost::beast::http;
using Parser = http::response_parser<http::string_body>;

}  // namespace

struct HttpConnection::Impl {
  std::unique_ptr<Stream> stream;
  std::string authority;
  std::optional<Parser> parser;  // of the answer being read
  std::string unparsed;
  bool broken = false;

  absl::Status Send(const HttpRequest& request, absl::Time deadline) {
    std::string head = Cat(request.method, " ", request.target, " HTTP/1.1\r\nHost: ", authority,
                           "\r\nUser-Agent: fleetctl\r\nAccept: */*\r\n");
    if (!request.body.empty()) {
      Append(head, "Content-Type: application/json\r\nContent-Length: ", request.body.size(),
             "\r\n");
    }
    Append(head, "\r\n", request.body);
    parser.emplace();
    parser->eager(true);
    parser->body_limit(boost::none);
    parser->header_limit(64 << 10);
    return stream->Write(head, deadline);
  }

  // Parses what has come, reading more once if that changes nothing.
  absl::Status Advance(absl::Time deadline) {
    for (bool read = false;; read = true) {
      boost::system::error_code error;
      const size_t used =
          unparsed.empty()
              ? 0
              : parser->put(boost::asio::const_buffer(unparsed.data(), unparsed.size()), error);
      unparsed.erase(0, used);
      if (error && error != http::error::need_more) {
        return absl::UnavailableError(Cat("the answer is not HTTP/1.1 (", error.message(), ")"));
      }
      if (used > 0 || read) return absl::OkStatus();
      ASSIGN_OR_RETURN(std::string bytes, stream->Read(deadline));
      if (bytes.empty()) {
        parser->put_eof(error);
        if (error || !parser->is_done())
          return absl::UnavailableError("the server closed the connection");
        broken = true;
        return absl::OkStatus();
      }
      unparsed += bytes;
    }
  }

  absl::Status ReadHead(absl::Time deadline) {
    while (!parser->is_header_done()) RETURN_IF_ERROR(Advance(deadline));
    return absl::OkStatus();
  }
};

HttpConnection::HttpConnection(std::unique_ptr<Stream> stream, std::string authority)
    : impl_(std::make_unique<Impl>()) {
  impl_->stream = std::move(stream);
  impl_->authority = std::move(authority);
}

HttpConnection::~HttpConnection() = default;

absl::StatusOr<HttpHead> HttpConnection::Open(const HttpRequest& request, absl::Time deadline) {
  absl::Status status = impl_->Send(request, deadline);
  if (status.ok()) status = impl_->ReadHead(deadline);
  if (!status.ok()) {
    impl_->broken = true;
    return status;
  }
  const auto& message = impl_->parser->get();
  HttpHead head{.code = static_cast<int>(message.result_int()), .warnings = {}};
  const auto [begin, end] = message.equal_range(http::field::warning);
  for (auto it = begin; it != end; ++it) {
    const std::string_view value(it->value().data(), it->value().size());
    if (auto warning = ParseWarning(value)) head.warnings.push_back(*std::move(warning));
  }
  return head;
}

absl::StatusOr<HttpResponse> HttpConnection::Exchange(const HttpRequest& request,
                                                      absl::Time deadline) {
  HttpResponse response;
  ASSIGN_OR_RETURN(response.head, Open(request, deadline));
  while (!impl_->parser->is_done()) {
    if (absl::Status status = impl_->Advance(deadline); !status.ok()) {
      impl_->broken = true;
      return status;
    }
  }
  response.body = std::move(impl_->parser->get().body());
  return response;
}

absl::StatusOr<std::optional<std::string>> HttpConnection::ReadSome(absl::Time deadline) {
  std::string& body = impl_->parser->get().body();
  while (body.empty()) {
    if (impl_->parser->is_done()) return std::nullopt;
    if (absl::Status status = impl_->Advance(deadline); !status.ok()) {
      impl_->broken = impl_->broken || !absl::IsDeadlineExceeded(status);
      return status;
    }
  }
  return std::exchange(body, std::string());
}

bool HttpConnection::Reusable() const {
  return !impl_->broken && impl_->unparsed.empty() &&
         (!impl_->parser || (impl_->parser->is_done() && impl_->parser->keep_alive())) &&
         impl_->stream->Idle();
}

std::string UrlEncode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_' ||
        c == '~') {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += '%';
      encoded += kHex[byte >> 4];
      encoded += kHex[byte & 15];
    }
  }
  return encoded;
}

}  // namespace fleet::client
