#include "store/etcd/etcd_store.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "etcd.pb.h"
#include "store/etcd/client.h"
#include "store/etcd/convert.h"
#include "store/mailbox.h"
#include "store/txn_check.h"

namespace fleet::store {
namespace {

etcdserverpb::TxnRequest ToTxnRequest(Txn txn) {
  etcdserverpb::TxnRequest request;
  for (Compare& compare : txn.compares) {
    etcdserverpb::Compare& to = *request.add_compare();
    to.set_result(etcdserverpb::Compare::EQUAL);
    to.set_key(std::move(compare.key));
    if (compare.target == Compare::Target::kCreateRevision) {
      to.set_target(etcdserverpb::Compare::CREATE);
      to.set_create_revision(compare.revision);
    } else {
      to.set_target(etcdserverpb::Compare::MOD);
      to.set_mod_revision(compare.revision);
    }
  }
  for (Op& op : txn.ops) {
    etcdserverpb::RequestOp& to = *request.add_success();
    if (auto* put = std::get_if<Put>(&op)) {
      to.mutable_request_put()->set_key(std::move(put->key));
      to.mutable_request_put()->set_value(std::move(put->value));
      to.mutable_request_put()->set_lease(put->lease);
    } else {
      KeyRange& range = std::get<Delete>(op).range;
      to.mutable_request_delete_range()->set_key(std::move(range.key));
      to.mutable_request_delete_range()->set_range_end(std::move(range.end));
    }
  }
  return request;
}

class EtcdWatch final : public Watch {
 public:
  EtcdWatch(std::shared_ptr<etcd::Client> client, etcd::Client::WatchId id,
            std::shared_ptr<void> listener)
      : client_(std::move(client)), id_(id), listener_(std::move(listener)) {}
  ~EtcdWatch() override { client_->EndWatch(id_); }

 private:
  std::shared_ptr<etcd::Client> client_;
  etcd::Client::WatchId id_;
  std::shared_ptr<void> listener_;  // while it lives, batches are delivered
};

// One loop's handle on the shared client.
class EtcdStore final : public Store {
 public:
  EtcdStore(std::shared_ptr<etcd::Client> client, Executor* executor)
      : client_(std::move(client)), mailbox_(executor) {}

  void Range(RangeRequest request, Callback<RangeResult> done) override {
    etcdserverpb::RangeRequest message;
    message.set_key(std::move(request.range.key));
    message.set_range_end(std::move(request.range.end));
    message.set_limit(request.limit);
    message.set_revision(request.revision);
    client_->Range(
        std::move(message), [send = mailbox_.Once(std::move(done))](
                                absl::StatusOr<etcdserverpb::RangeResponse> answer) mutable {
          if (!answer.ok()) return send(answer.status());
          RangeResult result{.more = answer->more(), .revision = answer->header().revision()};
          result.kvs.reserve(static_cast<size_t>(answer->kvs_size()));
          for (mvccpb::KeyValue& kv : *answer->mutable_kvs()) {
            result.kvs.push_back(etcd::TakeKeyValue(kv));
          }
          send(std::move(result));
        });
  }

  void Commit(Txn txn, Callback<TxnResult> done) override {
    auto send = mailbox_.Once(std::move(done));
    if (absl::Status valid = CheckTxn(txn); !valid.ok()) return send(valid);
    client_->Txn(
        ToTxnRequest(std::move(txn)),
        [send = std::move(send)](absl::StatusOr<etcdserverpb::TxnResponse> answer) mutable {
          if (!answer.ok()) return send(answer.status());
          send(TxnResult{answer->succeeded(), answer->header().revision()});
        });
  }

  void LeaseGrant(absl::Duration ttl, Callback<LeaseGrantResult> done) override {
    auto send = mailbox_.Once(std::move(done));
    if (absl::Status valid = CheckTtl(ttl); !valid.ok()) return send(valid);
    etcdserverpb::LeaseGrantRequest message;
    message.set_ttl(absl::ToInt64Seconds(absl::Ceil(ttl, absl::Seconds(1))));
    client_->LeaseGrant(
        std::move(message),
        [send = std::move(send)](absl::StatusOr<etcdserverpb::LeaseGrantResponse> answer) mutable {
          if (!answer.ok()) return send(answer.status());
          send(LeaseGrantResult{answer->id(), absl::Seconds(answer->ttl())});
        });
  }

  void LeaseKeepAlive(LeaseId lease, Callback<absl::Duration> done) override {
    client_->KeepAlive(lease, mailbox_.Once(std::move(done)));
  }

  void LeaseRevoke(LeaseId lease, DoneCallback done) override {
    etcdserverpb::LeaseRevokeRequest message;
    message.set_id(lease);
    client_->LeaseRevoke(
        std::move(message),
        [send = mailbox_.Once(std::move(done))](
            const absl::StatusOr<etcdserverpb::LeaseRevokeResponse>& answer) mutable {
          const bool gone = answer.ok() || absl::IsNotFound(answer.status());
          send(gone ? absl::OkStatus() : answer.status());
        });
  }

  std::unique_ptr<Watch> StartWatch(KeyRange range, int64_t from_revision,
                                    Callback<WatchBatch> on_batch) override {
    auto [listener, send] = mailbox_.Many(std::move(on_batch));
    if (from_revision <= 0) {
      send(absl::InvalidArgumentError("a watch needs a revision to start from"));
      return std::make_unique<EtcdWatch>(client_, 0, std::move(listener));
    }
    etcdserverpb::WatchCreateRequest message;
    message.set_key(std::move(range.key));
    message.set_range_end(std::move(range.end));
    message.set_start_revision(from_revision);
    const auto id = client_->StartWatch(std::move(message), std::move(send));
    return std::make_unique<EtcdWatch>(client_, id, std::move(listener));
  }

  std::unique_ptr<Store> Bind(Executor* executor) override {
    return std::make_unique<EtcdStore>(client_, executor);
  }

 private:
  std::shared_ptr<etcd::Client> client_;
  Mailbox mailbox_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> MakeEtcdStore(EtcdOptions options, Executor* executor) {
  ASSIGN_OR_RETURN(std::shared_ptr<etcd::Client> client, etcd::Client::Make(std::move(options)));
  return std::make_unique<EtcdStore>(std::move(client), executor);
}

}  // namespace fleet::store
