#pragma once

// Keeps one connection to one of etcd's endpoints, for as long as somebody wants one.
//
// Each endpoint has a gRPC channel of its own, made for one attempt: so TLS checks each name, the
// back-off is ours (a channel's resolver can wait for two minutes), and a request is only handed to
// a channel that was ready a moment ago. Endpoints are tried in a random order (not all machines
// choose the first), the next one when the last has failed or has not answered within a second.
//
// All calls need the client's mutex.

#include <grpcpp/channel.h>
#include <grpcpp/completion_queue.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "etcd.grpc.pb.h"
#include "store/etcd/etcd_store.h"
#include "store/etcd/timers.h"

namespace fleet::store::etcd {

// Shared with the requests that were sent over it.
struct Connection {
  size_t endpoint = 0;
  std::string url;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<etcdserverpb::KV::Stub> kv;
  std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  std::unique_ptr<etcdserverpb::Lease::Stub> lease;
  std::unique_ptr<etcdserverpb::Auth::Stub> auth;
  absl::Duration last_heard;  // MonotonicNow() of the last answer; 0 if there was none
};

struct Endpoint {
  std::string url;     // as it was configured
  std::string target;  // as gRPC takes it
  bool tls = false;
};

// INVALID_ARGUMENT unless it is http://host:port or https://host:port.
absl::StatusOr<Endpoint> ParseEndpoint(const std::string& url);

// INVALID_ARGUMENT if a certificate file cannot be read.
absl::Status CheckCredentials(const EtcdOptions& options);

class Connector {
 public:
  // `on_ready` runs when there is a new connection; `wanted` says whether somebody waits for one.
  Connector(const EtcdOptions& options, std::vector<Endpoint> endpoints,
            grpc::CompletionQueue* queue, Timers* timers, absl::AnyInvocable<void()> on_ready,
            absl::AnyInvocable<bool()> wanted);
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // Null if there is none at the moment.
  const std::shared_ptr<Connection>& current() const { return current_; }

  // Starts to connect, unless there is a connection or an attempt.
  void Want();

  // An answer came over `connection`.
  void Heard(Connection& connection);

  // `connection` does not answer, or its member has no leader: look for another endpoint, and use
  // it if there is one that can be reached.
  void Distrust(const Connection& connection, const std::string& why);

  // The endpoints, and why each could not be used.
  std::string Describe() const;

  // Drops all connections; no further one is made.
  void Close();

 private:
  class StateWatch;
  class Probe;
  struct Attempt {
    std::shared_ptr<Connection> connection;
    Timers::Id hedge = 0;
  };

  void TryNext();
  void StateChanged(const std::shared_ptr<Connection>& connection, grpc_connectivity_state state);
  void Failed(const Connection& connection);
  void CauseKnown(size_t endpoint, const std::string& cause);
  void SetCause(size_t endpoint, std::string_view cause);
  void EndAttempt(const Connection* connection);
  std::shared_ptr<Connection> Open(size_t endpoint);
  bool IsAttempt(const Connection* connection) const;

  const EtcdOptions options_;
  const std::vector<Endpoint> endpoints_;
  grpc::CompletionQueue* const queue_;
  Timers* const timers_;
  absl::AnyInvocable<void()> on_ready_;
  absl::AnyInvocable<bool()> wanted_;

  std::vector<std::string> causes_;  // for each endpoint
  std::vector<size_t> order_;
  size_t next_ = 0;           // in order_
  size_t left_in_round_ = 0;  // endpoints that this round has not tried yet
  bool resting_ = false;      // between two rounds
  std::minstd_rand random_;
  absl::Duration rest_;  // how long the next rest is
  std::vector<Attempt> attempts_;
  std::shared_ptr<Connection> current_;
  bool replacing_ = false;  // current_ is distrusted; the attempts are for its successor
  bool closed_ = false;
};

}  // namespace fleet::store::etcd
