#include "store/embedded/embedded_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "store/testing/etcd_process.h"
#include "store/testing/sync_store.h"

namespace fleet::store {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class EmbeddedStore : public testing::Test {
 protected:
  // A handle on the store in the test's directory; it must open.
  std::unique_ptr<SyncStore> Open(EmbeddedOptions options = {}) const {
    return std::make_unique<SyncStore>([&](Executor* executor) {
      auto store = MakeEmbeddedStore(path(), executor, options);
      EXPECT_TRUE(store.ok()) << store.status();
      return *std::move(store);
    });
  }
  absl::Status OpenStatus() const {
    LoopThread loop;
    return loop.Call([&] { return MakeEmbeddedStore(path(), loop.loop()).status(); });
  }
  std::string path() const { return dir_.path() + "/registry"; }

  TempDir dir_;
};

TEST_F(EmbeddedStore, KeepsDataRevisionsAndHistoryOverAReopening) {
  auto store = Open();
  const auto first = store->PutKey("a", "1");
  const auto second = store->PutKey("a", "2");
  ASSERT_TRUE(store->PutKey("b", "1").ok());
  const auto deleted = store->Commit({.ops = {Delete{{"b", ""}}}});
  ASSERT_TRUE(first.ok() && second.ok() && deleted.ok());
  store.reset();

  store = Open();
  const auto all = store->Range(PrefixRange("a"));
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_THAT(all->kvs, SizeIs(1));
  EXPECT_EQ(all->kvs[0].value, "2");
  EXPECT_EQ(all->kvs[0].version, 2);
  EXPECT_EQ(all->kvs[0].create_revision, first->revision);
  EXPECT_EQ(all->kvs[0].mod_revision, second->revision);
  EXPECT_EQ(all->revision, deleted->revision);
  auto watch = store->StartWatch({"a", "c"}, first->revision);
  const auto events = watch->Events(4);
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_EQ(events->at(3).type, Event::Type::kDelete);
  const auto next = store->PutKey("a", "3");
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->revision, deleted->revision + 1);
}

TEST_F(EmbeddedStore, GivesEachLeaseItsFullTtlWhenItIsOpened) {
  auto store = Open();
  const auto lease = store->Grant(absl::Seconds(2));
  ASSERT_TRUE(lease.ok()) << lease.status();
  ASSERT_TRUE(store->PutKey("a", "1", lease->id).ok());
  store.reset();
  // The two seconds pass while it is closed: another store's lease of two seconds tells when.
  {
    const TempDir other_dir;
    SyncStore other([&](Executor* executor) {
      return *MakeEmbeddedStore(other_dir.path() + "/registry", executor);
    });
    const auto same = other.Grant(absl::Seconds(2));
    ASSERT_TRUE(same.ok());
    const auto put = other.PutKey("a", "1", same->id);
    ASSERT_TRUE(put.ok());
    auto watch = other.StartWatch({"a", ""}, put->revision + 1);
    ASSERT_TRUE(watch->Events(1).ok());
  }
  store = Open();
  EXPECT_THAT(store->Get("a")->kvs, SizeIs(1));
  EXPECT_TRUE(store->KeepAlive(lease->id).ok());
  // And then it ends, if nobody keeps it.
  auto watch = store->StartWatch({"a", ""}, store->Get("a")->revision + 1);
  const auto events = watch->Events(1);
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_EQ(events->at(0).type, Event::Type::kDelete);
}

TEST_F(EmbeddedStore, ForgetsALeaseThatHasEndedAlsoOverAReopening) {
  auto store = Open();
  const auto lease = store->Grant(absl::Seconds(60));
  ASSERT_TRUE(lease.ok()) << lease.status();
  ASSERT_TRUE(store->Revoke(lease->id).ok());
  store = nullptr;
  store = Open();
  EXPECT_TRUE(absl::IsNotFound(store->KeepAlive(lease->id).status()));
}

TEST_F(EmbeddedStore, DoesNotGrowWhileOneKeyChanges) {
  auto store = Open({.history = 20});
  const std::string value(40'000, 'x');
  const auto churn = [&] {
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(store->PutKey("a", value).ok());
    ASSERT_TRUE(store->Commit({.ops = {Delete{{"a", ""}}}}).ok());
  };
  churn();
  churn();
  store.reset();
  const auto size = std::filesystem::file_size(path());
  store = Open({.history = 20});
  for (int i = 0; i < 4; ++i) churn();
  store.reset();
  EXPECT_LE(std::filesystem::file_size(path()), size + size / 4);
}

TEST_F(EmbeddedStore, ReadsThePastRightAfterACompaction) {
  auto store = Open({.history = 100});
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(store->PutKey(key, "old").ok());
  ASSERT_TRUE(store->Commit({.ops = {Delete{{"b", ""}}}}).ok());
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(store->PutKey("busy", absl::StrCat(i)).ok());
  const int64_t past = store->Range(PrefixRange("a"))->revision;
  ASSERT_TRUE(store->PutKey("a", "new").ok());
  const auto then = store->Range(RangeRequest{{"a", "d"}, 0, past});
  ASSERT_TRUE(then.ok()) << then.status();
  ASSERT_THAT(then->kvs, SizeIs(3));
  EXPECT_EQ(then->kvs[0].value, "old");
  EXPECT_EQ(then->kvs[1].value, "199");
  EXPECT_EQ(then->kvs[2].key, "c");
}

TEST_F(EmbeddedStore, CanBeReadByItsOwnerOnly) {
  auto store = Open();
  ASSERT_TRUE(store->PutKey("a", "secret").ok());
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    struct stat info {};
    ASSERT_EQ(stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U) << entry.path();
  }
}

// --- What can go wrong ---

TEST_F(EmbeddedStore, RefusesASecondOpener) {
  auto store = Open();
  ASSERT_TRUE(store->PutKey("a", "1").ok());
  const absl::Status status = OpenStatus();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("another process"));
  EXPECT_TRUE(store->PutKey("a", "2").ok());
  store.reset();
  EXPECT_TRUE(OpenStatus().ok());
}

TEST_F(EmbeddedStore, SaysThatTheDirectoryIsMissing) {
  std::filesystem::remove_all(dir_.path());
  const absl::Status status = OpenStatus();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("No such file or directory"));
}

TEST_F(EmbeddedStore, SaysThatTheFileIsNotARegistry) {
  std::ofstream(path()) << std::string(8192, 'x');
  const absl::Status status = OpenStatus();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path()));
}

TEST_F(EmbeddedStore, SaysThatTheFileIsDamaged) {
  auto store = Open();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(store->PutKey(absl::StrCat("key", i), std::string(2000, 'x')).ok());
  }
  store.reset();
  {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    const auto size = std::filesystem::file_size(path());
    ASSERT_GT(size, 3 * 4096U);
    // Everything but the first page, so that it is only noticed when it is looked for.
    file.seekp(4096);
    file << std::string(size - 4096, '\x5a');
  }
  const absl::Status status = OpenStatus();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
}

TEST_F(EmbeddedStore, RefusesAFormatThatANewerVersionWrote) {
  Open().reset();
  {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(60);  // user_version, see SQLite's file format
    file.write("\0\0\0\x63", 4);
  }
  const absl::Status status = OpenStatus();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("format 99"));
}

// Runs `child` in a process of its own; its exit status.
int InChild(const std::function<int()>& child) {
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(child());
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(EmbeddedStore, RefusesCommitsOnAFullDiskAndTakesThemAgainWhenThereIsSpace) {
  constexpr int kSkip = 77;
  const int status = InChild([this]() -> int {
    // A small disk, in a mount namespace of the child's.
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return kSkip;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kSkip;
    if (mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, "size=2m") != 0) return kSkip;
    std::ofstream ballast(dir_.path() + "/ballast");
    ballast << std::string(size_t{1} << 20, 'x') << std::flush;
    auto store = Open();
    int acknowledged = 0;
    absl::Status full;
    while (full.ok() && acknowledged < 1000) {
      Txn txn;
      for (const char* half : {"a", "b"}) {
        txn.ops.emplace_back(Put{absl::StrCat(half, acknowledged), std::string(20'000, 'x')});
      }
      full = store->Commit(std::move(txn)).status();
      if (full.ok()) ++acknowledged;
    }
    EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
    EXPECT_THAT(std::string(full.message()), HasSubstr("free space"));
    EXPECT_GT(acknowledged, 0);
    // Nothing half done, and what was acknowledged is there.
    for (const char* half : {"a", "b"}) {
      EXPECT_THAT(store->Range(PrefixRange(half))->kvs, SizeIs(acknowledged));
    }
    std::filesystem::remove(dir_.path() + "/ballast");
    EXPECT_TRUE(store->PutKey("c", "x").ok());
    store.reset();
    store = Open();
    for (const char* half : {"a", "b"}) {
      EXPECT_THAT(store->Range(PrefixRange(half))->kvs, SizeIs(acknowledged));
    }
    EXPECT_THAT(store->Range(PrefixRange("c"))->kvs, SizeIs(1));
    store.reset();
    return testing::Test::HasFailure() ? 1 : 0;
  });
  if (status == kSkip) GTEST_SKIP() << "may not mount a small disk here";
  EXPECT_EQ(status, 0);
}

TEST_F(EmbeddedStore, LosesNothingThatItAcknowledgedWhenItIsKilled) {
  for (int round = 0; round < 5; ++round) {
    int acknowledged[2];
    ASSERT_EQ(pipe2(acknowledged, O_CLOEXEC), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      auto store = Open();
      // Many at once, in transactions that share a sync; each number is written when its commit is
      // acknowledged.
      for (int i = 0;; ++i) {
        store->thread().Call([&] {
          store->store().Commit({.ops = {Put{absl::StrCat("a", round, "/", i), "x"},
                                         Put{absl::StrCat("b", round, "/", i), "x"}}},
                                [i, fd = acknowledged[1]](const absl::StatusOr<TxnResult>& result) {
                                  if (!result.ok() || write(fd, &i, sizeof(i)) != sizeof(i))
                                    _exit(1);
                                });
        });
      }
    }
    close(acknowledged[1]);
    std::vector<int> promised;
    int number = 0;
    const size_t enough = 200 + 137 * static_cast<size_t>(round);
    while (promised.size() < enough && read(acknowledged[0], &number, sizeof(number)) > 0) {
      promised.push_back(number);
    }
    EXPECT_EQ(promised.size(), enough);
    kill(pid, SIGKILL);
    while (read(acknowledged[0], &number, sizeof(number)) > 0) promised.push_back(number);
    close(acknowledged[0]);
    waitpid(pid, nullptr, 0);

    auto store = Open();
    for (const char* half : {"a", "b"}) {
      const auto kept = store->Range(PrefixRange(absl::StrCat(half, round, "/")));
      ASSERT_TRUE(kept.ok()) << kept.status();
      // Commits are done in their order: n of them acknowledged means that 0 to n-1 are there.
      EXPECT_GE(kept->kvs.size(), promised.size());
      EXPECT_EQ(kept->kvs.size(),
                store->Range(PrefixRange(absl::StrCat("a", round, "/")))->kvs.size());
    }
  }
}

}  // namespace
}  // namespace fleet::store
