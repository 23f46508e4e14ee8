#pragma once

// A byte stream to an API server with deadlines (on MonotonicNow()'s clock): a unix socket, TCP,
// TLS or the standard input and output of a child process (ssh). Used by one thread; closes what it
// owns when destroyed.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/endpoint.h"

namespace fleet::client {

class Stream {
 public:
  virtual ~Stream() = default;

  // At least one byte; empty at the end of the stream. DEADLINE_EXCEEDED when none came in time
  // (the stream is still usable), UNAVAILABLE when the connection broke.
  virtual absl::StatusOr<std::string> Read(absl::Time deadline) = 0;

  // All of `bytes`. DEADLINE_EXCEEDED, UNAVAILABLE.
  virtual absl::Status Write(std::string_view bytes, absl::Time deadline) = 0;

  // False if the peer has closed or has sent something unasked: not to be used for a new request.
  virtual bool Idle() const = 0;
};

struct TlsFiles {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
};

// Connects to `endpoint` itself. UNAVAILABLE or DEADLINE_EXCEEDED with the cause (without the
// endpoint's name).
absl::StatusOr<std::unique_ptr<Stream>> Dial(const Endpoint& endpoint, const TlsFiles& tls,
                                             absl::Time deadline);

// Starts `argv` (looked up in PATH) and talks to its standard input and output. The child gets the
// caller's standard error; it is ended and reaped when the stream is destroyed.
absl::StatusOr<std::unique_ptr<Stream>> DialCommand(const std::vector<std::string>& argv);

// TLS on `stream`, with a server whose certificate is for `host` (a name or an address).
absl::StatusOr<std::unique_ptr<Stream>> StartTls(std::unique_ptr<Stream> stream,
                                                 const std::string& host, const TlsFiles& tls,
                                                 absl::Time deadline);

// A connected, non-blocking unix socket, which the caller closes.
absl::StatusOr<int> ConnectUnix(const std::string& path, absl::Time deadline);
// All of `bytes`, however long it takes.
absl::Status SendAll(int fd, std::string_view bytes);

// Waits for `events` (poll(2)) on `fd`. DEADLINE_EXCEEDED when they did not come in time.
absl::Status WaitFor(int fd, short events, absl::Time deadline);

}  // namespace fleet::client
