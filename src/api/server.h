#pragma once

// Serves HTTP/1.1 on sockets that systemd passes and on addresses of its own: unix, TCP, TLS with
// client certificates. It owns the thread of the API loop, which is an Executor; everything else of
// api/ lives there.
//
//   api::Server server(options);                       // not running yet
//   server.Adopt(fd); server.Listen("[::1]:49153", {});
//   auto store = …bound to server.executor()…;
//   api::Api api({.executor = &server.executor(), .store = store.get(), …});
//   server.Start(&api);
//   mirror: server.executor().Post([&api, change] { api.OnViewChange(change); });
//   server.Stop();                                     // then destroy api and store, then server

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/http.h"
#include "api/stream_io.h"
#include "base/executor.h"

namespace fleet::api {

struct ServerOptions {
  absl::Duration idle_timeout = absl::Seconds(75);    // of a connection between two requests
  absl::Duration header_timeout = absl::Seconds(10);  // from a request's first byte
  absl::Duration body_timeout = absl::Seconds(30);    // and a second more for each 128 KiB
  absl::Duration write_timeout = absl::Seconds(60);  // to take a response, or events, off our hands
  size_t max_header_bytes = 16 << 10;
  size_t max_connections = 8192;  // more are closed at once
};

// Files in PEM. Clients must show a certificate that the CA has signed.
struct TlsFiles {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
};

class Server {
 public:
  explicit Server(const ServerOptions& options = {});
  // Stops it.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The API loop. Tasks posted before Start() run after it.
  Executor& executor();

  // What handlers use beyond requests. Other machines are asked with the certificate of the
  // listeners with TLS.
  StreamIo& streams();

  // Takes over a listening socket, unix or TCP; closes it at the end. Before Start().
  // INVALID_ARGUMENT if it is not a listening stream socket.
  absl::Status Adopt(int fd);

  // Listens at "host:port" or "[v6]:port"; host is a numeric address or "localhost". Port 0 takes a
  // free one. The result is the port. Before Start().
  absl::StatusOr<uint16_t> Listen(const std::string& address, const std::optional<TlsFiles>& tls);

  // Connections from now on to the listeners with TLS use these certificates, which are read now.
  // On an error the old ones stay. Any thread.
  absl::Status ReloadTls(const TlsFiles& files);

  // Begins to serve, in a thread of its own. `handler` must live until Stop().
  void Start(RequestHandler* handler);

  // Ends the thread; connections end. Twice does no harm.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// True if the address that Listen() would take is on the loopback interface only.
bool IsLoopback(const std::string& address);

}  // namespace fleet::api
