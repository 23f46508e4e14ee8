#pragma once

// For tests: one request over a connection of its own.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "base/descriptor.h"
#include "fmt/core.h"

namespace fleet::api {

// All that a server on this port of the loopback answers until it closes the connection.
inline std::string RawGet(uint16_t port, const std::string& target) {
  const Descriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", target);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != std::ssize(request)) {
    return "";
  }
  std::string text;
  char bytes[4096];
  for (ssize_t n = 0; (n = recv(fd.get(), bytes, sizeof(bytes), 0)) > 0;)
    text.append(bytes, static_cast<size_t>(n));
  return text;
}

}  // namespace fleet::api
