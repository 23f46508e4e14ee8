#include "agent/membership.h"

#include <gtest/gtest.h>

#include "registry/codec.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"

namespace fleet::agent {
namespace {

const registry::Keys kKeys("/fleet/");

class MembershipTest : public ::testing::Test {
 protected:
  std::unique_ptr<Membership> Make(const std::string& token, const std::string& boot,
                                   bool was_member = false) {
    return std::make_unique<Membership>(
        &store_, &executor_, kKeys, "m1",
        MachineRecord{.address = "10.0.0.1", .boot_id = boot, .token = token}, was_member,
        Membership::Hooks{[this] { ++joined_; }, [this] { ++lease_shared_; }});
  }
  store::LeaseId Grant() {
    store::LeaseId lease = 0;
    store_.LeaseGrant(absl::Seconds(10), [&](auto granted) { lease = granted->id; });
    executor_.RunUntilIdle();
    return lease;
  }
  const store::KeyValue* Stored() {
    const auto it = store_.contents().find(kKeys.Machine("m1"));
    return it == store_.contents().end() ? nullptr : &it->second;
  }

  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  int joined_ = 0;
  int lease_shared_ = 0;
};

TEST_F(MembershipTest, PutsItsRecordUnderTheLease) {
  const auto member = Make("token", "boot");
  const auto lease = Grant();
  EXPECT_FALSE(member->joined());
  member->OnLease(lease);
  executor_.RunUntilIdle();
  EXPECT_TRUE(member->joined());
  EXPECT_EQ(joined_, 1);
  ASSERT_NE(Stored(), nullptr);
  EXPECT_EQ(Stored()->lease, lease);
}

TEST_F(MembershipTest, ARestartOfFleetdKeepsTheRecordAndTheStates) {
  const auto lease = Grant();
  auto member = Make("token", "boot");
  member->OnLease(lease);
  executor_.RunUntilIdle();
  store_.Set(kKeys.State("m1", "a.service"), "state");
  const int64_t created = Stored()->create_revision;
  member = Make("token", "boot");
  member->OnLease(lease);
  executor_.RunUntilIdle();
  EXPECT_EQ(Stored()->create_revision, created);
  EXPECT_TRUE(store_.contents().contains(kKeys.State("m1", "a.service")));
  EXPECT_EQ(joined_, 2);
}

TEST_F(MembershipTest, ARebootTakesTheRecordOverAndDropsTheOldStates) {
  auto member = Make("token", "boot1");
  member->OnLease(Grant());
  executor_.RunUntilIdle();
  store_.Set(kKeys.State("m1", "a.service"), "state");
  member = Make("token", "boot2");
  const auto lease = Grant();
  member->OnLease(lease);
  executor_.RunUntilIdle();
  EXPECT_TRUE(member->joined());
  ASSERT_NE(Stored(), nullptr);
  EXPECT_EQ(Stored()->lease, lease);
  EXPECT_FALSE(store_.contents().contains(kKeys.State("m1", "a.service")));
}

TEST_F(MembershipTest, AnotherMachineWithTheSameIdDoesNotJoinUntilTheFirstIsGone) {
  const auto first = Make("token", "boot");
  const auto lease = Grant();
  first->OnLease(lease);
  executor_.RunUntilIdle();
  const auto second = Make("another token", "boot");
  second->OnLease(Grant());
  executor_.Advance(absl::Minutes(1));
  EXPECT_FALSE(second->joined());
  EXPECT_EQ(second->status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_NE(std::string(second->status().message()).find("10.0.0.1"), std::string::npos);
  EXPECT_EQ(registry::DecodeMachine(Stored()->value)->token, "token");
  store_.EndLease(lease);
  executor_.Advance(absl::Seconds(5));
  EXPECT_TRUE(second->joined());
}

TEST_F(MembershipTest, ANewLeaseMeansJoiningAgain) {
  const auto member = Make("token", "boot");
  const auto lease = Grant();
  member->OnLease(lease);
  executor_.RunUntilIdle();
  store_.EndLease(lease);
  member->OnLeaseLost();
  EXPECT_FALSE(member->joined());
  member->OnLease(Grant());
  executor_.RunUntilIdle();
  EXPECT_TRUE(member->joined());
  EXPECT_EQ(joined_, 2);
}

TEST_F(MembershipTest, AnUpdateIsStoredUnderTheSameLease) {
  const auto member = Make("token", "boot");
  const auto lease = Grant();
  member->OnLease(lease);
  executor_.RunUntilIdle();
  MachineRecord record = member->record();
  record.metadata = {{"zone", "b"}};
  bool done = false;
  member->Update(record, [&] { done = true; });
  executor_.RunUntilIdle();
  EXPECT_TRUE(done);
  EXPECT_EQ(registry::DecodeMachine(Stored()->value)->metadata.at("zone"), "b");
  EXPECT_EQ(Stored()->lease, lease);
  EXPECT_EQ(joined_, 1);
}

TEST_F(MembershipTest, ACopyOfThisMachineIsNotFought) {
  const auto lease = Grant();
  const auto first = Make("token", "boot1");
  first->OnLease(lease);
  executor_.RunUntilIdle();
  const auto copy = Make("token", "boot2");  // the same image, the saved lease too
  copy->OnLease(lease);
  executor_.Advance(absl::Minutes(1));
  EXPECT_TRUE(copy->joined());
  EXPECT_FALSE(first->joined());
  EXPECT_EQ(first->status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_NE(std::string(first->status().message()).find("copy"), std::string::npos);
  EXPECT_GE(lease_shared_, 1);
  const int64_t put_at = Stored()->mod_revision;
  first->OnLeaseLost();  // it is not renewed any more
  first->OnLease(Grant());
  executor_.Advance(absl::Minutes(1));
  EXPECT_FALSE(first->joined());
  EXPECT_EQ(Stored()->mod_revision, put_at);
  store_.EndLease(lease);
  copy->OnLeaseLost();
  executor_.Advance(absl::Seconds(5));
  EXPECT_TRUE(first->joined());
}

TEST_F(MembershipTest, ACopyIsNotFoughtByARestartedFleetdEither) {
  const auto lease = Grant();
  const auto copy = Make("token", "boot2");
  copy->OnLease(lease);
  executor_.RunUntilIdle();
  const auto restarted = Make("token", "boot1", /*was_member=*/true);
  restarted->OnLease(lease);
  executor_.Advance(absl::Minutes(1));
  EXPECT_FALSE(restarted->joined());
  EXPECT_TRUE(copy->joined());
}

TEST_F(MembershipTest, ARecordThatVanishesIsPutAnew) {
  const auto member = Make("token", "boot");
  const auto lease = Grant();
  member->OnLease(lease);
  executor_.Advance(absl::Seconds(1));
  store_.Erase(kKeys.Machine("m1"));
  executor_.Advance(absl::Seconds(1));
  EXPECT_TRUE(member->joined());
  ASSERT_NE(Stored(), nullptr);
  EXPECT_EQ(Stored()->lease, lease);
  EXPECT_EQ(joined_, 2);  // what hangs on the record is read again
}

TEST_F(MembershipTest, ARecordThatIsAsItWasPutIsNotWrittenAgain) {
  const auto member = Make("token", "boot");
  member->OnLease(Grant());
  executor_.Advance(absl::Seconds(1));
  for (int i = 0; i < 5; ++i) {
    member->Update(member->record(), nullptr);
    executor_.Advance(absl::Seconds(1));
  }
  store_.BreakWatches(absl::UnavailableError("gone"));
  executor_.Advance(absl::Seconds(5));
  const int commits = store_.commits();
  store_.BreakWatches(absl::OutOfRangeError("compacted"));
  executor_.Advance(absl::Minutes(5));
  EXPECT_EQ(store_.commits(), commits);
  EXPECT_EQ(commits, 6);
  EXPECT_TRUE(member->joined());
}

TEST_F(MembershipTest, AnEmptiedDiskJoinsWhenTheOldLeaseHasEnded) {
  const auto lease = Grant();
  auto member = Make("token", "boot1");
  member->OnLease(lease);
  executor_.RunUntilIdle();
  store_.Set(kKeys.State("m1", "a.service"), "state");
  member = Make("new token", "boot2");
  member->OnLease(Grant());
  executor_.Advance(absl::Seconds(5));
  EXPECT_FALSE(member->joined());
  EXPECT_NE(std::string(member->status().message()).find("its disk was emptied"),
            std::string::npos);
  store_.EndLease(lease);
  executor_.Advance(absl::Seconds(5));
  EXPECT_TRUE(member->joined());
}

TEST_F(MembershipTest, ARebootTakesTheRecordOverInOneTransactionAndEndsTheOldLease) {
  auto member = Make("token", "boot1");
  const auto old_lease = Grant();
  member->OnLease(old_lease);
  executor_.RunUntilIdle();
  store_.Set(kKeys.State("m1", "a.service"), "state");
  const int commits = store_.commits();
  member = Make("token", "boot2");
  const auto lease = Grant();
  member->OnLease(lease);
  executor_.Advance(absl::Seconds(1));
  EXPECT_EQ(store_.commits(), commits + 1);
  absl::StatusOr<absl::Duration> kept = absl::UnknownError("no answer");
  store_.LeaseKeepAlive(old_lease, [&](auto ttl) { kept = ttl; });
  executor_.RunUntilIdle();
  EXPECT_TRUE(absl::IsNotFound(kept.status()));
  ASSERT_NE(Stored(), nullptr);
  EXPECT_EQ(Stored()->lease, lease);
}

TEST_F(MembershipTest, AFleetdThatDiedBeforeJoiningJoinsUnderTheSavedLease) {
  const auto lease = Grant();
  auto member = Make("token", "boot");
  member->OnLease(lease);
  member.reset();
  executor_.RunUntilIdle();
  member = Make("token", "boot");
  member->OnLease(lease);
  executor_.Advance(absl::Seconds(1));
  EXPECT_TRUE(member->joined());
  ASSERT_NE(Stored(), nullptr);
  EXPECT_EQ(Stored()->lease, lease);
}

TEST_F(MembershipTest, AStoreThatIsAwayIsTriedAgain) {
  const auto member = Make("token", "boot");
  const auto lease = Grant();
  for (int i = 0; i < 5; ++i) store_.FailNext(absl::UnavailableError("no route"));
  member->OnLease(lease);
  executor_.RunUntilIdle();
  EXPECT_FALSE(member->joined());
  executor_.Advance(absl::Seconds(10));
  EXPECT_TRUE(member->joined());
}

}  // namespace
}  // namespace fleet::agent
