#include "api/session.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "boost/asio/buffer.hpp"
#include "boost/asio/write.hpp"
#include "boost/beast/core.hpp"
#include "boost/beast/http.hpp"
#include "boost/beast/ssl.hpp"
#include "fmt/core.h"

namespace fleet::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

using PlainStream = beast::basic_stream<asio::generic::stream_protocol>;
using TlsStream = beast::ssl_stream<PlainStream>;

constexpr size_t kLargestBody = 64 << 20;
constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kLingerBytes = 4 << 20;
constexpr auto kLinger = std::chrono::seconds(2);
constexpr size_t kMaxGather = 64;

std::chrono::nanoseconds Chrono(absl::Duration duration) {
  return absl::ToChronoNanoseconds(duration);
}

std::optional<std::string> Header(const http::fields& fields, http::field name) {
  const auto it = fields.find(name);
  if (it == fields.end()) return std::nullopt;
  return std::string(it->value());
}

// Of a header that is a list: lines of the same name are one (RFC 9110, 5.3).
std::optional<std::string> List(const http::fields& fields, http::field name) {
  std::optional<std::string> list;
  const auto [begin, end] = fields.equal_range(name);
  for (auto it = begin; it != end; ++it) {
    list = list ? *list + ", " : "";
    *list += it->value();
  }
  return list;
}

template <typename Stream>
class Session : public EventSink, public std::enable_shared_from_this<Session<Stream>> {
 public:
  Session(Stream stream, std::shared_ptr<asio::ssl::context> tls, SessionContext* context)
      : tls_(std::move(tls)), stream_(std::move(stream)), context_(context) {
    ++context_->connections;
  }
  ~Session() override { --context_->connections; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Run() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      Expire(context_->options.header_timeout);
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](error_code ec) {
                                if (!ec) self->ReadNext();
                              });
    } else {
      ReadNext();
    }
  }

  // EventSink
  void Send(std::shared_ptr<const std::string> bytes) override;
  size_t QueuedBytes() const override { return queued_bytes_; }
  bool closed() const override { return closed_ || finishing_; }
  void DiscardQueued() override;
  void Close() override;
  void Finish() override;
  void OnDrained(absl::AnyInvocable<void()> drained) override { drained_ = std::move(drained); }

 private:
  using Self = std::shared_ptr<Session>;
  using Parser = http::request_parser<http::string_body>;

  PlainStream& Lowest() { return beast::get_lowest_layer(stream_); }
  void Expire(absl::Duration after) { Lowest().expires_after(Chrono(after)); }

  // Requests.
  void ReadNext();
  void ReadHeader();
  void OnHeader(error_code ec);
  void ReadBody();
  void OnBody(error_code ec);
  void Refuse(int code, std::string_view message);
  void Dispatch();

  // Responses.
  void Respond(Response response);
  void StartEvents(Response response);
  void Linger();
  void Discard(size_t left);

  // Events.
  void WriteEvents();
  void EndEvents();
  void WatchForEnd();

  std::shared_ptr<asio::ssl::context> tls_;  // outlives the stream
  Stream stream_;
  SessionContext* const context_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::optional<http::response<http::string_body>> response_;
  bool head_ = false;        // the request under way is a HEAD
  bool keep_alive_ = false;  // after the request under way
  bool chunked_ = false;     // the event stream is

  bool closed_ = false;
  bool finishing_ = false;   // the event stream ends with what is queued
  uint64_t body_limit_ = 0;  // of the request that is being read
  std::deque<std::shared_ptr<const std::string>> queue_;
  size_t queued_bytes_ = 0;
  size_t writing_ = 0;  // how many at the front of the queue are being written
  std::vector<std::string> frames_;
  absl::AnyInvocable<void()> drained_;
};

template <typename Stream>
void Session<Stream>::ReadNext() {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(context_->options.max_header_bytes));
  parser_->body_limit(kLargestBody);
  if (buffer_.size() > 0) {  // the client sent several requests at once
    ReadHeader();
    return;
  }
  buffer_.shrink_to_fit();
  Expire(context_->options.idle_timeout);
  stream_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = this->shared_from_this()](error_code ec, size_t bytes) {
                            if (ec) return;
                            self->buffer_.commit(bytes);
                            self->ReadHeader();
                          });
}

template <typename Stream>
void Session<Stream>::ReadHeader() {
  Expire(context_->options.header_timeout);
  http::async_read_header(
      stream_, buffer_, *parser_,
      [self = this->shared_from_this()](error_code ec, size_t) { self->OnHeader(ec); });
}

template <typename Stream>
void Session<Stream>::OnHeader(error_code ec) {
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
    Refuse(431, fmt::format("the request's head is larger than {} bytes",
                            context_->options.max_header_bytes));
    return;
  }
  if (ec == http::error::body_limit) {
    Refuse(413, fmt::format("the request's body is larger than {} bytes", kLargestBody));
    return;
  }
  if (ec == beast::error::timeout || ec == http::error::end_of_stream ||
      ec == http::error::partial_message) {
    return;
  }
  if (ec) {
    // Everything else of this category is a request that is not HTTP.
    if (ec.category() == make_error_code(http::error::bad_method).category()) {
      Refuse(400, fmt::format("the request is not HTTP/1.1: {}", ec.message()));
    }
    return;
  }
  const auto& request = parser_->get();
  const size_t limit = context_->handler->MaxBody(std::string_view(request.method_string()),
                                                  std::string_view(request.target()));
  const auto length = parser_->content_length();
  if (length && *length > limit) {
    Refuse(413, fmt::format("the request's body has {} bytes, at most {} are taken here", *length,
                            limit));
    return;
  }
  parser_->body_limit(limit);
  body_limit_ = limit;
  const auto expect = Header(request, http::field::expect);
  if (!expect || !beast::iequals(*expect, "100-continue")) {
    ReadBody();
    return;
  }
  static const std::string kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(stream_, asio::buffer(kContinue),
                    [self = this->shared_from_this()](error_code failed, size_t) {
                      if (!failed) self->ReadBody();
                    });
}

template <typename Stream>
void Session<Stream>::ReadBody() {
  // One that comes in chunks has the time of the largest that would be taken.
  const auto length = parser_->content_length().value_or(body_limit_);
  Expire(context_->options.body_timeout +
         absl::Seconds(static_cast<int64_t>(length / (128 << 10))));
  http::async_read(stream_, buffer_, *parser_,
                   [self = this->shared_from_this()](error_code ec, size_t) { self->OnBody(ec); });
}

template <typename Stream>
void Session<Stream>::OnBody(error_code ec) {
  if (ec == http::error::body_limit) {
    Refuse(413, "the request's body is too large");
    return;
  }
  if (ec) {
    if (ec.category() == make_error_code(http::error::bad_method).category() &&
        ec != http::error::partial_message && ec != http::error::end_of_stream) {
      Refuse(400, fmt::format("the request's body is not HTTP/1.1: {}", ec.message()));
    }
    return;
  }
  Dispatch();
}

// Answers a request that was not read to its end: nothing after it can be understood.
template <typename Stream>
void Session<Stream>::Refuse(int code, std::string_view message) {
  keep_alive_ = false;
  head_ = false;
  const auto& request = parser_->get();
  context_->handler->OnRefused(
      request.method() == http::verb::head ? "GET" : std::string_view(request.method_string()),
      std::string_view(request.target()), code);
  Respond(ErrorResponse(code, message));
}

template <typename Stream>
void Session<Stream>::Dispatch() {
  keep_alive_ = parser_->keep_alive();
  chunked_ = parser_->get().version() >= 11;
  auto message = parser_->release();
  Request request;
  head_ = message.method() == http::verb::head;
  request.method = head_ ? "GET" : std::string(message.method_string());
  request.target = std::string(message.target());
  request.content_type = Header(message, http::field::content_type);
  request.origin = Header(message, http::field::origin);
  request.host = Header(message, http::field::host).value_or("");
  request.if_match = List(message, http::field::if_match);
  request.if_none_match = List(message, http::field::if_none_match);
  const auto last_event = message.find("Last-Event-ID");
  if (last_event != message.end()) request.last_event_id = std::string(last_event->value());
  const auto fleet_lock = message.find("fleet-lock-protocol");
  if (fleet_lock != message.end()) request.fleet_lock_protocol = std::string(fleet_lock->value());
  request.body = std::move(message.body());
  Lowest().expires_never();
  context_->handler->Handle(
      std::move(request),
      [self = this->shared_from_this()](Response response) { self->Respond(std::move(response)); });
}

template <typename Stream>
void Session<Stream>::Respond(Response response) {
  if (response.events && !head_) {
    StartEvents(std::move(response));
    return;
  }
  auto& out = response_.emplace(http::int_to_status(static_cast<unsigned>(response.code)), 11);
  out.set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) out.set(name, value);
  out.keep_alive(keep_alive_);
  // To a client of HTTP/1.0 it has to be said.
  if (keep_alive_ && !chunked_) out.set(http::field::connection, "keep-alive");
  if (response.code != 204 && response.code != 304 && !response.events) {
    out.content_length(response.body.size());
  }
  if (!head_) out.body() = std::move(response.body);
  Expire(context_->options.write_timeout);
  http::async_write(stream_, out, [self = this->shared_from_this()](error_code ec, size_t) {
    self->response_.reset();
    if (ec) return;
    if (self->keep_alive_) {
      self->ReadNext();
    } else {
      self->Linger();
    }
  });
}

// Closing at once would reset the connection while the client still sends, and it might never read
// the answer. So: no more from us, and what it sends is read and dropped for a moment.
template <typename Stream>
void Session<Stream>::Linger() {
  if constexpr (std::is_same_v<Stream, TlsStream>) {
    Lowest().expires_after(kLinger);
    stream_.async_shutdown([self = this->shared_from_this()](error_code) {});
  } else {
    error_code ignored;
    Lowest().socket().shutdown(asio::socket_base::shutdown_send, ignored);
    Lowest().expires_after(kLinger);
    Discard(kLingerBytes);
  }
}

template <typename Stream>
void Session<Stream>::Discard(size_t left) {
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = this->shared_from_this(), left](error_code ec, size_t bytes) {
                            if (!ec && bytes < left) self->Discard(left - bytes);
                          });
}

template <typename Stream>
void Session<Stream>::StartEvents(Response response) {
  std::string head =
      fmt::format("HTTP/1.1 {} OK\r\nContent-Type: {}\r\n", response.code, response.content_type);
  for (const auto& [name, value] : response.headers) {
    head += fmt::format("{}: {}\r\n", name, value);
  }
  head += chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "Connection: close\r\n\r\n";
  Lowest().expires_never();
  parser_.reset();
  // The head goes out as it is; the frames of a chunked stream begin after it.
  queue_.push_back(std::make_shared<const std::string>(std::move(head)));
  frames_.clear();
  writing_ = 1;
  queued_bytes_ = queue_.front()->size();
  WatchForEnd();
  auto self = this->shared_from_this();
  asio::async_write(stream_, asio::buffer(*queue_.front()), [self](error_code ec, size_t) {
    if (ec) {
      self->Close();
      return;
    }
    self->queued_bytes_ -= self->queue_.front()->size();
    self->queue_.pop_front();
    self->writing_ = 0;
    self->WriteEvents();
  });
  response.events(self);
}

template <typename Stream>
void Session<Stream>::Send(std::shared_ptr<const std::string> bytes) {
  if (closed_ || finishing_ || bytes->empty()) return;
  queued_bytes_ += bytes->size();
  queue_.push_back(std::move(bytes));
  if (writing_ == 0) WriteEvents();
}

template <typename Stream>
void Session<Stream>::DiscardQueued() {
  while (queue_.size() > writing_) {
    queued_bytes_ -= queue_.back()->size();
    queue_.pop_back();
  }
}

template <typename Stream>
void Session<Stream>::WriteEvents() {
  if (closed_) return;
  if (queue_.empty() && finishing_) {
    EndEvents();
    return;
  }
  if (queue_.empty()) {
    if (auto drained = std::exchange(drained_, nullptr)) drained();
    return;
  }
  writing_ = std::min(queue_.size(), kMaxGather);
  size_t payload = 0;
  for (size_t i = 0; i < writing_; ++i) payload += queue_[i]->size();
  frames_.clear();
  if (chunked_) frames_ = {fmt::format("{:x}\r\n", payload), "\r\n"};
  std::vector<asio::const_buffer> buffers;
  if (chunked_) buffers.push_back(asio::buffer(frames_[0]));
  for (size_t i = 0; i < writing_; ++i) buffers.push_back(asio::buffer(*queue_[i]));
  if (chunked_) buffers.push_back(asio::buffer(frames_[1]));
  asio::async_write(
      stream_, buffers, [self = this->shared_from_this(), payload](error_code ec, size_t) {
        if (ec) {
          self->Close();
          return;
        }
        self->queue_.erase(self->queue_.begin(),
                           self->queue_.begin() + static_cast<std::ptrdiff_t>(self->writing_));
        self->queued_bytes_ -= payload;
        self->writing_ = 0;
        self->WriteEvents();
      });
}

// A client of an event stream sends nothing more; reading tells when it has gone.
template <typename Stream>
void Session<Stream>::WatchForEnd() {
  buffer_.clear();
  buffer_.shrink_to_fit();
  stream_.async_read_some(buffer_.prepare(64),
                          [self = this->shared_from_this()](error_code ec, size_t) {
                            if (ec) {
                              self->Close();
                            } else if (!self->closed_) {
                              self->WatchForEnd();
                            }
                          });
}

template <typename Stream>
void Session<Stream>::Close() {
  if (closed_) return;
  closed_ = true;
  drained_ = nullptr;
  Lowest().close();
}

template <typename Stream>
void Session<Stream>::Finish() {
  if (closed_ || std::exchange(finishing_, true)) return;
  drained_ = nullptr;
  if (writing_ == 0) WriteEvents();
}

// The stream is complete, and ends as HTTP has it. Its client sends nothing that a close could cut.
template <typename Stream>
void Session<Stream>::EndEvents() {
  static const std::string kLastChunk = "0\r\n\r\n";
  if (!chunked_) {
    Close();
    return;
  }
  Lowest().expires_after(kLinger);
  asio::async_write(stream_, asio::buffer(kLastChunk),
                    [self = this->shared_from_this()](error_code, size_t) { self->Close(); });
}

}  // namespace

void StartSession(StreamSocket socket, std::shared_ptr<asio::ssl::context> tls,
                  SessionContext* context) {
  PlainStream plain(std::move(socket));
  if (tls) {
    TlsStream stream(std::move(plain), *tls);
    std::make_shared<Session<TlsStream>>(std::move(stream), std::move(tls), context)->Run();
  } else {
    std::make_shared<Session<PlainStream>>(std::move(plain), nullptr, context)->Run();
  }
}

}  // namespace fleet::api
