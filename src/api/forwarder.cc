#include "api/forwarder.h"

#include <charconv>
#include <optional>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "boost/asio/ip/tcp.hpp"
#include "boost/asio/ssl/host_name_verification.hpp"
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
using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<PlainStream>;

constexpr auto kConnect = std::chrono::seconds(3);
constexpr auto kAnswer = std::chrono::seconds(30);
constexpr auto kSilence = std::chrono::seconds(45);  // three heartbeats of the other machine
constexpr size_t kMaxQueued = 256 << 10;             // with more unsent, nothing more is read

struct PeerAddress {
  bool tls = false;
  std::string authority;
  std::string host;  // a literal address
  asio::ip::tcp::endpoint endpoint;
};

// Of "http://10.0.0.1:49153", "https://[fd00::1]:49153".
std::optional<PeerAddress> ParseEndpoint(std::string_view text) {
  PeerAddress address;
  if (text.starts_with("https://")) {
    address.tls = true;
  } else if (!text.starts_with("http://")) {
    return std::nullopt;
  }
  text.remove_prefix(text.find("://") + 3);
  address.authority = text;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string_view digits = text.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  error_code ec;
  address.host = host;
  const auto ip = asio::ip::make_address(address.host, ec);
  if (ec || wrong != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  address.endpoint = {ip, port};
  return address;
}

// One request to one endpoint.
template <typename Stream>
class Exchange : public std::enable_shared_from_this<Exchange<Stream>> {
 public:
  // Gets `respond` back, and why, if nobody answers.
  using Failed = absl::AnyInvocable<void(std::string why, Responder respond)>;

  Exchange(Stream stream, PeerAddress peer, const std::string& target, Responder respond,
           Failed failed)
      : stream_(std::move(stream)),
        peer_(std::move(peer)),
        respond_(std::move(respond)),
        failed_(std::move(failed)) {
    request_.method(http::verb::get);
    request_.target(target);
    request_.version(11);
    request_.set(http::field::host, peer_.authority);
    request_.set(http::field::user_agent, "fleetd");
    parser_.eager(true);
    parser_.body_limit(boost::none);
  }

  void Start() {
    Lowest().expires_after(kConnect);
    Lowest().async_connect(peer_.endpoint, [self = this->shared_from_this()](error_code ec) {
      if (ec) {
        self->Fail(ec);
      } else {
        self->OnConnected();
      }
    });
  }

 private:
  PlainStream& Lowest() { return beast::get_lowest_layer(stream_); }

  void Fail(error_code ec) { failed_(ec.message(), std::move(respond_)); }

  void OnConnected() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      stream_.set_verify_callback(asio::ssl::host_name_verification(peer_.host));
      stream_.async_handshake(asio::ssl::stream_base::client,
                              [self = this->shared_from_this()](error_code ec) {
                                if (ec) {
                                  self->Fail(ec);
                                } else {
                                  self->Send();
                                }
                              });
    } else {
      Send();
    }
  }

  void Send() {
    Lowest().expires_after(kAnswer);
    http::async_write(stream_, request_, [self = this->shared_from_this()](error_code ec, size_t) {
      if (ec) {
        self->Fail(ec);
      } else {
        self->ReadHead();
      }
    });
  }

  void ReadHead() {
    http::async_read_header(stream_, buffer_, parser_,
                            [self = this->shared_from_this()](error_code ec, size_t) {
                              if (ec) {
                                self->Fail(ec);
                              } else {
                                self->OnHead();
                              }
                            });
  }

  void OnHead() {
    const auto& head = parser_.get();
    const auto type = std::string(head[http::field::content_type]);
    if (head.result() != http::status::ok || !type.starts_with("text/event-stream")) {
      ReadAll();
      return;
    }
    Response response;
    response.content_type = type;
    response.headers.emplace_back("Cache-Control", "no-store");
    response.events = [self = this->shared_from_this()](const std::shared_ptr<EventSink>& sink) {
      self->sink_ = sink;
      self->Pump();
    };
    respond_(std::move(response));
  }

  void ReadAll() {
    parser_.body_limit(1 << 20);
    http::async_read(
        stream_, buffer_, parser_, [self = this->shared_from_this()](error_code ec, size_t) {
          if (ec) {
            self->Fail(ec);
            return;
          }
          Response response = JsonResponse(static_cast<int>(self->parser_.get().result_int()),
                                           std::move(self->parser_.get().body()));
          const auto& head = self->parser_.get();
          response.content_type = std::string(head[http::field::content_type]);
          if (const auto again = head.find(http::field::retry_after); again != head.end()) {
            response.headers.emplace_back("Retry-After", std::string(again->value()));
          }
          self->respond_(std::move(response));
        });
  }

  // What has come goes to the client. Its going away shows at the next heartbeat.
  void Pump() {
    std::string& body = parser_.get().body();
    if (!body.empty())
      sink_->Send(std::make_shared<const std::string>(std::exchange(body, std::string())));
    if (sink_->closed()) return;
    if (parser_.is_done()) {
      sink_->Finish();
      return;
    }
    if (sink_->QueuedBytes() > kMaxQueued) {
      sink_->OnDrained([self = this->shared_from_this()] { self->Pump(); });
      return;
    }
    Lowest().expires_after(kSilence);
    http::async_read_some(stream_, buffer_, parser_,
                          [self = this->shared_from_this()](error_code ec, size_t) {
                            if (ec) {
                              self->sink_->Close();
                            } else {
                              self->Pump();
                            }
                          });
  }

  Stream stream_;
  PeerAddress peer_;
  Responder respond_;
  Failed failed_;
  http::request<http::empty_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  std::shared_ptr<EventSink> sink_;
};

// Tries the endpoints in order.
class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(asio::io_context& io, std::shared_ptr<asio::ssl::context> tls, ForwardRequest request)
      : io_(io), tls_(std::move(tls)), request_(std::move(request)) {}

  void Next(Responder respond) {
    if (next_ == request_.endpoints.size()) {
      respond(ErrorResponse(502, fmt::format("machine {} cannot be reached: {}", request_.machine,
                                             absl::StrJoin(errors_, "; "))));
      return;
    }
    const std::string& text = request_.endpoints[next_++];
    auto peer = ParseEndpoint(text);
    auto failed = [self = shared_from_this(), text](const std::string& why, Responder again) {
      self->errors_.push_back(fmt::format("{}: {}", text, why));
      self->Next(std::move(again));
    };
    if (!peer) {
      failed("it is not the address of an API", std::move(respond));
    } else if (!peer->tls) {
      std::make_shared<Exchange<PlainStream>>(PlainStream(io_), *std::move(peer), request_.target,
                                              std::move(respond), std::move(failed))
          ->Start();
    } else if (tls_) {
      std::make_shared<Exchange<TlsStream>>(TlsStream(io_, *tls_), *std::move(peer),
                                            request_.target, std::move(respond), std::move(failed))
          ->Start();
    } else {
      failed("it wants TLS, and there is no certificate here (listen_certfile)",
             std::move(respond));
    }
  }

 private:
  asio::io_context& io_;
  std::shared_ptr<asio::ssl::context> tls_;
  ForwardRequest request_;
  size_t next_ = 0;
  std::vector<std::string> errors_;
};

}  // namespace

void Forward(asio::io_context& io, std::shared_ptr<asio::ssl::context> tls, ForwardRequest request,
             Responder respond) {
  std::make_shared<Attempt>(io, std::move(tls), std::move(request))->Next(std::move(respond));
}

}  // namespace fleet::api
