// What only a store on etcd can meet: lost connections, members that fail, logins, certificates.

#include "store/etcd/etcd_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "store/testing/authority.h"
#include "store/testing/etcd_process.h"
#include "store/testing/sync_store.h"

namespace fleet::store {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::unique_ptr<SyncStore> Open(EtcdOptions options) {
  return std::make_unique<SyncStore>([&](Executor* executor) {
    auto store = MakeEtcdStore(options, executor);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  });
}

// Calls `f` until its status is OK, as a caller with patience does.
absl::Status Eventually(const std::function<absl::Status()>& f) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  absl::Status status = f();
  while (!status.ok() && std::chrono::steady_clock::now() < end) status = f();
  return status;
}

absl::Status Put1(SyncStore& store, const std::string& key) {
  return store.PutKey(key, "1").status();
}

// --- Options ---

absl::Status OptionStatus(EtcdOptions options) {
  LoopThread loop;
  return loop.Call([&] { return MakeEtcdStore(options, loop.loop()).status(); });
}

TEST(EtcdStoreOptions, RefusesWhatIsNotAnEndpoint) {
  for (const char* bad : {"", "localhost:2379", "ftp://a:1", "http://", "http://:2379",
                          "http://a:b", "http://a:1/path", "http://a:1,http://b:1"}) {
    const absl::Status status = OptionStatus({.endpoints = {bad}});
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad << ": " << status;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(OptionStatus({})));
  for (const char* good : {"http://a:1", "https://a.example:2379/", "http://[::1]:2379"}) {
    EXPECT_TRUE(OptionStatus({.endpoints = {good}}).ok()) << good;
  }
}

TEST(EtcdStoreOptions, SaysWhichCertificateFileCannotBeRead) {
  const absl::Status status =
      OptionStatus({.endpoints = {"https://a:1"}, .cafile = "/no/such/ca.pem"});
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/ca.pem"));
  EXPECT_TRUE(absl::IsInvalidArgument(
      OptionStatus({.endpoints = {"https://a:1"}, .certfile = "/etc/hostname"})));
}

// --- One member ---

TEST(EtcdStore, SaysWhichEndpointsItTriedAndWhyTheyFailed) {
  const std::string one = absl::StrCat("http://127.0.0.1:", FreePort());
  const std::string two = absl::StrCat("http://127.0.0.1:", FreePort());
  auto store = Open({.endpoints = {one, two}, .request_timeout = absl::Milliseconds(500)});
  for (const absl::Status& status :
       {store->Get("a").status(), Put1(*store, "a"), store->KeepAlive(1).status(),
        store->Grant(absl::Seconds(5)).status(), store->StartWatch({"a", ""}, 1)->End()}) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(one));
    EXPECT_THAT(std::string(status.message()), HasSubstr(two));
    EXPECT_THAT(std::string(status.message()), HasSubstr("Connection refused"));
  }
}

TEST(EtcdStore, GoesOnWhenEtcdComesBack) {
  EtcdProcess etcd;
  auto store = Open({.endpoints = {etcd.url()}, .request_timeout = absl::Seconds(5)});
  const auto lease = store->Grant(absl::Seconds(60));
  ASSERT_TRUE(lease.ok()) << lease.status();
  ASSERT_TRUE(store->KeepAlive(lease->id).ok());
  const auto put = store->PutKey("a", "1");
  ASSERT_TRUE(put.ok()) << put.status();
  auto watch = store->StartWatch({"a", ""}, put->revision);
  ASSERT_TRUE(watch->Events(1).ok());

  etcd.Kill();
  const absl::Status end = watch->End();
  EXPECT_TRUE(absl::IsUnavailable(end)) << end;
  EXPECT_FALSE(store->KeepAlive(lease->id).ok());

  etcd.Start();
  EXPECT_TRUE(Eventually([&] { return store->KeepAlive(lease->id).status(); }).ok());
  auto again = store->StartWatch({"a", ""}, put->revision + 1);
  EXPECT_TRUE(store->PutKey("a", "2").ok());
  EXPECT_TRUE(again->Events(1).ok());
}

TEST(EtcdStore, AnswersARequestThatWaitedForEtcdToCome) {
  EtcdProcess etcd;
  etcd.Kill();
  auto store = Open({.endpoints = {etcd.url()}, .request_timeout = absl::Seconds(20)});
  std::promise<absl::Status> answer;
  store->thread().Call([&] {
    store->store().Commit({.ops = {Put{"a", "1"}}}, [&](const absl::StatusOr<TxnResult>& result) {
      answer.set_value(result.status());
    });
  });
  etcd.Start();
  EXPECT_TRUE(answer.get_future().get().ok());
}

TEST(EtcdStore, ReportsACommitWithoutAnAnswerAsUnknownAndEndsWatches) {
  EtcdProcess etcd;
  auto store = Open({.endpoints = {etcd.url()}, .request_timeout = absl::Seconds(5)});
  const auto put = store->PutKey("a", "1");
  ASSERT_TRUE(put.ok()) << put.status();
  auto watch = store->StartWatch({"a", ""}, put->revision);
  ASSERT_TRUE(watch->Events(1).ok());
  ASSERT_TRUE(absl::IsNotFound(store->KeepAlive(1).status()));

  etcd.Pause();
  const absl::Status unknown = Put1(*store, "a");
  EXPECT_TRUE(absl::IsDeadlineExceeded(unknown)) << unknown;
  EXPECT_THAT(std::string(unknown.message()), HasSubstr(etcd.url()));
  EXPECT_FALSE(absl::IsNotFound(store->KeepAlive(1).status()));
  // The connection looks alive; only HTTP/2 pings tell.
  const absl::Status end = watch->End();
  EXPECT_TRUE(absl::IsUnavailable(end)) << end;
  etcd.Resume();
  EXPECT_TRUE(Eventually([&] { return Put1(*store, "a"); }).ok());
  EXPECT_TRUE(absl::IsNotFound(store->KeepAlive(1).status()));
}

TEST(EtcdStore, NoticesThatEtcdWasRestoredFromABackup) {
  EtcdProcess etcd;
  auto store = Open({.endpoints = {etcd.url()}, .request_timeout = absl::Seconds(10)});
  ASSERT_TRUE(Put1(*store, "a").ok());
  // A fresh etcd on the same port is as far behind as a restored one.
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Put1(*store, "a").ok());
  const int64_t seen = store->Get("a")->revision;
  etcd.Kill();
  etcd.RemoveData();
  etcd.Start();
  const absl::Status end = [&] {
    absl::Status status;
    do {
      status = store->StartWatch({"a", ""}, seen + 1)->End();
    } while (absl::IsUnavailable(status));
    return status;
  }();
  EXPECT_TRUE(absl::IsOutOfRange(end)) << end;
  EXPECT_THAT(std::string(end.message()), HasSubstr("restored"));
}

TEST(EtcdStore, SaysThatEtcdIsFull) {
  EtcdProcess etcd({.args = {"--quota-backend-bytes=4194304"}});
  auto store = Open({.endpoints = {etcd.url()}, .request_timeout = absl::Seconds(10)});
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    status = store->PutKey(absl::StrCat(i), std::string(500'000, 'x')).status();
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("database space exceeded"));
}

TEST(EtcdStore, RefusesAValueThatIsTooLarge) {
  EtcdProcess etcd;
  auto store = Open({.endpoints = {etcd.url()}, .request_timeout = absl::Seconds(10)});
  for (const size_t size : {size_t{1'700'000}, size_t{8'000'000}}) {
    const absl::Status status = store->PutKey("a", std::string(size, 'x')).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  }
}

TEST(EtcdStore, CatchesUpOverMoreRevisionsThanEtcdSendsAtOnce) {
  EtcdProcess etcd;
  auto store = Open({.endpoints = {etcd.url()}, .request_timeout = absl::Seconds(10)});
  constexpr int kRevisions = 3000;
  const auto first = store->PutKey("a", "0");
  ASSERT_TRUE(first.ok()) << first.status();
  store->thread().Call([&] {
    for (int i = 1; i < kRevisions; ++i) {
      store->store().Commit({.ops = {Put{"a", absl::StrCat(i)}}},
                            [](const absl::StatusOr<TxnResult>&) {});
    }
  });
  ASSERT_TRUE(store->StartWatch({"a", ""}, first->revision)->Events(kRevisions).ok());
  // While a watch catches up, etcd's header is ahead of the events: `revision` must not be.
  auto watch = store->StartWatch({"a", ""}, first->revision);
  int64_t last = first->revision - 1;
  while (last < first->revision + kRevisions - 1) {
    const auto batch = watch->Next();
    ASSERT_TRUE(batch.ok()) << batch.status();
    EXPECT_EQ(batch->events.front().kv.mod_revision, last + 1);
    EXPECT_EQ(batch->events.back().kv.mod_revision, batch->revision);
    last = batch->revision;
  }
}

TEST(EtcdStore, DeliversProgressOfAQuietWatch) {
  EtcdProcess etcd({.args = {"--experimental-watch-progress-notify-interval=100ms"}});
  auto store = Open({.endpoints = {etcd.url()}, .request_timeout = absl::Seconds(10)});
  ASSERT_TRUE(Put1(*store, "other").ok());
  auto reached = std::make_shared<std::promise<void>>();
  std::unique_ptr<Watch> watch;
  const int64_t target = store->Get("a")->revision + 5;
  store->thread().Call([&] {
    watch = store->store().StartWatch(
        {"a", ""}, target - 4,
        [reached, target, done = false](const absl::StatusOr<WatchBatch>& batch) mutable {
          if (done || !batch.ok() || batch->revision < target) return;
          EXPECT_THAT(batch->events, SizeIs(0));
          done = true;
          reached->set_value();
        });
  });
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Put1(*store, "other").ok());
  EXPECT_EQ(reached->get_future().wait_for(kPatience), std::future_status::ready);
  store->thread().Call([&] { watch.reset(); });
}

// --- Three members ---

class EtcdCluster : public testing::Test {
 protected:
  EtcdCluster() : members_(EtcdProcess::Cluster(3)) {
    EtcdOptions options{.request_timeout = absl::Seconds(2)};
    for (const auto& member : members_) options.endpoints.push_back(member->url());
    store_ = Open(options);
    EXPECT_TRUE(Eventually([this] { return Put1(*store_, "a"); }).ok());
  }

  std::vector<std::unique_ptr<EtcdProcess>> members_;
  std::unique_ptr<SyncStore> store_;
};

TEST_F(EtcdCluster, GoesOnWithTheOtherMembersWhenAnyOneDies) {
  const auto lease = store_->Grant(absl::Seconds(60));
  ASSERT_TRUE(lease.ok()) << lease.status();
  for (auto& member : members_) {
    member->Kill();
    EXPECT_TRUE(Eventually([&] { return Put1(*store_, "a"); }).ok()) << member->url();
    EXPECT_TRUE(Eventually([&] { return store_->KeepAlive(lease->id).status(); }).ok());
    member->Start();
    // Only when this one takes part again may the next one go.
    auto own = Open({.endpoints = {member->url()}, .request_timeout = absl::Seconds(2)});
    EXPECT_TRUE(Eventually([&] { return Put1(*own, "a"); }).ok());
  }
}

TEST_F(EtcdCluster, GoesOnWithTheOtherMembersWhenAnyOneHangs) {
  const auto lease = store_->Grant(absl::Seconds(60));
  ASSERT_TRUE(lease.ok()) << lease.status();
  for (auto& member : members_) {
    member->Pause();
    EXPECT_TRUE(Eventually([&] { return Put1(*store_, "a"); }).ok()) << member->url();
    EXPECT_TRUE(Eventually([&] { return store_->KeepAlive(lease->id).status(); }).ok());
    EXPECT_TRUE(Eventually([&] {
                  return store_->StartWatch({"a", ""}, 1)->Events(1).status();
                }).ok());
    member->Resume();
    auto own = Open({.endpoints = {member->url()}, .request_timeout = absl::Seconds(2)});
    EXPECT_TRUE(Eventually([&] { return Put1(*own, "a"); }).ok());
  }
}

TEST_F(EtcdCluster, AWatchLeavesAMemberThatHangsWithTheRequests) {
  // Nobody knows at which member the watch is: each of them hangs once.
  for (auto& member : members_) {
    const auto before = store_->PutKey("w", "1");
    ASSERT_TRUE(before.ok()) << before.status();
    auto watch = store_->StartWatch({"w", ""}, before->revision);
    ASSERT_TRUE(watch->Events(1).ok());
    member->Pause();
    EXPECT_TRUE(Eventually([&] { return Put1(*store_, "w"); }).ok()) << member->url();
    // It goes on, or ends, before gRPC finds out that the connection is dead.
    const absl::Status told = watch->Events(1).status();
    EXPECT_TRUE(told.ok() || absl::IsUnavailable(told)) << member->url() << ": " << told;
    member->Resume();
    auto own = Open({.endpoints = {member->url()}, .request_timeout = absl::Seconds(2)});
    EXPECT_TRUE(Eventually([&] { return Put1(*own, "a"); }).ok());
  }
}

TEST_F(EtcdCluster, DoesNotWaitForAMemberThatHasNoLeader) {
  // The only endpoint is the last member of three: it can do nothing, and the error says so.
  auto own = Open({.endpoints = {members_[2]->url()}, .request_timeout = absl::Seconds(5)});
  const auto put = own->PutKey("b", "1");
  ASSERT_TRUE(put.ok()) << put.status();
  auto watch = own->StartWatch({"b", ""}, put->revision);
  ASSERT_TRUE(watch->Events(1).ok());
  members_[0]->Kill();
  members_[1]->Kill();
  // A watch on it would be silent for ever.
  const absl::Status end = watch->End();
  EXPECT_TRUE(absl::IsUnavailable(end)) << end;
  EXPECT_THAT(std::string(end.message()), HasSubstr("no leader"));
  const absl::Status commit = Put1(*own, "b");
  EXPECT_TRUE(absl::IsUnavailable(commit)) << "nothing has happened: " << commit;
  members_[0]->Start();
  EXPECT_TRUE(Eventually([&] { return Put1(*own, "b"); }).ok());
}

// --- Certificates ---

class EtcdTls : public testing::Test {
 protected:
  EtcdTls() {
    authority_.Issue("server",
                     "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n");
    authority_.Issue("root", "extendedKeyUsage=clientAuth\n");
    etcd_ = std::make_unique<EtcdProcess>(EtcdProcess::Options{
        .args = {"--cert-file=" + authority_.File("server.pem"),
                 "--key-file=" + authority_.File("server.key"),
                 "--trusted-ca-file=" + authority_.File("ca.pem"), "--client-cert-auth"},
        .https = true});
  }
  EtcdOptions Options() const {
    return {.endpoints = {etcd_->url()},
            .request_timeout = absl::Seconds(5),
            .cafile = authority_.File("ca.pem"),
            .certfile = authority_.File("root.pem"),
            .keyfile = authority_.File("root.key")};
  }

  Authority authority_;
  std::unique_ptr<EtcdProcess> etcd_;
};

// What a store says in the end: its first connection may take longer than a request.
absl::Status UntilItSays(std::string_view text, const std::function<absl::Status()>& f) {
  absl::Status status;
  for (int i = 0; i < 20; ++i) {
    status = f();
    if (std::string(status.message()).find(text) != std::string::npos) break;
  }
  return status;
}

TEST_F(EtcdTls, ConnectsWithAClientCertificate) {
  auto store = Open(Options());
  EXPECT_TRUE(Put1(*store, "a").ok());
  EXPECT_THAT(store->Get("a")->kvs, SizeIs(1));
}

TEST_F(EtcdTls, DoesNotTalkToAServerThatAnotherAuthorityVouchesFor) {
  ASSERT_TRUE(Put1(*Open(Options()), "a").ok());
  const Authority other;
  EtcdOptions options = Options();
  options.cafile = other.File("ca.pem");
  options.request_timeout = absl::Seconds(1);
  auto store = Open(options);
  constexpr std::string_view kWhy = "certificate verify failed";
  const absl::Status status = UntilItSays(kWhy, [&] { return Put1(*store, "a"); });
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(kWhy));
}

TEST_F(EtcdTls, AsksForItsFilesWithEachNewConnection) {
  EtcdOptions options = Options();
  const EtcdTlsFiles right = {options.cafile, options.certfile, options.keyfile};
  const Authority other;
  std::atomic<bool> is_right = false;
  options.tls_files = [&] {
    return is_right ? right : EtcdTlsFiles{other.File("ca.pem"), right.certfile, right.keyfile};
  };
  options.request_timeout = absl::Seconds(1);
  auto store = Open(options);
  constexpr std::string_view kWhy = "has the authority in etcd_cafile signed";
  const absl::Status status = UntilItSays(kWhy, [&] { return Put1(*store, "a"); });
  EXPECT_THAT(std::string(status.message()), HasSubstr(kWhy));
  is_right = true;
  absl::Status later = status;
  for (int i = 0; i < 10 && !later.ok(); ++i) later = Put1(*store, "a");
  EXPECT_EQ(later, absl::OkStatus());
}

TEST_F(EtcdTls, IsNotServedWithoutAClientCertificate) {
  ASSERT_TRUE(Put1(*Open(Options()), "a").ok());
  EtcdOptions options = Options();
  options.certfile = options.keyfile = "";
  options.request_timeout = absl::Seconds(1);
  auto store = Open(options);
  constexpr std::string_view kWhy = "client certificate";
  const absl::Status status = UntilItSays(kWhy, [&] { return store->Get("a").status(); });
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(kWhy));
}

TEST_F(EtcdTls, UsesARenewedCertificateForTheNextConnection) {
  EtcdOptions options = Options();
  options.request_timeout = absl::Seconds(10);
  auto store = Open(options);
  ASSERT_TRUE(Put1(*store, "a").ok());
  // The old authority goes; everybody gets certificates of the new one.
  const Authority renewed;
  renewed.Issue("server", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n");
  renewed.Issue("root", "extendedKeyUsage=clientAuth\n");
  for (const char* file : {"ca.pem", "server.pem", "server.key", "root.pem", "root.key"}) {
    std::filesystem::copy_file(renewed.File(file), authority_.File(file),
                               std::filesystem::copy_options::overwrite_existing);
  }
  etcd_->Kill();
  etcd_->Start();
  EXPECT_TRUE(Eventually([&] { return Put1(*store, "a"); }).ok());
}

// --- Users ---

class EtcdUsers : public testing::Test {
 protected:
  explicit EtcdUsers(std::vector<std::string> args = {}) {
    etcd_ = std::make_unique<EtcdProcess>(EtcdProcess::Options{.args = std::move(args)});
    auto store = Open({.endpoints = {etcd_->url()}, .request_timeout = absl::Seconds(10)});
    EXPECT_TRUE(Put1(*store, "secret").ok());  // waits until etcd is there
    for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
             {"user", "add", "root:rootpw"},
             {"user", "grant-role", "root", "root"},
             {"role", "add", "fleet"},
             {"role", "grant-permission", "fleet", "--prefix=true", "readwrite", "/fleet/"},
             {"user", "add", "fleet:pw"},
             {"user", "grant-role", "fleet", "fleet"},
             {"auth", "enable"}}) {
      etcd_->Ctl(command);
    }
  }
  EtcdOptions Options() const {
    return {.endpoints = {etcd_->url()},
            .request_timeout = absl::Seconds(10),
            .username = "fleet",
            .password = "pw"};
  }

  std::unique_ptr<EtcdProcess> etcd_;
};

TEST_F(EtcdUsers, LogsInAndIsHeldToItsPermissions) {
  auto store = Open(Options());
  EXPECT_TRUE(Put1(*store, "/fleet/a").ok());
  EXPECT_THAT(store->Get("/fleet/a")->kvs, SizeIs(1));
  const absl::Status read = store->Get("secret").status();
  EXPECT_TRUE(absl::IsPermissionDenied(read)) << read;
  const absl::Status watch = store->StartWatch({"secret", ""}, 1)->End();
  EXPECT_TRUE(absl::IsPermissionDenied(watch)) << watch;
}

TEST_F(EtcdUsers, SaysThatThePasswordIsWrongOrMissing) {
  EtcdOptions options = Options();
  options.password = "wrong";
  const absl::Status wrong = Put1(*Open(options), "/fleet/a");
  EXPECT_TRUE(absl::IsUnauthenticated(wrong)) << wrong;
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("etcd_password"));
  options.username = options.password = "";
  const absl::Status missing = Put1(*Open(options), "/fleet/a");
  EXPECT_TRUE(absl::IsUnauthenticated(missing)) << missing;
  EXPECT_THAT(std::string(missing.message()), HasSubstr("etcd_username"));
}

TEST_F(EtcdUsers, LogsInAgainWhenEtcdHasForgottenTheToken) {
  auto store = Open(Options());
  const auto put = store->PutKey("/fleet/a", "1");
  ASSERT_TRUE(put.ok()) << put.status();
  etcd_->Kill();
  etcd_->Start();
  // Reads are the first to know, then watches: each has to find out for itself.
  EXPECT_TRUE(Eventually([&] { return Put1(*store, "/fleet/a"); }).ok());
  etcd_->Kill();
  etcd_->Start();
  EXPECT_TRUE(Eventually([&] {
                return store->StartWatch({"/fleet/a", ""}, put->revision)->Events(2).status();
              }).ok());
  EXPECT_TRUE(Put1(*store, "/fleet/a").ok());
}

TEST_F(EtcdUsers, WorksWithALoginWhereNoneIsAskedFor) {
  EtcdProcess open;
  EtcdOptions options = Options();
  options.endpoints = {open.url()};
  EXPECT_TRUE(Put1(*Open(options), "/fleet/a").ok());
}

class EtcdTokens : public EtcdUsers {
 protected:
  EtcdTokens() : EtcdUsers({"--auth-token-ttl=1"}) {}
};

TEST_F(EtcdTokens, LogsInAgainWhenTheTokenHasExpired) {
  auto store = Open(Options());
  const auto lease = store->Grant(absl::Seconds(4));
  ASSERT_TRUE(lease.ok()) << lease.status();
  const auto put = store->PutKey("/fleet/a", "1", lease->id);
  ASSERT_TRUE(put.ok()) << put.status();
  // When the lease has ended the token has long expired.
  auto watch = store->StartWatch({"/fleet/a", ""}, put->revision + 1);
  ASSERT_TRUE(watch->Events(1).ok());
  const absl::Status status = Put1(*store, "/fleet/a");
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace fleet::store
