#pragma once

// One unary request: waits for a connection, is sent, and sent again where that is harmless. Each
// lives from Start() until it is answered, owned by the client; all with the client's mutex held.

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_unary_call.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "store/etcd/client.h"
#include "store/etcd/connector.h"
#include "store/etcd/tag.h"

namespace fleet::store::etcd {

class Unary : public Tag {
 public:
  // `repeatable`: doing it twice does no harm, so an unclear outcome is resolved by sending it
  // again. `what` is for error messages ("reading a range").
  Unary(Client* client, std::string_view what, bool repeatable);

  void Start();
  // The store is being closed. True if its tag is still to come, otherwise it may be destroyed.
  bool Abandon();
  void Done(bool ok) final;

 protected:
  // Sends the request over `connection`; `this` is the tag of its end.
  virtual void Send(Connection& connection, grpc::ClientContext& context) = 0;
  virtual const grpc::Status& status() const = 0;
  virtual void Fail(absl::Status status) = 0;
  virtual void Succeed() = 0;

  Client* const client_;

 private:
  void Connected(absl::StatusOr<std::shared_ptr<Connection>> connection);
  void End(const absl::Status& status);

  const std::string_view what_;
  const bool repeatable_;
  absl::Duration deadline_;  // MonotonicNow()
  absl::Duration sent_;
  bool logged_in_again_ = false;
  bool under_way_ = false;
  std::string token_;  // what the request was sent with
  std::shared_ptr<Connection> connection_;
  std::unique_ptr<grpc::ClientContext> context_;
};

template <typename Request, typename Response>
class UnaryOf final : public Unary {
 public:
  using Reader = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>>;
  using Sender = Reader (*)(Connection&, grpc::ClientContext*, const Request&,
                            grpc::CompletionQueue*);

  UnaryOf(Client* client, std::string_view what, bool repeatable, Sender sender, Request request,
          Reply<Response> reply)
      : Unary(client, what, repeatable),
        sender_(sender),
        request_(std::move(request)),
        reply_(std::move(reply)) {}

 protected:
  void Send(Connection& connection, grpc::ClientContext& context) override {
    response_.Clear();
    status_ = grpc::Status();
    reader_ = sender_(connection, &context, request_, client_->queue());
    reader_->Finish(&response_, &status_, this);
  }
  const grpc::Status& status() const override { return status_; }
  void Fail(absl::Status status) override { reply_(std::move(status)); }
  void Succeed() override { reply_(std::move(response_)); }

 private:
  const Sender sender_;
  const Request request_;
  Reply<Response> reply_;
  Reader reader_;
  Response response_;
  grpc::Status status_;
};

}  // namespace fleet::store::etcd
