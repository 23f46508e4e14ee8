// StreamIo of a real server: pipes, and other servers.

#include "api/stream_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "api/raw_client.h"
#include "api/server.h"
#include "base/descriptor.h"
#include "fmt/core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::api {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class PipeReader : public JournalReader {
 public:
  explicit PipeReader(Descriptor end) : end_(std::move(end)) {}
  int descriptor() const override { return end_.get(); }
  std::optional<absl::Status> Ended() override {
    if (looks_++ < 3) return std::nullopt;  // as a process does that has only closed its output
    return absl::UnavailableError("with status 3");
  }

 private:
  Descriptor end_;
  int looks_ = 0;
};

// A server of what `handle` says, on a port of its own.
class Served : public RequestHandler {
 public:
  using Handle1 = std::function<void(Request, Responder, StreamIo&)>;
  explicit Served(Handle1 handle) : handle_(std::move(handle)) {
    const auto port = server_.Listen("127.0.0.1:0", std::nullopt);
    EXPECT_TRUE(port.ok()) << port.status();
    port_ = *port;
    server_.Start(this);
  }
  ~Served() override { server_.Stop(); }
  void Handle(Request request, Responder respond) override {
    handle_(std::move(request), std::move(respond), server_.streams());
  }
  size_t MaxBody(std::string_view, std::string_view) const override { return 1 << 20; }

  std::string endpoint() const { return fmt::format("http://127.0.0.1:{}", port_); }
  std::string Get(const std::string& target) const { return RawGet(port_, target); }

 private:
  Handle1 handle_;
  Server server_;
  uint16_t port_ = 0;
};

// Answers with the lines that come out of the pipe, in brackets.
Served::Handle1 LinesOf(std::shared_ptr<Descriptor> pipe) {
  return [pipe](const Request&, Responder respond, StreamIo& streams) {
    Response response;
    response.content_type = "text/event-stream";
    response.events = [pipe, &streams](std::shared_ptr<EventSink> sink) {
      streams.CopyLines(
          std::make_unique<PipeReader>(std::move(*pipe)), std::move(sink),
          [](std::string_view line) { return fmt::format("[{}]", line); },
          [](const absl::Status& ended) {
            return fmt::format("ended {}", std::string(ended.message()));
          });
    };
    respond(std::move(response));
  };
}

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    out = std::make_shared<Descriptor>(Descriptor(ends[0]));
    in = Descriptor(ends[1]);
  }
  void Write(const std::string& text) const {
    EXPECT_EQ(write(in.get(), text.data(), text.size()), std::ssize(text));
  }
  std::shared_ptr<Descriptor> out;
  Descriptor in;
};

TEST(StreamIo, CopiesLinesAndEndsTheStreamAsHttpHasIt) {
  Pipe pipe;
  pipe.Write("one\ntwo\nnot whole");
  pipe.in.Close();
  const Served server(LinesOf(pipe.out));
  const std::string answer = server.Get("/");
  EXPECT_THAT(answer, HasSubstr("[one][two]"));
  EXPECT_THAT(answer, HasSubstr("ended with status 3\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n0\r\n\r\n"));
}

TEST(StreamIo, ForwardsAStreamAsItComes) {
  Pipe pipe;
  const Served far(LinesOf(pipe.out));
  const Served near([&](const Request& request, Responder respond, StreamIo& streams) {
    streams.Forward({.machine = "m", .endpoints = {far.endpoint()}, .target = request.target},
                    std::move(respond));
  });
  auto answer = std::async(std::launch::async, [&] { return near.Get("/x?y=1"); });
  pipe.Write("one\n");
  pipe.Write("two\n");
  pipe.in.Close();
  const std::string text = answer.get();
  EXPECT_THAT(text, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(text, HasSubstr("[one]"));
  EXPECT_THAT(text, HasSubstr("[two]"));
  EXPECT_THAT(text, EndsWith("\r\n0\r\n\r\n"));
}

TEST(StreamIo, ForwardsAnErrorAsItIs) {
  const Served far([](const Request& request, Responder respond, StreamIo&) {
    respond(ErrorResponse(404, "no " + request.target));
  });
  const Served near([&](const Request& request, Responder respond, StreamIo& streams) {
    // The first one is not there: the next is asked.
    streams.Forward({.machine = "m",
                     .endpoints = {"http://127.0.0.1:1", far.endpoint()},
                     .target = request.target},
                    std::move(respond));
  });
  const std::string answer = near.Get("/x?y=1");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 404"));
  EXPECT_THAT(answer, HasSubstr("no /x?y=1"));
}

TEST(StreamIo, ForwardsWhenToTryAgain) {
  const Served far([](const Request&, Responder respond, StreamIo&) {
    Response response = ErrorResponse(503, "away");
    response.headers = {{"Retry-After", "7"}};
    respond(std::move(response));
  });
  const Served near([&](const Request&, Responder respond, StreamIo& streams) {
    streams.Forward({.machine = "m", .endpoints = {far.endpoint()}, .target = "/"},
                    std::move(respond));
  });
  const std::string answer = near.Get("/");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("Retry-After: 7\r\n"));
}

TEST(StreamIo, NamesWhatCannotBeReached) {
  const Served near([&](const Request&, Responder respond, StreamIo& streams) {
    streams.Forward({.machine = "m",
                     .endpoints = {"http://127.0.0.1:1", "https://127.0.0.1:1", "ftp://x"},
                     .target = "/"},
                    std::move(respond));
  });
  const std::string answer = near.Get("/");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 502"));
  EXPECT_THAT(answer, HasSubstr("machine m cannot be reached: http://127.0.0.1:1: "));
  EXPECT_THAT(answer, HasSubstr("listen_certfile"));
}

}  // namespace
}  // namespace fleet::api
