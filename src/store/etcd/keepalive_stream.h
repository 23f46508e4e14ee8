#pragma once

// The stream that carries all keep-alives of this process, for as long as its connection lasts.
// Owned by the client; all with the client's mutex held.

#include <grpcpp/client_context.h>
#include <grpcpp/support/async_stream.h>

#include <cstdint>
#include <deque>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "etcd.pb.h"
#include "store/etcd/client.h"
#include "store/etcd/tag.h"

namespace fleet::store::etcd {

class KeepAliveStream {
 public:
  KeepAliveStream(Client* client, std::shared_ptr<Connection> connection);

  bool CanUse(const Connection& connection) const;
  void Add(LeaseId lease, absl::Duration timeout, Reply<absl::Duration> reply);
  // Nothing more is added: ends once what was sent is answered.
  void Retire();
  // The store is being closed. True if tags are still to come, otherwise it may be destroyed.
  bool Abandon();

 private:
  struct Request {
    uint64_t id;
    LeaseId lease;
    Timers::Id timer;
    Reply<absl::Duration> reply;
  };

  void Started(bool ok);
  void Written(bool ok);
  void Read(bool ok);
  void Finished(bool ok);
  void WriteNext();
  void TimedOut(uint64_t id);
  void Break();           // cancels the call, which makes all tags come back
  void OperationEnded();  // of a broken stream: goes on to Finish() after the last one
  void FailAll(const absl::Status& status);

  Client* const client_;
  const std::shared_ptr<Connection> connection_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<etcdserverpb::LeaseKeepAliveRequest,
                                                etcdserverpb::LeaseKeepAliveResponse>>
      stream_;
  MemberTag<KeepAliveStream, &KeepAliveStream::Started> started_{this};
  MemberTag<KeepAliveStream, &KeepAliveStream::Written> written_{this};
  MemberTag<KeepAliveStream, &KeepAliveStream::Read> read_{this};
  MemberTag<KeepAliveStream, &KeepAliveStream::Finished> finished_{this};
  int operations_ = 0;  // tags that are still to come
  bool open_ = false;
  bool writing_ = false;
  bool broken_ = false;
  bool retired_ = false;
  uint64_t last_id_ = 0;
  std::deque<Request> requests_;  // not answered yet; the first `sent_` of them are written
  size_t sent_ = 0;
  etcdserverpb::LeaseKeepAliveRequest out_;
  etcdserverpb::LeaseKeepAliveResponse in_;
  grpc::Status status_;
};

}  // namespace fleet::store::etcd
