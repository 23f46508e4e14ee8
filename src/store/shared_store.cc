#include "store/shared_store.h"

#include <utility>

#include "store/mailbox.h"

namespace fleet::store {
namespace {

// The store and its watches live in the home executor's thread; so each reference that is dropped
// elsewhere is dropped by a task there.
class HoppingStore final : public Store {
 public:
  HoppingStore(std::shared_ptr<Store> store, Executor* home, Executor* executor)
      : store_(std::move(store)), home_(home), mailbox_(executor) {}
  ~HoppingStore() override {
    home_->Post([store = std::move(store_)] {});
  }

  void Range(RangeRequest request, Callback<RangeResult> done) override {
    Hop([request = std::move(request), send = mailbox_.Once(std::move(done))](
            Store& store) mutable { store.Range(std::move(request), std::move(send)); });
  }
  void Commit(Txn txn, Callback<TxnResult> done) override {
    Hop([txn = std::move(txn), send = mailbox_.Once(std::move(done))](Store& store) mutable {
      store.Commit(std::move(txn), std::move(send));
    });
  }
  void LeaseGrant(absl::Duration ttl, Callback<LeaseGrantResult> done) override {
    Hop([ttl, send = mailbox_.Once(std::move(done))](Store& store) mutable {
      store.LeaseGrant(ttl, std::move(send));
    });
  }
  void LeaseKeepAlive(LeaseId lease, Callback<absl::Duration> done) override {
    Hop([lease, send = mailbox_.Once(std::move(done))](Store& store) mutable {
      store.LeaseKeepAlive(lease, std::move(send));
    });
  }
  void LeaseRevoke(LeaseId lease, DoneCallback done) override {
    Hop([lease, send = mailbox_.Once(std::move(done))](Store& store) mutable {
      store.LeaseRevoke(lease, std::move(send));
    });
  }

  std::unique_ptr<Watch> StartWatch(KeyRange range, int64_t from_revision,
                                    Callback<WatchBatch> on_batch) override {
    auto [listener, send] = mailbox_.Many(std::move(on_batch));
    auto there = std::make_shared<std::unique_ptr<Watch>>();
    Hop([there, range = std::move(range), from_revision,
         send = std::move(send)](Store& store) mutable {
      *there = store.StartWatch(std::move(range), from_revision, std::move(send));
    });
    return std::make_unique<HoppingWatch>(home_, std::move(there), std::move(listener));
  }

  std::unique_ptr<Store> Bind(Executor* executor) override {
    return std::make_unique<HoppingStore>(store_, home_, executor);
  }

 private:
  class HoppingWatch final : public Watch {
   public:
    HoppingWatch(Executor* home, std::shared_ptr<std::unique_ptr<Watch>> there,
                 std::shared_ptr<void> listener)
        : home_(home), there_(std::move(there)), listener_(std::move(listener)) {}
    ~HoppingWatch() override {
      home_->Post([there = std::move(there_)] { there->reset(); });
    }

   private:
    Executor* home_;
    std::shared_ptr<std::unique_ptr<Watch>> there_;  // its content: the home thread only
    std::shared_ptr<void> listener_;
  };

  template <typename F>
  void Hop(F f) {
    home_->Post([store = store_, f = std::move(f)]() mutable { f(*store); });
  }

  std::shared_ptr<Store> store_;
  Executor* const home_;
  Mailbox mailbox_;
};

}  // namespace

std::unique_ptr<Store> BindStore(std::shared_ptr<Store> store, Executor* home, Executor* executor) {
  if (auto bound = store->Bind(executor)) return bound;
  return std::make_unique<HoppingStore>(std::move(store), home, executor);
}

}  // namespace fleet::store
