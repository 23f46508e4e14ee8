#pragma once

// For tests: an HTTP server in this process, on a unix socket or on a loopback port that the kernel
// chooses. Each connection has a thread; the handler is called by one at a time.

#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace fleet::client {

struct FakeRequest {
  std::string method;
  std::string target;
  std::string body;
};

struct FakeResponse {
  int code = 200;
  std::string body;
  std::string headers;  // lines, each with its end
  // Sent as the body's chunks instead, one after the other.
  std::optional<std::vector<std::string>> chunks;
  bool keep_open = false;  // after the chunks the body does not end
  bool close = false;      // the connection is closed after the answer
  bool hang = false;       // no answer at all
};

class FakeServer {
 public:
  using Handler = std::function<FakeResponse(const FakeRequest&)>;

  static constexpr std::string_view kLoopback = "127.0.0.1";

  // On a unix socket at `path`, or on a TCP port if it is kLoopback.
  FakeServer(std::string_view path, Handler handler);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::string endpoint() const { return endpoint_; }
  std::vector<FakeRequest> requests() const;
  int connections() const;

 private:
  void Accept();
  void Serve(int fd);
  // False if the connection ends.
  bool ServeOne(int fd, std::string& buffer);

  Handler handler_;
  std::string endpoint_;
  int listener_ = -1;
  mutable std::mutex mutex_;
  bool stopping_ = false;
  std::set<int> open_;
  std::vector<FakeRequest> requests_;
  int connections_ = 0;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace fleet::client
