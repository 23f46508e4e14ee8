#pragma once

// One watch on a stream of its own. Owned by the client; all with the client's mutex held.

#include <grpcpp/client_context.h>
#include <grpcpp/support/async_stream.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "etcd.pb.h"
#include "store/etcd/client.h"
#include "store/etcd/tag.h"

namespace fleet::store::etcd {

class WatchStream {
 public:
  WatchStream(Client* client, Client::WatchId id, etcdserverpb::WatchCreateRequest request,
              Reply<WatchBatch> on_batch);

  Client::WatchId id() const { return id_; }

  void Start();
  // Nobody listens any more. The object may be gone afterwards.
  void Cancel();
  // Another connection took the place of one that is not trusted any more: a watch there may hear
  // nothing for long, and ends.
  void EndUnlessAt(const Connection* current);
  // The store is being closed. True if tags are still to come, otherwise it may be destroyed.
  bool Abandon();

 private:
  void Open(absl::StatusOr<std::shared_ptr<Connection>> connection);
  void Started(bool ok);
  void Written(bool ok);
  void Read(bool ok);
  void Finished(bool ok);
  void OperationEnded();
  void Created();
  void Canceled();
  void Deliver();
  void End(const absl::Status& status);  // the listener's last call
  void Break();

  Client* const client_;
  const Client::WatchId id_;
  etcdserverpb::WatchRequest request_;
  Reply<WatchBatch> on_batch_;  // null once the watch has ended
  Client::WaiterId waiter_ = 0;
  Timers::Id creation_timer_ = 0;
  bool logged_in_again_ = false;

  // Of the present stream; a second one is opened if etcd does not know our token any more.
  std::shared_ptr<Connection> connection_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<
      grpc::ClientAsyncReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>>
      stream_;
  MemberTag<WatchStream, &WatchStream::Started> started_{this};
  MemberTag<WatchStream, &WatchStream::Written> written_{this};
  MemberTag<WatchStream, &WatchStream::Read> read_{this};
  MemberTag<WatchStream, &WatchStream::Finished> finished_{this};
  std::string token_;
  int operations_ = 0;  // tags that are still to come
  bool broken_ = false;
  bool open_again_ = false;
  etcdserverpb::WatchResponse response_;
  grpc::Status status_;
};

}  // namespace fleet::store::etcd
