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
  std::unique_ptr<Membership> Make(const std::string& token, const std::string& boot) {
    return std::make_unique<Membership>(
        &store_, &executor_, kKeys, "m1",
        MachineRecord{.address = "10.0.0.1", .boot_id = boot, .token = token},
        [this] { ++joined_; });
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
