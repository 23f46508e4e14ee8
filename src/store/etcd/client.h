#pragma once

// The asynchronous etcd client that all handles of one store share.
//
// One mutex guards everything here and below (connector, streams, timers); one thread is parked in
// the completion queue and runs each tag with the mutex held. Nothing here calls back into a loop:
// answers go to `Reply` functions, which must only hand them on (see mailbox.h). Any thread may
// call the public functions.

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "etcd.pb.h"
#include "store/etcd/connector.h"
#include "store/etcd/etcd_store.h"
#include "store/etcd/timers.h"

namespace fleet::store::etcd {

class KeepAliveStream;
class Unary;
class WatchStream;

template <typename T>
using Reply = absl::AnyInvocable<void(absl::StatusOr<T>)>;

class Client {
 public:
  using WatchId = uint64_t;
  using WaiterId = uint64_t;  // never 0

  static absl::StatusOr<std::shared_ptr<Client>> Make(EtcdOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Range(etcdserverpb::RangeRequest request, Reply<etcdserverpb::RangeResponse> reply);
  void Txn(etcdserverpb::TxnRequest request, Reply<etcdserverpb::TxnResponse> reply);
  void LeaseGrant(etcdserverpb::LeaseGrantRequest request,
                  Reply<etcdserverpb::LeaseGrantResponse> reply);
  void LeaseRevoke(etcdserverpb::LeaseRevokeRequest request,
                   Reply<etcdserverpb::LeaseRevokeResponse> reply);
  void KeepAlive(LeaseId lease, Reply<absl::Duration> reply);
  WatchId StartWatch(etcdserverpb::WatchCreateRequest request, Reply<WatchBatch> on_batch);
  void EndWatch(WatchId id);

  // --- For the calls and streams, which have the mutex. ---

  grpc::CompletionQueue* queue() { return &queue_; }
  Timers& timers() { return timers_; }
  Connector& connector() { return connector_; }
  absl::Duration timeout() const { return options_.request_timeout; }
  bool closing() const { return closing_; }

  using Connected = absl::AnyInvocable<void(absl::StatusOr<std::shared_ptr<Connection>>)>;
  // Calls `use` with a connection on which we are logged in: at once if there is one (and returns
  // 0), later otherwise; with UNAVAILABLE after `timeout`, or with the reason that login failed.
  WaiterId WhenConnected(absl::Duration timeout, Connected use);
  void StopWaiting(WaiterId id);

  // Adds what each request carries: the token, and that its member must have a leader.
  void Prepare(grpc::ClientContext& context) const;
  const std::string& token() const { return token_; }
  // A request that carried `token` was refused for it: log in again before the next one.
  void ForgetToken(const std::string& token);
  bool has_login() const { return !options_.username.empty(); }

  // A linearizable read, for a watch that has to know where the store is.
  void ReadRevision(Reply<etcdserverpb::RangeResponse> reply);
  // Null if that watch has ended.
  WatchStream* FindWatch(WatchId id);

  // The object is done, and is destroyed.
  void Remove(Unary* call);
  void Remove(KeepAliveStream* stream);
  void Remove(WatchStream* stream);

 private:
  class Login;
  struct Waiter {
    WaiterId id;
    Timers::Id timer;
    Connected use;
  };

  Client(EtcdOptions options, std::vector<Endpoint> endpoints);
  void Start(std::unique_ptr<Unary> call);
  void Run();
  void OnConnected();
  void Forward();
  void StartLogin();
  void LoginEnded(const grpc::Status& status, const std::string& token,
                  const std::shared_ptr<Connection>& connection);
  bool Usable() const;

  const EtcdOptions options_;
  absl::Mutex mutex_;
  grpc::CompletionQueue queue_;
  bool closing_ = false;
  Timers timers_;
  Connector connector_;

  std::deque<Waiter> waiters_;
  uint64_t last_id_ = 0;

  std::string token_;
  bool no_login_needed_ = false;  // none configured, or etcd says that it does not ask for one
  std::unique_ptr<Login> login_;  // under way

  absl::flat_hash_map<Unary*, std::unique_ptr<Unary>> calls_;
  KeepAliveStream* keepalive_ = nullptr;  // the one that takes new keep-alives
  absl::flat_hash_map<KeepAliveStream*, std::unique_ptr<KeepAliveStream>> keepalives_;
  absl::flat_hash_map<WatchStream*, std::unique_ptr<WatchStream>> streams_;
  absl::flat_hash_map<WatchId, WatchStream*> watches_;
  std::thread thread_;
};

}  // namespace fleet::store::etcd
