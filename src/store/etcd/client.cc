#include "store/etcd/client.h"

#include <grpc/support/log.h>
#include <pthread.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "store/etcd/keepalive_stream.h"
#include "store/etcd/status_map.h"
#include "store/etcd/unary.h"
#include "store/etcd/watch_stream.h"

namespace fleet::store::etcd {
namespace {

constexpr absl::Duration kLoginRetryDelay = absl::Milliseconds(500);

// gRPC would write to stderr what our errors say better.
void QuietenGrpc() {
  gpr_set_log_function([](gpr_log_func_args* args) { log::Debug("gRPC: {}", args->message); });
}

}  // namespace

// Gets a token for the user name and password.
class Client::Login final : public Tag {
 public:
  Login(Client* client, std::shared_ptr<Connection> connection)
      : client_(client), connection_(std::move(connection)) {
    etcdserverpb::AuthenticateRequest request;
    request.set_name(client->options_.username);
    request.set_password(client->options_.password);
    context_.set_deadline(After(client->timeout()));
    reader_ = connection_->auth->AsyncAuthenticate(&context_, request, client->queue());
    reader_->Finish(&response_, &status_, this);
  }
  void Cancel() { context_.TryCancel(); }
  void Done(bool /*ok*/) override {
    const std::unique_ptr<Login> self = std::move(client_->login_);
    if (!client_->closing()) client_->LoginEnded(status_, response_.token(), connection_);
  }

 private:
  Client* client_;
  std::shared_ptr<Connection> connection_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<etcdserverpb::AuthenticateResponse>> reader_;
  etcdserverpb::AuthenticateResponse response_;
  grpc::Status status_;
};

absl::StatusOr<std::shared_ptr<Client>> Client::Make(EtcdOptions options) {
  if (options.endpoints.empty()) {
    return absl::InvalidArgumentError("no etcd endpoint is given (etcd_servers)");
  }
  if (options.request_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("etcd_request_timeout must be positive");
  }
  std::vector<Endpoint> endpoints;
  for (const std::string& url : options.endpoints) {
    ASSIGN_OR_RETURN(Endpoint endpoint, ParseEndpoint(url));
    endpoints.push_back(std::move(endpoint));
  }
  RETURN_IF_ERROR(CheckCredentials(options));
  QuietenGrpc();
  return std::shared_ptr<Client>(new Client(std::move(options), std::move(endpoints)));
}

Client::Client(EtcdOptions options, std::vector<Endpoint> endpoints)
    : options_(std::move(options)),
      timers_(&queue_),
      connector_(
          options_, std::move(endpoints), &queue_, &timers_, [this] { OnConnected(); },
          [this] { return !waiters_.empty(); }),
      thread_([this] { Run(); }) {}

Client::~Client() {
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
    waiters_.clear();
    timers_.Close();
    connector_.Close();
    if (login_) login_->Cancel();
    // What has a tag in the queue is destroyed when that comes; everything else goes now, since the
    // channels must go for the queue to become empty.
    absl::erase_if(calls_, [](const auto& entry) { return !entry.second->Abandon(); });
    absl::erase_if(keepalives_, [](const auto& entry) { return !entry.second->Abandon(); });
    absl::erase_if(streams_, [](const auto& entry) { return !entry.second->Abandon(); });
  }
  queue_.Shutdown();
  thread_.join();
}

void Client::Run() {
  pthread_setname_np(pthread_self(), "fleet-etcd");
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    absl::MutexLock lock(&mutex_);
    static_cast<Tag*>(tag)->Done(ok);
  }
}

// --- Waiting for a connection ---

bool Client::Usable() const {
  return connector_.current() != nullptr && (!has_login() || no_login_needed_ || !token_.empty());
}

Client::WaiterId Client::WhenConnected(absl::Duration timeout, Connected use) {
  if (Usable() && waiters_.empty()) {
    use(connector_.current());
    return 0;
  }
  const WaiterId id = ++last_id_;
  const Timers::Id timer = timers_.Add(timeout, [this, id] {
    for (auto it = waiters_.begin(); it != waiters_.end(); ++it) {
      if (it->id != id) continue;
      Waiter waiter = std::move(*it);
      waiters_.erase(it);
      waiter.use(absl::UnavailableError(
          absl::StrCat("etcd cannot be reached: tried ", connector_.Describe())));
      return;
    }
  });
  waiters_.push_back({id, timer, std::move(use)});
  connector_.Want();
  StartLogin();
  return id;
}

void Client::StopWaiting(WaiterId id) {
  for (auto it = waiters_.begin(); it != waiters_.end(); ++it) {
    if (it->id != id) continue;
    timers_.Cancel(it->timer);
    waiters_.erase(it);
    return;
  }
}

// There is a new connection, or a new token: whoever waits may go on.
void Client::OnConnected() {
  for (const auto& [stream, owned] : streams_) stream->EndUnlessAt(connector_.current().get());
  Forward();
}

void Client::Forward() {
  StartLogin();
  while (Usable() && !waiters_.empty()) {
    Waiter waiter = std::move(waiters_.front());
    waiters_.pop_front();
    timers_.Cancel(waiter.timer);
    waiter.use(connector_.current());
  }
}

void Client::StartLogin() {
  if (Usable() || connector_.current() == nullptr || login_ || waiters_.empty()) return;
  login_ = std::make_unique<Login>(this, connector_.current());
}

void Client::LoginEnded(const grpc::Status& status, const std::string& token,
                        const std::shared_ptr<Connection>& connection) {
  if (status.ok()) {
    connector_.Heard(*connection);
    token_ = token;
    Forward();
    return;
  }
  if (absl::StrContains(status.error_message(), "authentication is not enabled")) {
    connector_.Heard(*connection);
    no_login_needed_ = true;
    Forward();
    return;
  }
  const absl::Status error =
      FromGrpc(status, absl::StrCat("logging in as ", options_.username), connection->url);
  if (absl::IsUnavailable(error) || absl::IsDeadlineExceeded(error)) {
    connector_.Distrust(*connection, std::string(error.message()));
    timers_.Add(kLoginRetryDelay, [this] { StartLogin(); });
    return;
  }
  // Refused: whoever waits now is told. The next request tries again.
  connector_.Heard(*connection);
  std::deque<Waiter> waiters = std::exchange(waiters_, {});
  for (Waiter& waiter : waiters) {
    timers_.Cancel(waiter.timer);
    waiter.use(error);
  }
}

void Client::ForgetToken(const std::string& token) {
  if (token_ != token) return;  // somebody has already logged in anew
  token_.clear();
  no_login_needed_ = false;
}

void Client::Prepare(grpc::ClientContext& context) const {
  // A member that is cut off from the others refuses instead of letting us wait.
  context.AddMetadata("hasleader", "true");
  if (!token_.empty()) context.AddMetadata("token", token_);
}

// --- Requests ---

void Client::Start(std::unique_ptr<Unary> call) {
  Unary* const raw = call.get();
  calls_.emplace(raw, std::move(call));
  raw->Start();
}

void Client::Range(etcdserverpb::RangeRequest request, Reply<etcdserverpb::RangeResponse> reply) {
  using Call = UnaryOf<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>;
  absl::MutexLock lock(&mutex_);
  Start(std::make_unique<Call>(
      this, "reading keys", true,
      [](Connection& connection, grpc::ClientContext* context, const auto& message, auto* queue) {
        return connection.kv->AsyncRange(context, message, queue);
      },
      std::move(request), std::move(reply)));
}

void Client::ReadRevision(Reply<etcdserverpb::RangeResponse> reply) {
  using Call = UnaryOf<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>;
  etcdserverpb::RangeRequest request;
  request.set_key(std::string(1, '\0'));
  Start(std::make_unique<Call>(
      this, "reading the revision", true,
      [](Connection& connection, grpc::ClientContext* context, const auto& message, auto* queue) {
        return connection.kv->AsyncRange(context, message, queue);
      },
      std::move(request), std::move(reply)));
}

void Client::Txn(etcdserverpb::TxnRequest request, Reply<etcdserverpb::TxnResponse> reply) {
  using Call = UnaryOf<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>;
  const bool writes = request.success_size() > 0;
  absl::MutexLock lock(&mutex_);
  Start(std::make_unique<Call>(
      this, "committing", !writes,
      [](Connection& connection, grpc::ClientContext* context, const auto& message, auto* queue) {
        return connection.kv->AsyncTxn(context, message, queue);
      },
      std::move(request), std::move(reply)));
}

void Client::LeaseGrant(etcdserverpb::LeaseGrantRequest request,
                        Reply<etcdserverpb::LeaseGrantResponse> reply) {
  using Call = UnaryOf<etcdserverpb::LeaseGrantRequest, etcdserverpb::LeaseGrantResponse>;
  absl::MutexLock lock(&mutex_);
  // Repeated, it may leave a lease behind that nobody knows; that one ends by itself.
  Start(std::make_unique<Call>(
      this, "asking for a lease", true,
      [](Connection& connection, grpc::ClientContext* context, const auto& message, auto* queue) {
        return connection.lease->AsyncLeaseGrant(context, message, queue);
      },
      std::move(request), std::move(reply)));
}

void Client::LeaseRevoke(etcdserverpb::LeaseRevokeRequest request,
                         Reply<etcdserverpb::LeaseRevokeResponse> reply) {
  using Call = UnaryOf<etcdserverpb::LeaseRevokeRequest, etcdserverpb::LeaseRevokeResponse>;
  absl::MutexLock lock(&mutex_);
  Start(std::make_unique<Call>(
      this, "revoking a lease", true,
      [](Connection& connection, grpc::ClientContext* context, const auto& message, auto* queue) {
        return connection.lease->AsyncLeaseRevoke(context, message, queue);
      },
      std::move(request), std::move(reply)));
}

void Client::KeepAlive(LeaseId lease, Reply<absl::Duration> reply) {
  absl::MutexLock lock(&mutex_);
  const absl::Duration deadline = MonotonicNow() + timeout();
  WhenConnected(timeout(), [this, lease, deadline, reply = std::move(reply)](
                               absl::StatusOr<std::shared_ptr<Connection>> connection) mutable {
    if (!connection.ok()) {
      reply(absl::Status(connection.status().code(),
                         absl::StrCat("keeping a lease alive: ", connection.status().message())));
      return;
    }
    if (keepalive_ != nullptr && !keepalive_->CanUse(**connection)) {
      keepalive_->Retire();
      keepalive_ = nullptr;
    }
    if (keepalive_ == nullptr) {
      auto stream = std::make_unique<KeepAliveStream>(this, *connection);
      keepalive_ = stream.get();
      keepalives_.emplace(keepalive_, std::move(stream));
    }
    keepalive_->Add(lease, deadline - MonotonicNow(), std::move(reply));
  });
}

Client::WatchId Client::StartWatch(etcdserverpb::WatchCreateRequest request,
                                   Reply<WatchBatch> on_batch) {
  absl::MutexLock lock(&mutex_);
  const WatchId id = ++last_id_;
  auto stream = std::make_unique<WatchStream>(this, id, std::move(request), std::move(on_batch));
  WatchStream* const raw = stream.get();
  watches_.emplace(id, raw);
  streams_.emplace(raw, std::move(stream));
  raw->Start();
  return id;
}

void Client::EndWatch(WatchId id) {
  absl::MutexLock lock(&mutex_);
  if (WatchStream* const stream = FindWatch(id)) stream->Cancel();
}

WatchStream* Client::FindWatch(WatchId id) {
  auto it = watches_.find(id);
  return it == watches_.end() ? nullptr : it->second;
}

void Client::Remove(Unary* call) { calls_.erase(call); }

void Client::Remove(KeepAliveStream* stream) {
  if (keepalive_ == stream) keepalive_ = nullptr;
  keepalives_.erase(stream);
}

void Client::Remove(WatchStream* stream) {
  watches_.erase(stream->id());
  streams_.erase(stream);
}

}  // namespace fleet::store::etcd
