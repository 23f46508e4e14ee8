#include "store/shared_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "store/embedded/embedded_store.h"
#include "store/testing/etcd_process.h"
#include "store/testing/sync_store.h"

namespace fleet::store {
namespace {

using ::testing::SizeIs;

// A store that cannot be bound directly, and checks that it is used in its own thread.
class HomeStore final : public Store {
 public:
  HomeStore(std::unique_ptr<Store> store, LoopThread* home)
      : store_(std::move(store)), home_(home) {}
  ~HomeStore() override { EXPECT_TRUE(home_->IsCurrent()); }

  void Range(RangeRequest request, Callback<RangeResult> done) override {
    Here().Range(std::move(request), std::move(done));
  }
  void Commit(Txn txn, Callback<TxnResult> done) override {
    Here().Commit(std::move(txn), std::move(done));
  }
  void LeaseGrant(absl::Duration ttl, Callback<LeaseGrantResult> done) override {
    Here().LeaseGrant(ttl, std::move(done));
  }
  void LeaseKeepAlive(LeaseId lease, Callback<absl::Duration> done) override {
    Here().LeaseKeepAlive(lease, std::move(done));
  }
  void LeaseRevoke(LeaseId lease, DoneCallback done) override {
    Here().LeaseRevoke(lease, std::move(done));
  }
  std::unique_ptr<Watch> StartWatch(KeyRange range, int64_t from_revision,
                                    Callback<WatchBatch> on_batch) override {
    return std::make_unique<HomeWatch>(
        Here().StartWatch(std::move(range), from_revision, std::move(on_batch)), home_);
  }

 private:
  struct HomeWatch final : Watch {
    HomeWatch(std::unique_ptr<Watch> w, LoopThread* h) : watch(std::move(w)), home(h) {}
    ~HomeWatch() override { EXPECT_TRUE(home->IsCurrent()); }
    std::unique_ptr<Watch> watch;
    LoopThread* home;
  };
  Store& Here() {
    EXPECT_TRUE(home_->IsCurrent());
    return *store_;
  }
  std::unique_ptr<Store> store_;
  LoopThread* home_;
};

class SharedStore : public testing::Test {
 protected:
  SharedStore() {
    home_.Call([this] {
      auto store = MakeEmbeddedStore(dir_.path() + "/registry", home_.loop());
      ASSERT_TRUE(store.ok()) << store.status();
      store_ = std::make_shared<HomeStore>(*std::move(store), &home_);
    });
    handle_ = std::make_unique<SyncStore>([this](Executor* executor) {
      return BindStore(std::exchange(store_, nullptr), home_.loop(), executor);
    });
  }

  TempDir dir_;
  LoopThread home_;
  std::shared_ptr<Store> store_;
  std::unique_ptr<SyncStore> handle_;
};

TEST_F(SharedStore, AnswersInTheThreadOfTheHandle) {
  const auto lease = handle_->Grant(absl::Seconds(60));
  ASSERT_TRUE(lease.ok()) << lease.status();
  ASSERT_TRUE(handle_->PutKey("a", "1", lease->id).ok());
  EXPECT_TRUE(handle_->KeepAlive(lease->id).ok());
  EXPECT_THAT(handle_->Get("a")->kvs, SizeIs(1));
  EXPECT_TRUE(handle_->Revoke(lease->id).ok());
  EXPECT_THAT(handle_->Get("a")->kvs, SizeIs(0));
}

TEST_F(SharedStore, WatchesUntilTheWatchIsDestroyed) {
  auto watch = handle_->StartWatch({"a", ""}, 1);
  ASSERT_TRUE(handle_->PutKey("a", "1").ok());
  EXPECT_TRUE(watch->Events(1).ok());
  auto second = handle_->StartWatch({"a", ""}, 1);
  watch.Stop();
  ASSERT_TRUE(handle_->PutKey("a", "2").ok());
  EXPECT_TRUE(second->Events(2).ok());
}

TEST_F(SharedStore, DropsTheCallbacksThatWaitWhenTheHandleIsDestroyed) {
  auto token = std::make_shared<int>(0);
  int called = 0;
  // The handle's loop is held up, so that no answer can come before the handle is gone.
  handle_->thread().Call([&] {
    for (int i = 0; i < 20; ++i) {
      handle_->store().Commit({.ops = {Put{absl::StrCat(i), "v"}}},
                              [&called, token](const auto&) { ++called; });
    }
    auto done = std::make_shared<std::promise<void>>();
    handle_->store().Range({{"a", ""}}, [token](const auto&) {});
    home_.loop()->Post([done] { done->set_value(); });
    done->get_future().wait();
    EXPECT_GT(token.use_count(), 1);
  });
  handle_->Reset();
  EXPECT_EQ(token.use_count(), 1);
  const int at_end = called;
  handle_->thread().Call([] {});
  EXPECT_EQ(called, at_end);
}

}  // namespace
}  // namespace fleet::store
