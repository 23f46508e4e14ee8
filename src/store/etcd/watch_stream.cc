#include "store/etcd/watch_stream.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "store/etcd/convert.h"
#include "store/etcd/status_map.h"

namespace fleet::store::etcd {

WatchStream::WatchStream(Client* client, Client::WatchId id,
                         etcdserverpb::WatchCreateRequest request, Reply<WatchBatch> on_batch)
    : client_(client), id_(id), on_batch_(std::move(on_batch)) {
  request.set_progress_notify(true);
  *request_.mutable_create_request() = std::move(request);
}

void WatchStream::Start() {
  waiter_ = client_->WhenConnected(client_->timeout(),
                                   [this](absl::StatusOr<std::shared_ptr<Connection>> connection) {
                                     waiter_ = 0;
                                     Open(std::move(connection));
                                   });
}

void WatchStream::Open(absl::StatusOr<std::shared_ptr<Connection>> connection) {
  if (!connection.ok()) {
    End(absl::Status(connection.status().code(),
                     absl::StrCat("watching: ", connection.status().message())));
    client_->Remove(this);
    return;
  }
  connection_ = *std::move(connection);
  context_ = std::make_unique<grpc::ClientContext>();
  client_->Prepare(*context_);
  token_ = client_->token();
  broken_ = false;
  open_again_ = false;
  stream_ = connection_->watch->PrepareAsyncWatch(context_.get(), client_->queue());
  ++operations_;
  stream_->StartCall(&started_);
  creation_timer_ = client_->timers().Add(client_->timeout(), [this] {
    creation_timer_ = 0;
    const std::string why =
        absl::StrCat("no answer within ", absl::FormatDuration(client_->timeout()));
    client_->connector().Distrust(*connection_, why);
    End(absl::UnavailableError(absl::StrCat("watching at etcd ", connection_->url, ": ", why)));
    Break();
  });
}

void WatchStream::Cancel() {
  on_batch_ = nullptr;
  if (operations_ > 0) {
    Break();
    return;
  }
  client_->StopWaiting(waiter_);
  client_->Remove(this);
}

void WatchStream::EndUnlessAt(const Connection* current) {
  if (operations_ == 0 || broken_ || connection_.get() == current) return;
  End(absl::UnavailableError(
      absl::StrCat("watching at etcd ", connection_->url, ": another member is used now")));
  Break();
}

bool WatchStream::Abandon() {
  on_batch_ = nullptr;
  if (operations_ > 0) Break();
  return operations_ > 0;
}

void WatchStream::Break() {
  broken_ = true;
  context_->TryCancel();
}

void WatchStream::End(const absl::Status& status) {
  client_->timers().Cancel(std::exchange(creation_timer_, 0));
  if (on_batch_ == nullptr) return;
  auto on_batch = std::exchange(on_batch_, nullptr);
  on_batch(status);
}

void WatchStream::Started(bool ok) {
  --operations_;
  if (!ok || broken_) {
    broken_ = true;
    OperationEnded();
    return;
  }
  operations_ += 2;
  stream_->Write(request_, &written_);
  stream_->Read(&response_, &read_);
}

void WatchStream::Written(bool ok) {
  --operations_;
  if (!ok) Break();
  if (broken_) OperationEnded();
}

void WatchStream::Read(bool ok) {
  --operations_;
  if (ok && !broken_) {
    client_->connector().Heard(*connection_);
    if (response_.created() && !response_.canceled()) Created();
    if (response_.canceled()) {
      Canceled();
    } else if (!response_.created() || response_.events_size() > 0) {
      Deliver();
    }
  } else {
    broken_ = true;
  }
  if (broken_) {
    OperationEnded();
    return;
  }
  ++operations_;
  stream_->Read(&response_, &read_);
}

void WatchStream::Created() {
  client_->timers().Cancel(std::exchange(creation_timer_, 0));
  // A member may lag behind what we have seen from another. But if the cluster as a whole is behind
  // it, it was restored from a backup, and the watch would wait for a past that never comes back.
  const int64_t from = request_.create_request().start_revision();
  if (response_.header().revision() + 1 >= from) return;
  client_->ReadRevision(
      [client = client_, id = id_, from](absl::StatusOr<etcdserverpb::RangeResponse> read) {
        WatchStream* const self = client->FindWatch(id);
        if (self == nullptr) return;
        if (read.ok() && read->header().revision() + 1 >= from) return;
        self->End(read.ok() ? absl::OutOfRangeError(absl::StrCat(
                                  "watching from revision ", from, ": etcd is only at ",
                                  read->header().revision(), ", it was restored from a backup"))
                            : absl::UnavailableError(read.status().message()));
        self->Break();
      });
}

void WatchStream::Canceled() {
  const std::string& reason = response_.cancel_reason();
  const bool denied = absl::StrContains(reason, "permission denied");
  const bool token = absl::StrContains(reason, "auth token");
  if (response_.compact_revision() > 0) {
    End(absl::OutOfRangeError(
        absl::StrCat("watching from revision ", request_.create_request().start_revision(),
                     ": etcd has compacted everything up to ", response_.compact_revision())));
  } else if ((denied || token) && client_->has_login() && !logged_in_again_) {
    // etcd 3.4 says "permission denied" to a watch with an outdated token, too.
    logged_in_again_ = true;
    open_again_ = true;
    client_->ForgetToken(token_);
  } else {
    const std::string message = absl::StrCat("watching at etcd ", connection_->url, ": ",
                                             reason.empty() ? "etcd cancelled the watch" : reason);
    End(denied  ? absl::PermissionDeniedError(message)
        : token ? absl::UnauthenticatedError(message)
                : absl::UnavailableError(message));
  }
  Break();
}

void WatchStream::Deliver() {
  WatchBatch batch;
  batch.revision = response_.header().revision();
  batch.events.reserve(static_cast<size_t>(response_.events_size()));
  for (mvccpb::Event& event : *response_.mutable_events()) {
    batch.events.push_back(
        {event.type() == mvccpb::Event::DELETE ? Event::Type::kDelete : Event::Type::kPut,
         TakeKeyValue(*event.mutable_kv())});
  }
  // While the watch catches up, the header is ahead of the events.
  if (!batch.events.empty()) batch.revision = batch.events.back().kv.mod_revision;
  if (on_batch_ != nullptr) on_batch_(std::move(batch));
}

void WatchStream::OperationEnded() {
  if (operations_ > 0) return;
  if (client_->closing()) {
    client_->Remove(this);
    return;
  }
  ++operations_;
  stream_->Finish(&status_, &finished_);
}

void WatchStream::Finished(bool /*ok*/) {
  --operations_;
  if (client_->closing()) {
    client_->Remove(this);
    return;
  }
  client_->timers().Cancel(std::exchange(creation_timer_, 0));
  if (IsMemberTrouble(status_)) {
    client_->connector().Distrust(*connection_, status_.error_message());
  }
  stream_.reset();
  if (open_again_ && on_batch_ != nullptr) {
    Start();
    return;
  }
  absl::Status error = FromGrpc(status_, "watching", connection_->url);
  if (error.ok()) error = absl::UnavailableError("watching: etcd ended the stream");
  End(error);
  client_->Remove(this);
}

}  // namespace fleet::store::etcd
