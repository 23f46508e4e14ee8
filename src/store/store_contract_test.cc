// The contract of store.h, checked against each store.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "store/embedded/embedded_store.h"
#include "store/etcd/etcd_store.h"
#include "store/store.h"
#include "store/testing/etcd_process.h"
#include "store/testing/sync_store.h"

namespace fleet::store {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// What a test case needs of the store that it tests.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::unique_ptr<Store> Open(Executor* executor) = 0;
  // Makes the store forget what was superseded before some later revision than the present one.
  virtual void Compact(SyncStore& store) = 0;
};

// All test cases share one etcd, and keep to prefixes of their own.
class EtcdBackend final : public Backend {
 public:
  EtcdBackend() { Process(); }  // starts it in the test's thread, not in one of a loop
  std::unique_ptr<Store> Open(Executor* executor) override {
    auto store = MakeEtcdStore(
        {.endpoints = {Process().url()}, .request_timeout = absl::Seconds(10)}, executor);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  void Compact(SyncStore& store) override {
    const auto at = store.PutKey("/compact", "");
    ASSERT_TRUE(at.ok()) << at.status();
    Process().Ctl({"compaction", absl::StrCat(at->revision)});
  }

 private:
  static EtcdProcess& Process() {
    static EtcdProcess process;
    return process;
  }
};

class EmbeddedBackend final : public Backend {
 public:
  std::unique_ptr<Store> Open(Executor* executor) override {
    auto store = MakeEmbeddedStore(dir_.path() + "/registry", executor, {.history = kHistory});
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  void Compact(SyncStore& store) override {
    for (int64_t i = 0; i < 2 * kHistory; ++i) {
      ASSERT_TRUE(store.PutKey("/compact", absl::StrCat(i)).ok());
    }
  }

 private:
  static constexpr int64_t kHistory = 200;
  TempDir dir_;
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;

  friend void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }
};

class StoreContract : public testing::TestWithParam<Kind> {
 protected:
  StoreContract()
      : backend_(GetParam().make()),
        store_([this](Executor* executor) { return backend_->Open(executor); }),
        prefix_(absl::StrCat("/", testing::UnitTest::GetInstance()->current_test_info()->name(),
                             "/")) {}

  std::string Key(const std::string& name) const { return prefix_ + name; }
  KeyRange All() const { return PrefixRange(prefix_); }
  KeyRange One(const std::string& name) const { return {Key(name), ""}; }

  // A put that must succeed; its revision.
  int64_t MustPut(const std::string& name, const std::string& value, LeaseId lease = 0) {
    auto result = store_.PutKey(Key(name), value, lease);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->revision : 0;
  }
  RangeResult MustRange(RangeRequest request) {
    auto result = store_.Range(std::move(request));
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : RangeResult{};
  }
  std::vector<std::string> Keys(RangeRequest request) {
    std::vector<std::string> keys;
    for (const KeyValue& kv : MustRange(std::move(request)).kvs) {
      keys.push_back(kv.key.substr(prefix_.size()));
    }
    return keys;
  }
  int64_t Revision() { return MustRange({All()}).revision; }

  std::unique_ptr<Backend> backend_;
  SyncStore store_;
  const std::string prefix_;
};

// --- Range ---

TEST_P(StoreContract, ReadsWhatWasPut) {
  const int64_t first = MustPut("a", "1");
  const int64_t second = MustPut("a", "2");
  EXPECT_EQ(second, first + 1);
  const RangeResult result = MustRange({One("a")});
  ASSERT_THAT(result.kvs, SizeIs(1));
  const KeyValue& kv = result.kvs[0];
  EXPECT_EQ(kv.key, Key("a"));
  EXPECT_EQ(kv.value, "2");
  EXPECT_EQ(kv.create_revision, first);
  EXPECT_EQ(kv.mod_revision, second);
  EXPECT_EQ(kv.version, 2);
  EXPECT_EQ(kv.lease, 0);
  EXPECT_EQ(result.revision, second);
  EXPECT_FALSE(result.more);
}

TEST_P(StoreContract, ReadsNothingWhereThereIsNothing) {
  const RangeResult result = MustRange({All()});
  EXPECT_THAT(result.kvs, SizeIs(0));
  EXPECT_FALSE(result.more);
  EXPECT_GE(result.revision, 1);
}

TEST_P(StoreContract, ReadsARangeInTheOrderOfTheKeysWithoutItsEnd) {
  for (const char* key : {"c", "a", "d", "b"}) MustPut(key, key);
  EXPECT_THAT(Keys({All()}), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(Keys({{Key("b"), Key("d")}}), ElementsAre("b", "c"));
  EXPECT_THAT(Keys({One("b")}), ElementsAre("b"));
}

TEST_P(StoreContract, KeepsKeysAndValuesWithAnyByte) {
  const std::string odd("\0\xff\x80'\n%", 6);
  MustPut(odd, odd);
  const RangeResult result = MustRange({One(odd)});
  ASSERT_THAT(result.kvs, SizeIs(1));
  EXPECT_EQ(result.kvs[0].value, odd);
  EXPECT_THAT(Keys({All()}), ElementsAre(odd));
}

TEST_P(StoreContract, PagesAtOneRevisionWhileOthersWrite) {
  for (const char* key : {"a", "b", "c", "d", "e"}) MustPut(key, "old");
  const RangeResult first = MustRange({All(), 2});
  ASSERT_THAT(first.kvs, SizeIs(2));
  EXPECT_TRUE(first.more);
  MustPut("a", "new");
  MustPut("d", "new");
  MustPut("dd", "new");
  EXPECT_TRUE(store_.Commit({.ops = {Delete{One("c")}}}).ok());

  RangeRequest next{All(), 2, first.revision};
  next.range.key = first.kvs.back().key + std::string(1, '\0');
  const RangeResult second = MustRange(next);
  ASSERT_THAT(second.kvs, SizeIs(2));
  EXPECT_EQ(second.kvs[0].key, Key("c"));
  EXPECT_EQ(second.kvs[1].key, Key("d"));
  EXPECT_EQ(second.kvs[1].value, "old");
  EXPECT_TRUE(second.more);
  next.range.key = second.kvs.back().key + std::string(1, '\0');
  const RangeResult third = MustRange(next);
  ASSERT_THAT(third.kvs, SizeIs(1));
  EXPECT_EQ(third.kvs[0].key, Key("e"));
  EXPECT_FALSE(third.more);
  EXPECT_THAT(Keys({All()}), ElementsAre("a", "b", "d", "dd", "e"));
}

TEST_P(StoreContract, RefusesARangeAtACompactedRevision) {
  const int64_t old = MustPut("a", "1");
  MustPut("a", "2");
  backend_->Compact(store_);
  EXPECT_TRUE(absl::IsOutOfRange(store_.Range({All(), 0, old}).status()));
  EXPECT_EQ(MustRange({All()}).kvs[0].value, "2");
}

TEST_P(StoreContract, RefusesARangeAtARevisionThatHasNotBeen) {
  const auto result = store_.Range({All(), 0, Revision() + 1000});
  EXPECT_TRUE(absl::IsOutOfRange(result.status())) << result.status();
}

TEST_P(StoreContract, KeepsLargeValues) {
  std::string value(1 << 20, 'x');
  value[12345] = '\0';
  MustPut("large", value);
  const RangeResult result = MustRange({One("large")});
  ASSERT_THAT(result.kvs, SizeIs(1));
  EXPECT_TRUE(result.kvs[0].value == value);
}

// --- Commit ---

TEST_P(StoreContract, CommitsAllOperationsInOneRevision) {
  MustPut("gone", "1");
  const auto result =
      store_.Commit({.ops = {Put{Key("a"), "1"}, Delete{One("gone")}, Put{Key("b"), "2"}}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->succeeded);
  const RangeResult range = MustRange({All()});
  EXPECT_EQ(range.revision, result->revision);
  ASSERT_THAT(range.kvs, SizeIs(2));
  EXPECT_EQ(range.kvs[0].mod_revision, result->revision);
  EXPECT_EQ(range.kvs[1].mod_revision, result->revision);
}

TEST_P(StoreContract, DoesNothingUnlessAllComparesHold) {
  const int64_t created = MustPut("a", "1");
  const int64_t modified = MustPut("a", "2");
  using Target = Compare::Target;
  const auto commit = [&](Target target, const std::string& key, int64_t revision) {
    const auto result = store_.Commit(
        {.compares = {{Target::kModRevision, Key("a"), modified}, {target, Key(key), revision}},
         .ops = {Put{Key("x"), "1"}}});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() && result->succeeded;
  };
  EXPECT_FALSE(commit(Target::kModRevision, "a", created));
  EXPECT_FALSE(commit(Target::kModRevision, "a", 0));
  EXPECT_FALSE(commit(Target::kCreateRevision, "a", modified));
  EXPECT_FALSE(commit(Target::kCreateRevision, "absent", created));
  EXPECT_EQ(Revision(), modified);
  EXPECT_THAT(Keys({All()}), ElementsAre("a"));
  EXPECT_TRUE(commit(Target::kModRevision, "absent", 0));
  EXPECT_TRUE(commit(Target::kCreateRevision, "a", created));
}

TEST_P(StoreContract, ComparesADeletedKeyAsAbsent) {
  MustPut("a", "1");
  ASSERT_TRUE(store_.Commit({.ops = {Delete{One("a")}}}).ok());
  const auto result =
      store_.Commit({.compares = {{.key = Key("a"), .revision = 0}}, .ops = {Put{Key("a"), "2"}}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->succeeded);
  const KeyValue kv = MustRange({One("a")}).kvs.at(0);
  EXPECT_EQ(kv.version, 1);
  EXPECT_EQ(kv.create_revision, result->revision);
}

TEST_P(StoreContract, ReportsTheStoresRevisionWhenItWroteNothing) {
  const int64_t revision = MustPut("a", "1");
  const auto failed =
      store_.Commit({.compares = {{.key = Key("a"), .revision = 0}}, .ops = {Put{Key("a"), "2"}}});
  ASSERT_TRUE(failed.ok()) << failed.status();
  EXPECT_FALSE(failed->succeeded);
  EXPECT_EQ(failed->revision, revision);
  const auto nothing = store_.Commit({.ops = {Delete{One("absent")}}});
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_TRUE(nothing->succeeded);
  EXPECT_EQ(nothing->revision, revision);
  EXPECT_EQ(Revision(), revision);
}

TEST_P(StoreContract, DeletesARange) {
  for (const char* key : {"a", "b", "c", "d"}) MustPut(key, key);
  ASSERT_TRUE(store_.Commit({.ops = {Delete{{Key("b"), Key("d")}}}}).ok());
  EXPECT_THAT(Keys({All()}), ElementsAre("a", "d"));
}

TEST_P(StoreContract, TakesTransactionsUpToTheLimitAndRefusesLargerOnes) {
  Txn txn;
  for (size_t i = 0; i < kMaxTxnSize; ++i) {
    const std::string key = Key(absl::StrCat(i));
    txn.compares.push_back({.key = key, .revision = 0});
    txn.ops.emplace_back(Put{key, "v"});
  }
  Txn many_ops = txn;
  many_ops.ops.emplace_back(Put{Key("more"), "v"});
  Txn many_compares = txn;
  many_compares.compares.push_back({.key = Key("more"), .revision = 0});
  EXPECT_TRUE(absl::IsInvalidArgument(store_.Commit(many_ops).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store_.Commit(many_compares).status()));
  EXPECT_THAT(Keys({All()}), SizeIs(0));
  const auto result = store_.Commit(txn);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->succeeded);
  EXPECT_THAT(Keys({All()}), SizeIs(kMaxTxnSize));
}

TEST_P(StoreContract, RefusesToPutOneKeyTwiceOrToPutAndDeleteIt) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      store_.Commit({.ops = {Put{Key("a"), "1"}, Put{Key("a"), "2"}}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      store_.Commit({.ops = {Put{Key("a"), "1"}, Delete{All()}}}).status()));
  EXPECT_THAT(Keys({All()}), SizeIs(0));
}

TEST_P(StoreContract, LetsOneOfManyConcurrentCommitsWin) {
  constexpr int kRivals = 50;
  std::vector<std::future<bool>> outcomes;
  store_.thread().Call([&] {
    for (int i = 0; i < kRivals; ++i) {
      auto promise = std::make_shared<std::promise<bool>>();
      outcomes.push_back(promise->get_future());
      store_.store().Commit(
          {.compares = {{.key = Key("prize"), .revision = 0}},
           .ops = {Put{Key("prize"), absl::StrCat(i)}, Put{Key(absl::StrCat("rival", i)), ""}}},
          [promise](absl::StatusOr<TxnResult> result) {
            promise->set_value(result.ok() && result->succeeded);
          });
    }
  });
  int winners = 0;
  for (auto& outcome : outcomes) {
    ASSERT_EQ(outcome.wait_for(kPatience), std::future_status::ready);
    winners += outcome.get() ? 1 : 0;
  }
  EXPECT_EQ(winners, 1);
  EXPECT_THAT(Keys({All()}), SizeIs(2));
}

// --- Leases ---

TEST_P(StoreContract, EndsALeaseThatIsNotKeptAndDeletesItsKeysInOneRevision) {
  const auto lease = store_.Grant(absl::Seconds(1));
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_GE(lease->ttl, absl::Seconds(1));
  MustPut("a", "1", lease->id);
  MustPut("free", "1");
  MustPut("b", "1", lease->id);
  EXPECT_EQ(MustRange({One("a")}).kvs.at(0).lease, lease->id);
  auto watch = store_.StartWatch(All(), Revision() + 1);
  const auto batch = watch->Next();
  ASSERT_TRUE(batch.ok()) << batch.status();
  ASSERT_THAT(batch->events, SizeIs(2));
  EXPECT_EQ(batch->events[0].type, Event::Type::kDelete);
  EXPECT_EQ(batch->events[1].type, Event::Type::kDelete);
  EXPECT_EQ(batch->events[0].kv.mod_revision, batch->events[1].kv.mod_revision);
  EXPECT_THAT(Keys({All()}), ElementsAre("free"));
  EXPECT_TRUE(absl::IsNotFound(store_.KeepAlive(lease->id).status()));
}

TEST_P(StoreContract, KeepsALeaseAliveWithItsFullTtl) {
  const auto lease = store_.Grant(absl::Seconds(30));
  ASSERT_TRUE(lease.ok()) << lease.status();
  for (int i = 0; i < 3; ++i) {
    const auto ttl = store_.KeepAlive(lease->id);
    ASSERT_TRUE(ttl.ok()) << ttl.status();
    EXPECT_EQ(*ttl, lease->ttl);
  }
}

TEST_P(StoreContract, AnswersManyKeepAlivesEachForItsLease) {
  const auto first = store_.Grant(absl::Seconds(20));
  const auto second = store_.Grant(absl::Seconds(40));
  ASSERT_TRUE(first.ok() && second.ok());
  std::vector<std::pair<absl::Duration, std::future<absl::StatusOr<absl::Duration>>>> answers;
  store_.thread().Call([&] {
    for (int i = 0; i < 20; ++i) {
      for (const auto& lease : {*first, *second, LeaseGrantResult{12345, absl::ZeroDuration()}}) {
        auto promise = std::make_shared<std::promise<absl::StatusOr<absl::Duration>>>();
        answers.emplace_back(lease.ttl, promise->get_future());
        store_.store().LeaseKeepAlive(
            lease.id,
            [promise](const absl::StatusOr<absl::Duration>& ttl) { promise->set_value(ttl); });
      }
    }
  });
  for (auto& [expected, answer] : answers) {
    ASSERT_EQ(answer.wait_for(kPatience), std::future_status::ready);
    const auto ttl = answer.get();
    if (expected == absl::ZeroDuration()) {
      EXPECT_TRUE(absl::IsNotFound(ttl.status())) << ttl.status();
    } else {
      ASSERT_TRUE(ttl.ok()) << ttl.status();
      EXPECT_EQ(*ttl, expected);
    }
  }
}

TEST_P(StoreContract, RevokesALeaseWithItsKeys) {
  const auto lease = store_.Grant(absl::Seconds(60));
  ASSERT_TRUE(lease.ok()) << lease.status();
  MustPut("a", "1", lease->id);
  EXPECT_TRUE(store_.Revoke(lease->id).ok());
  EXPECT_THAT(Keys({All()}), SizeIs(0));
  EXPECT_TRUE(store_.Revoke(lease->id).ok()) << "there is none: done";
  EXPECT_TRUE(absl::IsNotFound(store_.KeepAlive(lease->id).status()));
}

TEST_P(StoreContract, ForgetsTheLeaseOfAKeyThatWasPutWithoutIt) {
  const auto lease = store_.Grant(absl::Seconds(60));
  const auto other = store_.Grant(absl::Seconds(60));
  ASSERT_TRUE(lease.ok() && other.ok());
  MustPut("free", "1", lease->id);
  MustPut("free", "2");
  MustPut("moved", "1", lease->id);
  MustPut("moved", "2", other->id);
  EXPECT_TRUE(store_.Revoke(lease->id).ok());
  EXPECT_THAT(Keys({All()}), ElementsAre("free", "moved"));
}

TEST_P(StoreContract, RefusesATransactionThatPutsWithALeaseThatHasEnded) {
  const auto result = store_.Commit({.ops = {Put{Key("a"), "1"}, Put{Key("b"), "1", 4711}}});
  EXPECT_TRUE(absl::IsNotFound(result.status())) << result.status();
  EXPECT_THAT(Keys({All()}), SizeIs(0));
}

TEST_P(StoreContract, RefusesALeaseOfNoTime) {
  EXPECT_TRUE(absl::IsInvalidArgument(store_.Grant(absl::ZeroDuration()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store_.Grant(absl::InfiniteDuration()).status()));
}

// --- Watch ---

TEST_P(StoreContract, WatchesFromAPastRevisionOnAndGoesOnWithWhatComes) {
  MustPut("before", "1");
  const int64_t from = MustPut("a", "1");
  MustPut("a", "2");
  ASSERT_TRUE(store_.Commit({.ops = {Delete{One("a")}}}).ok());
  auto watch = store_.StartWatch(All(), from);
  auto events = watch->Events(3);
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_EQ(events->at(0).kv.value, "1");
  EXPECT_EQ(events->at(0).kv.version, 1);
  EXPECT_EQ(events->at(0).kv.create_revision, from);
  EXPECT_EQ(events->at(1).kv.value, "2");
  EXPECT_EQ(events->at(1).kv.version, 2);
  EXPECT_EQ(events->at(2).type, Event::Type::kDelete);
  EXPECT_EQ(events->at(2).kv.key, Key("a"));
  EXPECT_EQ(events->at(2).kv.mod_revision, from + 2);

  MustPut("b", "3");
  events = watch->Events(1);
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_EQ(events->at(0).type, Event::Type::kPut);
  EXPECT_EQ(events->at(0).kv.value, "3");
}

TEST_P(StoreContract, WatchesOnlyItsRange) {
  const int64_t from = Revision() + 1;
  auto one = store_.StartWatch(One("b"), from);
  auto range = store_.StartWatch({Key("b"), Key("d")}, from);
  for (const char* key : {"a", "b", "bb", "c", "d", "b"}) MustPut(key, key);
  const auto of_one = one->Events(2);
  ASSERT_TRUE(of_one.ok()) << of_one.status();
  EXPECT_EQ(of_one->at(0).kv.key, Key("b"));
  EXPECT_EQ(of_one->at(1).kv.key, Key("b"));
  const auto of_range = range->Events(4);
  ASSERT_TRUE(of_range.ok()) << of_range.status();
  EXPECT_EQ(of_range->at(1).kv.key, Key("bb"));
  EXPECT_EQ(of_range->at(2).kv.key, Key("c"));
}

TEST_P(StoreContract, DeliversWholeRevisionsInOrder) {
  constexpr size_t kTransactions = 100;
  constexpr size_t kKeys = 10;
  const int64_t from = Revision() + 1;
  auto live = store_.StartWatch(All(), from);
  store_.thread().Call([&] {
    for (size_t i = 0; i < kTransactions; ++i) {
      Txn txn;
      for (size_t k = 0; k < kKeys; ++k) txn.ops.emplace_back(Put{Key(absl::StrCat(k)), "v"});
      store_.store().Commit(std::move(txn), [](const absl::StatusOr<TxnResult>&) {});
    }
  });
  // WatchLog checks each batch; here: nothing is missing, from now or from the past.
  EXPECT_TRUE(live->Events(kTransactions * kKeys).ok());
  auto late = store_.StartWatch(All(), from);
  const auto events = late->Events(kTransactions * kKeys);
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_THAT(*events, SizeIs(kTransactions * kKeys));
  EXPECT_EQ(events->front().kv.mod_revision, from);
  EXPECT_EQ(events->back().kv.mod_revision, from + int64_t{kTransactions} - 1);
}

TEST_P(StoreContract, EndsAWatchFromACompactedRevision) {
  const int64_t old = MustPut("a", "1");
  MustPut("a", "2");
  backend_->Compact(store_);
  auto watch = store_.StartWatch(All(), old);
  const absl::Status end = watch->End();
  EXPECT_TRUE(absl::IsOutOfRange(end)) << end;
}

TEST_P(StoreContract, EndsAWatchFromARevisionThatTheStoreHasNeverReached) {
  auto watch = store_.StartWatch(All(), Revision() + 1000);
  const absl::Status end = watch->End();
  EXPECT_TRUE(absl::IsOutOfRange(end)) << end;
}

TEST_P(StoreContract, DeliversNothingOnceTheWatchIsDestroyed) {
  const int64_t from = Revision() + 1;
  auto other = store_.StartWatch(All(), from);
  bool destroyed = false;
  int late = 0;
  std::unique_ptr<Watch> watch;
  auto first = std::make_shared<std::promise<void>>();
  store_.thread().Call([&] {
    watch = store_.store().StartWatch(All(), from, [&, first](const auto&) {
      if (destroyed) {
        ++late;
        return;
      }
      // From within its own callback: the hardest moment.
      destroyed = true;
      watch.reset();
      first->set_value();
    });
  });
  for (int i = 0; i < 20; ++i) MustPut("a", absl::StrCat(i));
  ASSERT_EQ(first->get_future().wait_for(kPatience), std::future_status::ready);
  ASSERT_TRUE(other->Events(20).ok());
  MustPut("a", "last");
  ASSERT_TRUE(other->Events(1).ok());
  EXPECT_EQ(store_.thread().Call([&] { return late; }), 0);
}

TEST_P(StoreContract, DropsTheCallbacksThatWaitWhenItIsDestroyed) {
  auto token = std::make_shared<int>(0);
  auto called = std::make_shared<std::atomic<int>>(0);
  store_.thread().Call([&] {
    for (int i = 0; i < 50; ++i) {
      store_.store().Commit({.ops = {Put{Key(absl::StrCat(i)), "v"}}},
                            [token, called](const absl::StatusOr<TxnResult>&) { ++*called; });
    }
  });
  store_.Reset();
  const int at_end = *called;
  EXPECT_EQ(token.use_count(), 1) << "a callback was kept";
  store_.thread().Call([] {});
  EXPECT_EQ(*called, at_end);
}

// --- Handles for other loops ---

TEST_P(StoreContract, BindsAHandleForAnotherLoopThatOutlivesTheFirst) {
  SyncStore other([this](Executor* executor) {
    return store_.thread().Call([&] { return store_.store().Bind(executor); });
  });
  MustPut("a", "1");
  const auto seen = other.Range(All());
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_THAT(seen->kvs, SizeIs(1));
  auto watch = other.StartWatch(All(), seen->revision + 1);
  MustPut("a", "2");
  EXPECT_TRUE(watch->Events(1).ok());
  store_.Reset();
  EXPECT_TRUE(other.PutKey(Key("a"), "3").ok());
  EXPECT_TRUE(watch->Events(1).ok());
}

INSTANTIATE_TEST_SUITE_P(
    , StoreContract,
    testing::Values(Kind{"Etcd", [] { return std::make_unique<EtcdBackend>(); }},
                    Kind{"Embedded", [] { return std::make_unique<EmbeddedBackend>(); }}),
    [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace fleet::store
