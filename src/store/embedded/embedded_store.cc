#include "store/embedded/embedded_store.h"

#include <utility>

#include "base/status.h"
#include "store/embedded/jobs.h"
#include "store/embedded/worker.h"
#include "store/mailbox.h"
#include "store/txn_check.h"

namespace fleet::store {
namespace {

using embedded::Worker;

class EmbeddedWatch final : public Watch {
 public:
  EmbeddedWatch(std::shared_ptr<Worker> worker, uint64_t id, std::shared_ptr<void> listener)
      : worker_(std::move(worker)), id_(id), listener_(std::move(listener)) {}
  ~EmbeddedWatch() override { worker_->Submit(embedded::MakeWatchEnd(id_)); }

 private:
  std::shared_ptr<Worker> worker_;
  uint64_t id_;
  std::shared_ptr<void> listener_;  // while it lives, batches are delivered
};

// One loop's handle on the worker.
class EmbeddedStore final : public Store {
 public:
  EmbeddedStore(std::shared_ptr<Worker> worker, Executor* executor)
      : worker_(std::move(worker)), mailbox_(executor) {}

  void Range(RangeRequest request, Callback<RangeResult> done) override {
    worker_->Submit(embedded::MakeRange(std::move(request), mailbox_.Once(std::move(done))));
  }

  void Commit(Txn txn, Callback<TxnResult> done) override {
    auto send = mailbox_.Once(std::move(done));
    if (absl::Status valid = CheckTxn(txn); !valid.ok()) return send(valid);
    worker_->Submit(embedded::MakeCommit(std::move(txn), std::move(send)));
  }

  void LeaseGrant(absl::Duration ttl, Callback<LeaseGrantResult> done) override {
    auto send = mailbox_.Once(std::move(done));
    if (absl::Status valid = CheckTtl(ttl); !valid.ok()) return send(valid);
    worker_->Submit(embedded::MakeLeaseGrant(ttl, std::move(send)));
  }

  void LeaseKeepAlive(LeaseId lease, Callback<absl::Duration> done) override {
    worker_->Submit(embedded::MakeLeaseKeepAlive(lease, mailbox_.Once(std::move(done))));
  }

  void LeaseRevoke(LeaseId lease, DoneCallback done) override {
    worker_->Submit(embedded::MakeLeaseRevoke(lease, mailbox_.Once(std::move(done))));
  }

  std::unique_ptr<Watch> StartWatch(KeyRange range, int64_t from_revision,
                                    Callback<WatchBatch> on_batch) override {
    auto [listener, send] = mailbox_.Many(std::move(on_batch));
    const uint64_t id = worker_->NewWatchId();
    worker_->Submit(embedded::MakeWatchStart(id, std::move(range), from_revision, std::move(send)));
    return std::make_unique<EmbeddedWatch>(worker_, id, std::move(listener));
  }

  std::unique_ptr<Store> Bind(Executor* executor) override {
    return std::make_unique<EmbeddedStore>(worker_, executor);
  }

 private:
  std::shared_ptr<Worker> worker_;
  Mailbox mailbox_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> MakeEmbeddedStore(const std::string& path,
                                                         Executor* executor,
                                                         EmbeddedOptions options) {
  ASSIGN_OR_RETURN(std::shared_ptr<Worker> worker, Worker::Open(path, options));
  return std::make_unique<EmbeddedStore>(std::move(worker), executor);
}

}  // namespace fleet::store
