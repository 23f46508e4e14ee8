#include "store/etcd/connector.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "fmt/core.h"
#include "store/etcd/tag.h"

namespace fleet::store::etcd {
namespace {

constexpr absl::Duration kHedgeAfter = absl::Seconds(1);
constexpr absl::Duration kFirstRest = absl::Milliseconds(100);
constexpr absl::Duration kLongestRest = absl::Seconds(1);

absl::StatusOr<std::string> ReadFile(const std::string& path, std::string_view what) {
  if (path.empty()) return std::string();
  const std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (!file || !(content << file.rdbuf())) {
    return absl::InvalidArgumentError(
        fmt::format("cannot read {} {}: check that it exists and may be read", what, path));
  }
  return content.str();
}

EtcdTlsFiles TlsFilesOf(const EtcdOptions& options) {
  return options.tls_files ? options.tls_files()
                           : EtcdTlsFiles{options.cafile, options.certfile, options.keyfile};
}

absl::StatusOr<grpc::SslCredentialsOptions> ReadCredentials(const EtcdTlsFiles& files) {
  if (files.certfile.empty() != files.keyfile.empty()) {
    return absl::InvalidArgumentError(
        "etcd_certfile and etcd_keyfile go together: one of them is missing");
  }
  grpc::SslCredentialsOptions ssl;
  ASSIGN_OR_RETURN(ssl.pem_root_certs, ReadFile(files.cafile, "etcd_cafile"));
  ASSIGN_OR_RETURN(ssl.pem_cert_chain, ReadFile(files.certfile, "etcd_certfile"));
  ASSIGN_OR_RETURN(ssl.pem_private_key, ReadFile(files.keyfile, "etcd_keyfile"));
  return ssl;
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(-1);
  args.SetMaxSendMessageSize(-1);
  // gRPC takes the minimum reconnect back-off as the connect time-out.
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // A peer that vanished is noticed within 13 s, also by a stream on which nothing happens.
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // An attempt must not inherit the back-off of an earlier one to the same address.
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return args;
}

bool Consume(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

absl::StatusOr<Endpoint> ParseEndpoint(const std::string& url) {
  const absl::Status bad = absl::InvalidArgumentError(absl::StrCat(
      "etcd endpoint \"", url, "\" is not of the form http://host:port or https://host:port"));
  std::string_view rest = url;
  Endpoint endpoint{.url = url};
  if (Consume(rest, "https://")) {
    endpoint.tls = true;
  } else if (!Consume(rest, "http://")) {
    return bad;
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const size_t colon = rest.rfind(':');
  if (rest.empty() || colon == 0 || rest.find_first_of("/?#@, ") != std::string_view::npos) {
    return bad;
  }
  const bool has_port = colon != std::string_view::npos && rest.back() != ']';
  const std::string_view port = has_port ? rest.substr(colon + 1) : "2379";
  if (port.empty() || port.find_first_not_of("0123456789") != std::string_view::npos) return bad;
  endpoint.target = fmt::format("dns:///{}:{}", has_port ? rest.substr(0, colon) : rest, port);
  return endpoint;
}

absl::Status CheckCredentials(const EtcdOptions& options) {
  return ReadCredentials(TlsFilesOf(options)).status();
}

// Waits for a change of a channel's state. It must not keep the channel alive: what ends the wait
// is the channel's end.
class Connector::StateWatch final : public Tag {
 public:
  StateWatch(Connector* connector, const std::shared_ptr<Connection>& connection)
      : connector_(connector), connection_(connection) {}

  static void Start(Connector* connector, const std::shared_ptr<Connection>& connection,
                    grpc_connectivity_state seen) {
    auto watch = std::make_unique<StateWatch>(connector, connection);
    connection->channel->NotifyOnStateChange(seen, gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                             connector->queue_, watch.release());
  }

  void Done(bool /*ok*/) override {
    const std::unique_ptr<StateWatch> self(this);
    auto connection = connection_.lock();
    if (!connection || connector_->closed_) return;
    const bool used = connection == connector_->current_ || connector_->IsAttempt(connection.get());
    if (!used) return;
    const grpc_connectivity_state state = connection->channel->GetState(false);
    Start(connector_, connection, state);
    connector_->StateChanged(connection, state);
  }

 private:
  Connector* connector_;
  std::weak_ptr<Connection> connection_;
};

// gRPC tells the cause of a failed connection only in the error of a call that it fails.
class Connector::Probe final : public Tag {
 public:
  static void Start(Connector* connector, const std::shared_ptr<Connection>& connection) {
    auto probe = std::make_unique<Probe>(connector, connection);
    probe->context_.set_deadline(After(absl::Seconds(1)));
    probe->reader_ = etcdserverpb::Maintenance::NewStub(connection->channel)
                         ->AsyncStatus(&probe->context_, {}, connector->queue_);
    Probe* const tag = probe.release();
    tag->reader_->Finish(&tag->response_, &tag->status_, tag);
  }

  Probe(Connector* connector, const std::shared_ptr<Connection>& connection)
      : connector_(connector), endpoint_(connection->endpoint) {}

  void Done(bool /*ok*/) override {
    const std::unique_ptr<Probe> self(this);
    if (!status_.ok() && !connector_->closed_) {
      connector_->CauseKnown(endpoint_, status_.error_message());
    }
  }

 private:
  Connector* connector_;
  size_t endpoint_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<etcdserverpb::StatusResponse>> reader_;
  etcdserverpb::StatusResponse response_;
  grpc::Status status_;
};

Connector::Connector(const EtcdOptions& options, std::vector<Endpoint> endpoints,
                     grpc::CompletionQueue* queue, Timers* timers,
                     absl::AnyInvocable<void()> on_ready, absl::AnyInvocable<bool()> wanted)
    : options_(options),
      endpoints_(std::move(endpoints)),
      queue_(queue),
      timers_(timers),
      on_ready_(std::move(on_ready)),
      wanted_(std::move(wanted)),
      causes_(endpoints_.size()),
      random_(std::random_device()()),
      rest_(kFirstRest) {
  for (size_t i = 0; i < endpoints_.size(); ++i) order_.push_back(i);
  std::shuffle(order_.begin(), order_.end(), random_);
}

Connector::~Connector() = default;

void Connector::Close() {
  closed_ = true;
  attempts_.clear();
  current_.reset();
}

void Connector::Want() {
  if (closed_ || current_ || resting_ || !attempts_.empty()) return;
  left_in_round_ = order_.size();
  TryNext();
}

void Connector::TryNext() {
  if (left_in_round_ == 0) {
    if (!attempts_.empty()) return;
    if (replacing_) {  // there is no better one
      replacing_ = false;
      return;
    }
    resting_ = true;
    // Not all machines come at the same moment when etcd is back.
    const double jitter = std::uniform_real_distribution(0.75, 1.25)(random_);
    timers_->Add(rest_ * jitter, [this] {
      resting_ = false;
      if (wanted_()) Want();
    });
    rest_ = std::min(rest_ * 2, kLongestRest);
    return;
  }
  --left_in_round_;
  const size_t endpoint = order_[next_];
  next_ = (next_ + 1) % order_.size();
  auto connection = Open(endpoint);
  if (!connection) {
    TryNext();
    return;
  }
  const grpc_connectivity_state state = connection->channel->GetState(true);
  Attempt attempt{connection};
  if (left_in_round_ > 0) {
    attempt.hedge = timers_->Add(kHedgeAfter, [this] {
      if (left_in_round_ > 0 && !attempts_.empty()) TryNext();
    });
  }
  attempts_.push_back(std::move(attempt));
  StateWatch::Start(this, connection, state);
}

void Connector::StateChanged(const std::shared_ptr<Connection>& connection,
                             grpc_connectivity_state state) {
  if (connection == current_) {
    if (state == GRPC_CHANNEL_READY) return;
    // One that never answered counts as a failed attempt: it is not tried again at once.
    const bool answered = connection->last_heard > absl::ZeroDuration();
    SetCause(connection->endpoint,
             answered ? "the connection was lost" : "the connection was closed");
    current_.reset();
    const bool was_replacing = std::exchange(replacing_, false);
    if (was_replacing && !attempts_.empty()) return;
    if (answered) {
      if (wanted_()) Want();
    } else {
      left_in_round_ = 0;
      TryNext();
    }
    return;
  }
  if (state == GRPC_CHANNEL_READY) {
    for (const Attempt& attempt : attempts_) timers_->Cancel(attempt.hedge);
    attempts_.clear();
    replacing_ = false;
    current_ = connection;
    on_ready_();
  } else if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) {
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE) Probe::Start(this, connection);
    EndAttempt(connection.get());
    TryNext();
  }
}

bool Connector::IsAttempt(const Connection* connection) const {
  return std::any_of(attempts_.begin(), attempts_.end(), [&](const Attempt& attempt) {
    return attempt.connection.get() == connection;
  });
}

void Connector::EndAttempt(const Connection* connection) {
  std::erase_if(attempts_, [&](const Attempt& attempt) {
    if (attempt.connection.get() != connection) return false;
    timers_->Cancel(attempt.hedge);
    return true;
  });
}

void Connector::CauseKnown(size_t endpoint, const std::string& cause) {
  // "failed to connect to all addresses; last error: UNKNOWN: Failed to connect to remote host:
  // Connection refused": the beginning says nothing.
  std::string_view text = cause;
  const size_t last = text.find("last error: ");
  if (last != std::string_view::npos) text.remove_prefix(last + 12);
  Consume(text, "UNKNOWN: ");
  Consume(text, "UNAVAILABLE: ");
  SetCause(endpoint, text);
}

void Connector::SetCause(size_t endpoint, std::string_view cause) {
  causes_[endpoint] = std::string(cause);
  if (!endpoints_[endpoint].tls) return;
  const auto says = [&](std::string_view text) {
    return cause.find(text) != std::string_view::npos;
  };
  if (says("certificate verify failed")) {
    causes_[endpoint] += "; has the authority in etcd_cafile signed etcd's certificate?";
  } else if (says("read failed") || says("closed") || says("reset by peer")) {
    // What a server's refusal of our certificate looks like from here.
    causes_[endpoint] += "; does etcd accept this client certificate?";
  }
}

void Connector::Heard(Connection& connection) {
  connection.last_heard = MonotonicNow();
  causes_[connection.endpoint].clear();
  rest_ = kFirstRest;
}

void Connector::Distrust(const Connection& connection, const std::string& why) {
  if (closed_ || current_.get() != &connection) return;
  causes_[connection.endpoint] = why;
  if (endpoints_.size() == 1 || replacing_) return;
  replacing_ = true;
  // next_ is the one after the endpoint that is in use, unless others were tried beside it.
  left_in_round_ = order_.size() - 1;
  if (order_[next_] == connection.endpoint) next_ = (next_ + 1) % order_.size();
  TryNext();
}

std::string Connector::Describe() const {
  std::vector<std::string> parts;
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    parts.push_back(
        absl::StrCat(endpoints_[i].url, " (", causes_[i].empty() ? "no answer" : causes_[i], ")"));
  }
  return absl::StrJoin(parts, ", ");
}

std::shared_ptr<Connection> Connector::Open(size_t endpoint) {
  const Endpoint& chosen = endpoints_[endpoint];
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (chosen.tls) {
    auto ssl = ReadCredentials(TlsFilesOf(options_));
    if (!ssl.ok()) {
      causes_[endpoint] = std::string(ssl.status().message());
      return nullptr;
    }
    credentials = grpc::SslCredentials(*ssl);
  } else {
    credentials = grpc::InsecureChannelCredentials();
  }
  auto connection = std::make_shared<Connection>();
  connection->endpoint = endpoint;
  connection->url = chosen.url;
  connection->channel = grpc::CreateCustomChannel(chosen.target, credentials, Arguments());
  connection->kv = etcdserverpb::KV::NewStub(connection->channel);
  connection->watch = etcdserverpb::Watch::NewStub(connection->channel);
  connection->lease = etcdserverpb::Lease::NewStub(connection->channel);
  connection->auth = etcdserverpb::Auth::NewStub(connection->channel);
  return connection;
}

}  // namespace fleet::store::etcd

namespace fleet::store {

absl::Status CheckEtcdTlsFiles(const EtcdTlsFiles& files) {
  return etcd::ReadCredentials(files).status();
}

}  // namespace fleet::store
