#include "store/etcd/keepalive_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "store/etcd/status_map.h"

namespace fleet::store::etcd {

KeepAliveStream::KeepAliveStream(Client* client, std::shared_ptr<Connection> connection)
    : client_(client), connection_(std::move(connection)) {
  client_->Prepare(context_);
  stream_ = connection_->lease->PrepareAsyncLeaseKeepAlive(&context_, client_->queue());
  ++operations_;
  stream_->StartCall(&started_);
}

bool KeepAliveStream::CanUse(const Connection& connection) const {
  return !broken_ && connection_.get() == &connection;
}

void KeepAliveStream::Add(LeaseId lease, absl::Duration timeout, Reply<absl::Duration> reply) {
  const uint64_t id = ++last_id_;
  const Timers::Id timer = client_->timers().Add(timeout, [this, id] { TimedOut(id); });
  requests_.push_back({id, lease, timer, std::move(reply)});
  WriteNext();
}

void KeepAliveStream::Retire() {
  retired_ = true;
  if (requests_.empty()) Break();
}

bool KeepAliveStream::Abandon() {
  Break();
  return operations_ > 0;
}

void KeepAliveStream::Break() {
  broken_ = true;
  context_.TryCancel();
}

void KeepAliveStream::WriteNext() {
  if (!open_ || writing_ || broken_ || sent_ == requests_.size()) return;
  out_.set_id(requests_[sent_].lease);
  ++sent_;
  writing_ = true;
  ++operations_;
  stream_->Write(out_, &written_);
}

void KeepAliveStream::Started(bool ok) {
  --operations_;
  if (!ok || broken_) {
    broken_ = true;
    OperationEnded();
    return;
  }
  open_ = true;
  ++operations_;
  stream_->Read(&in_, &read_);
  WriteNext();
}

void KeepAliveStream::Written(bool ok) {
  --operations_;
  writing_ = false;
  if (!ok || broken_) {
    broken_ = true;
    OperationEnded();
    return;
  }
  WriteNext();
}

void KeepAliveStream::Read(bool ok) {
  --operations_;
  if (!ok || broken_) {
    broken_ = true;
    OperationEnded();
    return;
  }
  client_->connector().Heard(*connection_);
  auto end = requests_.begin() + static_cast<std::ptrdiff_t>(sent_);
  auto it = std::find_if(requests_.begin(), end,
                         [&](const Request& request) { return request.lease == in_.id(); });
  if (it != end) {
    client_->timers().Cancel(it->timer);
    if (in_.ttl() > 0) {
      it->reply(absl::Seconds(in_.ttl()));
    } else {
      it->reply(absl::NotFoundError(absl::StrCat("lease ", in_.id(), " has ended")));
    }
    requests_.erase(it);
    --sent_;
  }
  ++operations_;
  stream_->Read(&in_, &read_);
  if (retired_ && requests_.empty()) Break();
}

void KeepAliveStream::TimedOut(uint64_t id) {
  auto it = std::find_if(requests_.begin(), requests_.end(),
                         [&](const Request& request) { return request.id == id; });
  if (it == requests_.end()) return;
  const std::string why =
      absl::StrCat("no answer within ", absl::FormatDuration(client_->timeout()));
  it->reply(absl::DeadlineExceededError(
      absl::StrCat("keeping a lease alive at etcd ", connection_->url, ": ", why)));
  if (static_cast<size_t>(it - requests_.begin()) < sent_) --sent_;
  requests_.erase(it);
  // Answers come in the order of the requests: if one is late, so are all behind it.
  client_->connector().Distrust(*connection_, why);
  Break();
}

void KeepAliveStream::OperationEnded() {
  if (operations_ > 0) return;
  if (client_->closing()) {
    client_->Remove(this);
    return;
  }
  ++operations_;
  stream_->Finish(&status_, &finished_);
}

void KeepAliveStream::Finished(bool /*ok*/) {
  --operations_;
  if (!client_->closing()) {
    if (IsMemberTrouble(status_)) {
      client_->connector().Distrust(*connection_, status_.error_message());
    }
    absl::Status error = FromGrpc(status_, "keeping a lease alive", connection_->url);
    if (error.ok()) error = absl::UnavailableError("keeping a lease alive: etcd ended the stream");
    FailAll(error);
  }
  client_->Remove(this);
}

void KeepAliveStream::FailAll(const absl::Status& status) {
  for (Request& request : requests_) {
    client_->timers().Cancel(request.timer);
    request.reply(status);
  }
  requests_.clear();
  sent_ = 0;
}

}  // namespace fleet::store::etcd
