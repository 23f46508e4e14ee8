#include "store/etcd/unary.h"

#include "absl/strings/str_cat.h"
#include "fmt/core.h"
#include "store/etcd/status_map.h"
#include "store/etcd/timers.h"

namespace fleet::store::etcd {
namespace {

// How long a request that a member refused for want of a leader waits before it is sent again.
constexpr absl::Duration kRetryDelay = absl::Milliseconds(100);

}  // namespace

Unary::Unary(Client* client, std::string_view what, bool repeatable)
    : client_(client),
      what_(what),
      repeatable_(repeatable),
      deadline_(MonotonicNow() + client->timeout()) {}

void Unary::Start() {
  client_->WhenConnected(deadline_ - MonotonicNow(),
                         [this](absl::StatusOr<std::shared_ptr<Connection>> connection) {
                           Connected(std::move(connection));
                         });
}

void Unary::Connected(absl::StatusOr<std::shared_ptr<Connection>> connection) {
  if (!connection.ok()) {
    End(absl::Status(connection.status().code(),
                     fmt::format("{}: {}", what_, std::string(connection.status().message()))));
    return;
  }
  connection_ = *std::move(connection);
  // The reader of an earlier attempt lives in its context's arena: that goes last.
  const auto earlier = std::exchange(context_, std::make_unique<grpc::ClientContext>());
  sent_ = MonotonicNow();
  context_->set_deadline(After(deadline_ - sent_));
  client_->Prepare(*context_);
  token_ = client_->token();
  under_way_ = true;
  Send(*connection_, *context_);
}

bool Unary::Abandon() {
  if (under_way_) context_->TryCancel();
  return under_way_;
}

void Unary::Done(bool /*ok*/) {
  under_way_ = false;
  if (client_->closing()) {
    client_->Remove(this);
    return;
  }
  Connector& connector = client_->connector();
  const grpc::Status& got = status();
  if (got.ok()) {
    connector.Heard(*connection_);
    Succeed();
    client_->Remove(this);
    return;
  }
  if (got.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    if (connection_->last_heard < sent_) {
      connector.Distrust(*connection_, absl::StrCat("no answer within ",
                                                    absl::FormatDuration(client_->timeout())));
    }
    End(absl::DeadlineExceededError(fmt::format("{} at etcd {}: no answer within {}{}", what_,
                                                connection_->url,
                                                absl::FormatDuration(client_->timeout()),
                                                repeatable_ ? "" : " (it may have taken effect)")));
    return;
  }
  const bool member_trouble = IsMemberTrouble(got);
  if (member_trouble) {
    connector.Distrust(*connection_, got.error_message());
  } else if (got.error_code() != grpc::StatusCode::UNAVAILABLE) {
    connector.Heard(*connection_);
  }
  if (IsTokenTrouble(got) && client_->has_login() && !logged_in_again_) {
    logged_in_again_ = true;
    client_->ForgetToken(token_);
    Start();
    return;
  }
  const absl::Status error = FromGrpc(got, what_, connection_->url);
  const bool unseen = IsRefusedUnseen(got);
  const bool time_left = MonotonicNow() + kRetryDelay < deadline_;
  if (absl::IsUnavailable(error) && (unseen || repeatable_) && time_left) {
    client_->timers().Add(kRetryDelay, [this] { Start(); });
    return;
  }
  End(unseen || repeatable_ ? error : OutcomeUnknown(error));
}

void Unary::End(const absl::Status& status) {
  Fail(status);
  client_->Remove(this);
}

}  // namespace fleet::store::etcd
