#include "client/fake_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "client/text.h"

namespace fleet::client {
namespace {

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

bool SendText(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// Until `buffer` has `size` bytes; false at the end of the stream.
bool Fill(int fd, std::string& buffer, size_t size) {
  while (buffer.size() < size) {
    char bytes[4096];
    const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
    if (n <= 0) return false;
    buffer.append(bytes, static_cast<size_t>(n));
  }
  return true;
}

std::string Hex(size_t number) {
  std::ostringstream text;
  text << std::hex << number;
  return text.str();
}

}  // namespace

FakeServer::FakeServer(std::string_view path, Handler handler) : handler_(std::move(handler)) {
  if (path == kLoopback) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0) Die("bind");
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    endpoint_ = Cat("http://127.0.0.1:", ntohs(address.sin_port));
  } else {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) Die("socket path");
    std::copy(path.begin(), path.end(), address.sun_path);
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(address.sun_path);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) Die("bind");
    endpoint_ = Cat("unix://", path);
  }
  if (listen(listener_, 64) != 0) Die("listen");
  acceptor_ = std::thread([this] { Accept(); });
}

FakeServer::~FakeServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  close(listener_);
}

std::vector<FakeRequest> FakeServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

int FakeServer::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

void FakeServer::Accept() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      close(fd);
      return;
    }
    open_.insert(fd);
    ++connections_;
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void FakeServer::Serve(int fd) {
  std::string buffer;
  while (ServeOne(fd, buffer)) {
  }
  const std::lock_guard lock(mutex_);
  open_.erase(fd);
  close(fd);
}

bool FakeServer::ServeOne(int fd, std::string& buffer) {
  size_t head_end = 0;
  while ((head_end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill(fd, buffer, buffer.size() + 1)) return false;
  }
  FakeRequest request;
  std::istringstream head(buffer.substr(0, head_end));
  head >> request.method >> request.target;
  size_t length = 0;
  for (std::string word; head >> word;) {
    if (ToLower(word) == "content-length:") head >> length;
  }
  const size_t body = head_end + 4;
  if (!Fill(fd, buffer, body + length)) return false;
  request.body = buffer.substr(body, length);
  buffer.erase(0, body + length);

  FakeResponse response;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    response = handler_(request);
  }
  if (response.hang) return Fill(fd, buffer, buffer.size() + 1);
  std::string text = Cat("HTTP/1.1 ", response.code, " Status\r\n", response.headers);
  if (response.close) text += "Connection: close\r\n";
  if (!response.chunks) {
    if (response.code != 204) Append(text, "Content-Length: ", response.body.size(), "\r\n");
    return SendText(fd, Cat(text, "\r\n", response.body)) && !response.close;
  }
  if (!SendText(fd, text + "Transfer-Encoding: chunked\r\n\r\n")) return false;
  for (const std::string& chunk : *response.chunks) {
    if (!SendText(fd, Cat(Hex(chunk.size()), "\r\n", chunk, "\r\n"))) return false;
  }
  if (response.keep_open) return Fill(fd, buffer, buffer.size() + 1);
  return SendText(fd, "0\r\n\r\n") && !response.close;
}

}  // namespace fleet::client
