#include "api/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/router.h"
#include "fmt/core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A client's end of a connection that sends and receives raw bytes.
class Client {
 public:
  explicit Client(int fd) : fd_(fd) {}
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Send(const std::string& bytes) const {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;  // the server may have closed; what it answered is what counts
      sent += static_cast<size_t>(n);
    }
  }

  // Reads until `end` has come (or the connection's end), and takes it all out.
  std::string ReadUntil(const std::string& end) {
    size_t at = std::string::npos;
    while ((at = received_.find(end)) == std::string::npos && Receive()) {
    }
    const size_t size = at == std::string::npos ? received_.size() : at + end.size();
    std::string taken = received_.substr(0, size);
    received_.erase(0, size);
    return taken;
  }
  std::string ReadToEnd() {
    while (Receive()) {
    }
    return std::exchange(received_, {});
  }

  // Sends a request and reads one response by its Content-Length.
  std::string Exchange(const std::string& request) {
    Send(request);
    std::string head = ReadUntil("\r\n\r\n");
    const size_t at = head.find("Content-Length: ");
    if (at == std::string::npos) return head;
    const size_t length = std::stoul(head.substr(at + 16));
    while (received_.size() < length && Receive()) {
    }
    head += received_.substr(0, length);
    received_.erase(0, length);
    return head;
  }

 private:
  bool Receive() {
    pollfd poll_fd{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&poll_fd, 1, 20'000) <= 0) {
      ADD_FAILURE() << "nothing came for 20 s; so far: " << received_;
      return false;
    }
    char buffer[65536];
    const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
    if (n <= 0) return false;
    received_.append(buffer, static_cast<size_t>(n));
    return true;
  }

  int fd_;
  std::string received_;
};

// Echoes bodies; streams events; answers later.
class Handler : public RequestHandler {
 public:
  void Handle(Request request, Responder respond) override {
    if (request.target == "/events") {
      Response response;
      response.content_type = "text/event-stream";
      response.events = [this](std::shared_ptr<EventSink> sink) {
        sink->Send(std::make_shared<std::string>("data: hello\n\n"));
        sinks.push_back(std::move(sink));
      };
      respond(std::move(response));
    } else if (request.target == "/nothing") {
      respond(JsonResponse(204, ""));
    } else if (request.target == "/later") {
      later.push_back(std::move(respond));
    } else {
      respond(
          JsonResponse(200, fmt::format("{} {} {}", request.method, request.target, request.body)));
    }
  }
  size_t MaxBody(std::string_view, std::string_view target) const override {
    return target == "/large" ? 64 << 20 : 1 << 20;
  }

  void OnRefused(std::string_view method, std::string_view target, int code) override {
    refused.push_back(fmt::format("{} {} {}", method, target, code));
  }

  std::vector<std::shared_ptr<EventSink>> sinks;  // only in the API loop
  std::vector<std::string> refused;               // only in the API loop
  std::vector<Responder> later;
};

class ServerTest : public ::testing::Test {
 protected:
  void Start(const ServerOptions& options = {}) {
    server_ = std::make_unique<Server>(options);
    directory_ = std::filesystem::temp_directory_path() / fmt::format("fleet-api-{}", getpid());
    std::filesystem::create_directory(directory_);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = Address();
    unlink(address.sun_path);
    ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(listen(fd, 1024), 0);
    ASSERT_TRUE(server_->Adopt(fd).ok());
    auto port = server_->Listen("127.0.0.1:0", std::nullopt);
    ASSERT_TRUE(port.ok()) << port.status();
    port_ = *port;
    server_->Start(&handler_);
  }
  void TearDown() override {
    if (server_) server_->Stop();
    handler_.sinks.clear();
    handler_.later.clear();
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  sockaddr_un Address() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory_ / "socket";
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return address;
  }
  std::unique_ptr<Client> Connect() const {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = Address();
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return std::make_unique<Client>(fd);
  }
  std::unique_ptr<Client> ConnectTcp() const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return std::make_unique<Client>(fd);
  }

  // Runs `task` in the API loop and waits for it.
  template <typename F>
  auto InLoop(F task) {
    std::promise<decltype(task())> done;
    auto result = done.get_future();
    server_->executor().Post([&] { done.set_value(task()); });
    return result.get();
  }

  Handler handler_;
  std::unique_ptr<Server> server_;
  std::filesystem::path directory_;
  uint16_t port_ = 0;
};

TEST_F(ServerTest, ServesUnixAndTcpAndKeepsConnections) {
  Start();
  for (const auto& client : {Connect(), ConnectTcp()}) {
    for (int i = 0; i < 3; ++i) {
      const std::string answer =
          client->Exchange("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
      EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
      EXPECT_THAT(answer, HasSubstr("\r\n\r\nPUT /x hi"));
    }
  }
}

TEST_F(ServerTest, AnswersPipelinedRequestsInTheirOrder) {
  Start();
  const auto client = Connect();
  std::string requests;
  for (int i = 0; i < 200; ++i) requests += fmt::format("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", i);
  client->Send(requests);
  for (int i = 0; i < 200; ++i) {
    EXPECT_THAT(client->ReadUntil(fmt::format("GET /{} ", i)), StartsWith("HTTP/1.1 200 OK"));
  }
}

TEST_F(ServerTest, ClosesWhenAskedToAndForHttp10) {
  Start();
  for (const char* request :
       {"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET /x HTTP/1.0\r\n\r\n"}) {
    const auto client = Connect();
    client->Send(request);
    EXPECT_THAT(client->ReadToEnd(), HasSubstr("GET /x"));
  }
}

TEST_F(ServerTest, TellsAClientOfHttp10ThatItsConnectionIsKept) {
  Start();
  const auto client = Connect();
  EXPECT_THAT(client->Exchange("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
              HasSubstr("Connection: keep-alive"));
}

TEST_F(ServerTest, HeadHasTheHeadersOfGetAndNoBody) {
  Start();
  const auto client = Connect();
  client->Send("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string answer = client->ReadToEnd();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 7\r\n"));
  EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\n"));
}

TEST_F(ServerTest, NoContentHasAContentTypeAndNoLength) {
  Start();
  const std::string answer = Connect()->Exchange("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 204 No Content\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("Content-Length")));
}

TEST_F(ServerTest, AnswersLater) {
  Start();
  const auto client = Connect();
  client->Send("GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /after HTTP/1.1\r\nHost: h\r\n\r\n");
  while (!InLoop([&] { return handler_.later.size() == 1; })) {
  }
  InLoop([&] {
    handler_.later[0](JsonResponse(200, "at last"));
    return 0;
  });
  EXPECT_THAT(client->ReadUntil("at last"), HasSubstr("200 OK"));
  EXPECT_THAT(client->ReadUntil("GET /after "), HasSubstr("200 OK"));
}

TEST_F(ServerTest, BodiesBeyondTheRoutesLimitAreTooLarge) {
  Start();
  const std::string large(2 << 20, 'x');
  const auto client = Connect();
  client->Send(fmt::format("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{}",
                           large.size(), large));
  const std::string answer = client->ReadToEnd();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer, HasSubstr(R"({"error":{"code":413,)"));

  const auto chunked = Connect();
  chunked->Send(fmt::format(
      "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
      large.size(), large));
  EXPECT_THAT(chunked->ReadToEnd(), StartsWith("HTTP/1.1 413 "));

  EXPECT_THAT(
      Connect()->Exchange(fmt::format(
          "PUT /large HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{}", large.size(), large)),
      StartsWith("HTTP/1.1 200 "));
}

TEST_F(ServerTest, AsksForTheBodyWhenTheClientWaits) {
  Start();
  const auto client = Connect();
  client->Send("PUT /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client->ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(client->Exchange("hi"), HasSubstr("PUT /x hi"));
}

TEST_F(ServerTest, WhatIsNotHttpIsABadRequest) {
  Start();
  for (const char* bytes :
       {"nonsense\r\n\r\n", "GET /x HTTP/9.9\r\n\r\n", "GET /x HTTP/1.1\r\nbad header\r\n\r\n",
        "PUT /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n"}) {
    const auto client = Connect();
    client->Send(bytes);
    EXPECT_THAT(client->ReadToEnd(), StartsWith("HTTP/1.1 400 ")) << bytes;
  }
}

TEST_F(ServerTest, HeadsThatAreTooLargeAreRefused) {
  Start();
  const auto client = Connect();
  client->Send("GET /x HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");
  EXPECT_THAT(client->ReadToEnd(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(ServerTest, SaysWhatItRefused) {
  Start();
  const auto refused = [&](const std::string& request) {
    const auto client = Connect();
    client->Send(request);
    client->ReadToEnd();
    return InLoop([&] { return std::exchange(handler_.refused, {}); });
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(refused("PUT /x HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n"),
              ElementsAre("PUT /x 413"));
  EXPECT_THAT(refused("PUT /x HTTP/1.1\r\nContent-Length: 200000000\r\n\r\n"),
              ElementsAre(::testing::EndsWith(" 413")));
  EXPECT_THAT(refused("GET /x HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"),
              ElementsAre(::testing::EndsWith(" 431")));
  EXPECT_THAT(refused("nonsense\r\n\r\n"), ElementsAre(::testing::EndsWith(" 400")));
  EXPECT_THAT(refused("GET /x HTTP/1.1\r\nConnection: close\r\n\r\n"), ElementsAre());
}

TEST_F(ServerTest, SlowAndIdleClientsAreDisconnected) {
  Start({.idle_timeout = absl::Milliseconds(50),
         .header_timeout = absl::Milliseconds(50),
         .body_timeout = absl::Milliseconds(50)});
  const auto idle = Connect();
  EXPECT_EQ(idle->ReadToEnd(), "");
  const auto slow_head = Connect();
  slow_head->Send("GET /x HT");
  EXPECT_EQ(slow_head->ReadToEnd(), "");
  const auto slow_body = Connect();
  slow_body->Send("PUT /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhi");
  EXPECT_EQ(slow_body->ReadToEnd(), "");
}

TEST_F(ServerTest, StreamsEventsToManyClientsAtOnce) {
  Start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 300; ++i) {
    clients.push_back(i % 2 == 0 ? Connect() : ConnectTcp());
    clients.back()->Send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  for (const auto& client : clients) {
    const std::string head = client->ReadUntil("data: hello\n\n");
    EXPECT_THAT(head, HasSubstr("Content-Type: text/event-stream\r\n"));
    EXPECT_THAT(head, HasSubstr("Transfer-Encoding: chunked\r\n"));
  }
  InLoop([&] {
    const auto event = std::make_shared<const std::string>("data: more\n\n");
    for (const auto& sink : handler_.sinks) sink->Send(event);
    return 0;
  });
  for (const auto& client : clients) {
    EXPECT_THAT(client->ReadUntil("data: more\n\n"), HasSubstr("c\r\ndata: more"));
  }
}

TEST_F(ServerTest, KnowsWhatAClientHasNotReadAndWhenItHasGone) {
  Start();
  auto client = Connect();
  client->Send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
  client->ReadUntil("hello\n\n");
  const size_t queued = InLoop([&] {
    handler_.sinks[0]->Send(std::make_shared<const std::string>(16 << 20, 'x'));
    return handler_.sinks[0]->QueuedBytes();
  });
  EXPECT_GE(queued, size_t{16} << 20);
  client.reset();
  while (!InLoop([&] { return handler_.sinks[0]->closed(); })) {
  }
}

TEST_F(ServerTest, AClosedStreamEndsAtTheClient) {
  Start();
  const auto client = Connect();
  client->Send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
  client->ReadUntil("hello\n\n");
  InLoop([&] {
    handler_.sinks[0]->Close();
    return 0;
  });
  client->ReadToEnd();
}

TEST(Listening, RefusesWhatIsNoListeningSocketAndBadAddresses) {
  Server server;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_TRUE(absl::IsInvalidArgument(server.Adopt(fd)));
  close(fd);
  for (const char* address : {"", "localhost", ":80", "::1:80", "name.invalid:80", "127.0.0.1:x"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(server.Listen(address, std::nullopt).status())) << address;
  }
}

TEST(Listening, TellsLoopbackFromOtherAddresses) {
  EXPECT_TRUE(IsLoopback("127.0.0.1:80"));
  EXPECT_TRUE(IsLoopback("localhost:80"));
  EXPECT_TRUE(IsLoopback("[::1]:80"));
  EXPECT_FALSE(IsLoopback("0.0.0.0:80"));
  EXPECT_FALSE(IsLoopback("[::]:80"));
  EXPECT_FALSE(IsLoopback("10.0.0.1:80"));
}

}  // namespace
}  // namespace fleet::api
