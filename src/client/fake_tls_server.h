#pragma once

// For tests: an HTTPS server on a loopback port, whose certificate, for 127.0.0.1 only, is written
// to a file that a client can take for its authority. Serves one connection after the other.

#include <atomic>
#include <string>
#include <string_view>
#include <thread>

namespace fleet::client {

class FakeTlsServer {
 public:
  // Each request (without a body) is answered 200 with `body`. `file` gets the certificate and its
  // key. `mutual`: a client has to have the same one.
  FakeTlsServer(const std::string& file, std::string body, bool mutual = false);
  ~FakeTlsServer();
  FakeTlsServer(const FakeTlsServer&) = delete;
  FakeTlsServer& operator=(const FakeTlsServer&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  const std::string& port() const { return port_; }

 private:
  struct Tls;

  void Serve();
  void ServeOne(int fd);

  std::string body_;
  std::string port_;
  std::string endpoint_;
  Tls* tls_;
  int listener_ = -1;
  std::atomic<int> connection_ = -1;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace fleet::client
