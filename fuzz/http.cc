// The bytes that a client sends on a connection. Input: the bytes, with the byte 0x1E wherever the
// network divides them; the same bytes in one piece have to be answered the same.

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "api/session.h"
#include "boost/asio/io_context.hpp"
#include "fmt/format.h"
#include "fuzz/check.h"

namespace fleet::fuzz {
namespace {

constexpr size_t kMaxBody = 300;
constexpr size_t kMaxHead = 1024;
constexpr std::string_view kEvents = "/events";

// Answers what it was asked, so that the answers show how the bytes were understood.
class Echo final : public api::RequestHandler {
 public:
  void Handle(api::Request request, api::Responder respond) override {
    ++requests_;
    Check(request.body.size() <= kMaxBody, "no body is larger than allowed", request.target);
    Check(!request.method.empty() && !request.target.empty(),
          "a request has a method and a target");
    api::Response response;
    if (request.target == kEvents) {
      response.content_type = "text/event-stream";
      response.events = [](const std::shared_ptr<api::EventSink>& sink) {
        sink->Send(std::make_shared<const std::string>("data: 1\n\n"));
        sink->Send(std::make_shared<const std::string>("data: 2\n\n"));
      };
    } else if (request.target == "/nothing") {
      response.code = 204;
    } else {
      response.body =
          fmt::format("{} {} {} {} {} {}|{}", request.method, request.target, request.host,
                      request.content_type.value_or("-"), request.origin.value_or("-"),
                      request.last_event_id.value_or("-"), request.body);
    }
    respond(std::move(response));
  }
  size_t MaxBody(std::string_view /*method*/, std::string_view /*target*/) const override {
    return kMaxBody;
  }

  int requests() const { return requests_; }

 private:
  int requests_ = 0;
};

struct Outcome {
  std::string bytes;  // that the server sent
  int requests = 0;   // that it understood
};

// Sends the pieces one after the other, each when the server has read those before it.
Outcome Talk(const std::vector<std::string>& pieces) {
  int ends[2];
  Check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0,
        "there is a socket pair");
  const int client = ends[0];
  Echo echo;
  api::SessionContext context{.options = {.max_header_bytes = kMaxHead}, .handler = &echo};
  Outcome outcome;
  boost::asio::io_context io(1);
  api::StartSession(
      api::StreamSocket(io, boost::asio::generic::stream_protocol(AF_UNIX, 0), ends[1]), nullptr,
      &context);
  const auto serve = [&] {
    char buffer[16384];
    bool busy = true;
    while (busy) {
      busy = io.poll() > 0;
      ssize_t got = 0;
      while ((got = recv(client, buffer, sizeof(buffer), 0)) > 0) {
        outcome.bytes.append(buffer, static_cast<size_t>(got));
        busy = true;
      }
    }
  };
  serve();
  for (const std::string& piece : pieces) {
    // Fits into the socket's buffer; fails once the server has closed its end.
    (void)send(client, piece.data(), piece.size(), MSG_NOSIGNAL);
    serve();
  }
  shutdown(client, SHUT_WR);
  serve();
  Check(context.connections == 0, "a connection ends when the client has ended it", outcome.bytes);
  close(client);
  outcome.requests = echo.requests();
  return outcome;
}

// The value of a header in a response's head; empty if it is not there.
std::string_view HeaderOf(std::string_view head, std::string_view name) {
  while (!head.empty()) {
    const auto [line, rest] = SplitAt(head, "\r\n");
    const auto [key, value] = SplitAt(line, ": ");
    if (key == name) return value;
    head = rest;
  }
  return {};
}

// Reads the responses as a client would: nothing may be left over, and none may be cut off.
void CheckResponses(const Outcome& outcome, std::string_view sent) {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  std::string_view rest = outcome.bytes;
  int responses = 0;
  bool last = false;
  while (!rest.empty()) {
    if (rest.starts_with(kContinue)) {
      rest.remove_prefix(kContinue.size());
      continue;
    }
    Check(!last, "nothing follows the last response", outcome.bytes);
    const size_t end = rest.find("\r\n\r\n");
    Check(rest.starts_with("HTTP/1.1 ") && end != std::string_view::npos, "a response has a head",
          outcome.bytes);
    const std::string_view head = rest.substr(0, end);
    rest.remove_prefix(end + 4);
    const std::string code(head.substr(9, 3));
    ++responses;
    if (HeaderOf(head, "Content-Type") == "text/event-stream" &&
        HeaderOf(head, "Content-Length").empty()) {
      // A stream lasts to the end; of HEAD there is the head only, and the connection goes on.
      if (!rest.starts_with("HTTP/1.1 ")) return;
      continue;
    }
    const std::string length(HeaderOf(head, "Content-Length"));
    Check(code == "204" || !length.empty(), "a response has a length", outcome.bytes);
    size_t bytes = length.empty() ? 0 : std::stoul(length);
    // A body that is not there is that of a HEAD.
    if (rest.starts_with("HTTP/1.1 ") || rest.empty()) bytes = 0;
    Check(bytes <= rest.size(), "a response is whole", outcome.bytes);
    rest.remove_prefix(bytes);
    last = HeaderOf(head, "Connection") == "close";
    if (code != "200" && code != "204") {
      Check(code == "400" || code == "413" || code == "431", "a refusal has its code",
            outcome.bytes);
      Check(last, "after what it does not understand the server listens no more", outcome.bytes);
    }
  }
  Check(responses == outcome.requests || (last && responses == outcome.requests + 1),
        "each request has a response", outcome.bytes + "\nto\n" + std::string(sent));
}

// What was answered before a refusal at the end: whether a head that is never completed is refused
// depends on how much of it the parser saw at once.
std::string_view WithoutRefusal(std::string_view bytes) {
  const size_t at = bytes.rfind("HTTP/1.1 4");
  const bool refused = at != std::string_view::npos && bytes.substr(at).ends_with("}}");
  return refused ? bytes.substr(0, at) : bytes;
}

void Run(std::string_view input) {
  std::vector<std::string> pieces;
  std::string whole;
  while (!input.empty()) {
    const auto [piece, rest] = SplitAt(input, "\x1E");
    input = rest;
    if (piece.empty()) continue;
    pieces.emplace_back(piece);
    whole += piece;
  }
  const Outcome outcome = Talk(pieces);
  CheckResponses(outcome, whole);
  if (pieces.size() < 2) return;
  const Outcome at_once = Talk({whole});
  Check(WithoutRefusal(at_once.bytes) == WithoutRefusal(outcome.bytes),
        "how the network divides the bytes makes no difference",
        at_once.bytes + "\ninstead of\n" + outcome.bytes);
}

}  // namespace
}  // namespace fleet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fleet::fuzz::Run(fleet::fuzz::Text(data, size));
  return 0;
}
