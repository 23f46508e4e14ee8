#pragma once

// The store on an etcd cluster (v3 API over gRPC), see store.h for the contract.
//
// One connection at a time, to one of the endpoints; when it fails, is refused, or stops
// answering, the next endpoint is tried. A request waits for a connection for at most
// `request_timeout`. The connection is made on first use; nothing is sent while nothing is asked
// for, besides HTTP/2 pings every 10 s.
//
// What is beyond the contract:
//   Commit returns UNAVAILABLE only when the request never left this process, or etcd refused it
//   unseen. Once it has been handed to a connection and that fails, the code is DEADLINE_EXCEEDED.
//   Reads and lease grants that a lost connection interrupts are sent again until their deadline.
//   A watch ends with UNAVAILABLE when its connection goes, also silently (13 s at most); it ends
//   with OUT_OF_RANGE when etcd was restored from a backup that is older than `from_revision`.
//
// The certificate files are read anew for each connection, so that renewed ones are used.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/executor.h"
#include "store/store.h"

namespace fleet::store {

// Paths of PEM files.
struct EtcdTlsFiles {
  std::string cafile;    // empty: the system's certificate authorities
  std::string certfile;  // client certificate, together with keyfile; both may be empty
  std::string keyfile;
};

struct EtcdOptions {
  std::vector<std::string> endpoints;  // http://host:port or https://host:port, all alike
  absl::Duration request_timeout = absl::Seconds(3);
  std::string cafile;  // as in EtcdTlsFiles
  std::string certfile;
  std::string keyfile;
  // Instead of these three, asked for each new connection, in any thread.
  std::function<EtcdTlsFiles()> tls_files;
  std::string username;  // empty: none (or the client certificate's CN)
  std::string password;
};

// INVALID_ARGUMENT if a file cannot be read, or one of a pair is missing.
absl::Status CheckEtcdTlsFiles(const EtcdTlsFiles& files);

// INVALID_ARGUMENT if the options do not make sense or a file cannot be read. It does not wait for
// etcd. `executor` must outlive the store.
absl::StatusOr<std::unique_ptr<Store>> MakeEtcdStore(EtcdOptions options, Executor* executor);

}  // namespace fleet::store
