#include "engine/transaction.h"

#include <gtest/gtest.h>

#include <set>

namespace fleet::engine {
namespace {

const registry::Keys kKeys("/fleet/");

reconcile::Decision Placement(const std::string& unit, const std::string& machine) {
  using reconcile::Guard;
  reconcile::Decision decision;
  decision.units = {unit};
  decision.guards = {{Guard::Kind::kUnit, unit, "", 7},
                     {Guard::Kind::kMachine, "", machine, 3},
                     {Guard::Kind::kSettings, "", machine, 0}};
  decision.writes.emplace_back(
      reconcile::PutAssignment{unit, machine, Assignment{.uid = "u", .generation = 1}});
  return decision;
}

TEST(Transaction, EachCarriesTheFence) {
  const auto txn = MakeTransaction(kKeys, Fence{42}, {Placement("a.service", "m1")});
  ASSERT_FALSE(txn.compares.empty());
  EXPECT_EQ(txn.compares[0].key, kKeys.Leader());
  EXPECT_EQ(txn.compares[0].revision, 42);
  EXPECT_EQ(txn.compares[0].target, store::Compare::Target::kModRevision);
}

TEST(Transaction, AMachineIsComparedByItsCreationAndAUnitByItsLastChange) {
  const auto txn = MakeTransaction(kKeys, Fence{42}, {Placement("a.service", "m1")});
  std::set<std::pair<std::string, store::Compare::Target>> compares;
  for (const auto& compare : txn.compares) compares.insert({compare.key, compare.target});
  EXPECT_TRUE(compares.contains({kKeys.Machine("m1"), store::Compare::Target::kCreateRevision}));
  EXPECT_TRUE(compares.contains({kKeys.Unit("a.service"), store::Compare::Target::kModRevision}));
}

TEST(Transaction, SharedComparesStandInItOnce) {
  const auto txn = MakeTransaction(kKeys, Fence{42},
                                   {Placement("a.service", "m1"), Placement("b.service", "m1")});
  EXPECT_EQ(txn.compares.size(), 5u);  // the fence, two units, the machine, its settings
  EXPECT_EQ(txn.ops.size(), 2u);
}

TEST(Transaction, ManyDecisionsAreSplitWithinTheStoresLimitAndKeepTheirOrder) {
  std::vector<reconcile::Decision> decisions;
  for (int i = 0; i < 500; ++i) {
    decisions.push_back(
        Placement("u" + std::to_string(i) + ".service", "m" + std::to_string(i % 3)));
  }
  const size_t reserved = 4;
  const auto groups = SplitIntoTransactions(kKeys, std::move(decisions), reserved);
  EXPECT_LE(groups.size(), 6u);
  int next = 0;
  for (const auto& group : groups) {
    const auto txn = MakeTransaction(kKeys, Fence{42}, group);
    EXPECT_LE(txn.compares.size(), store::kMaxTxnSize);
    EXPECT_LE(txn.ops.size() + reserved, store::kMaxTxnSize);
    for (const auto& decision : group) {
      EXPECT_EQ(decision.units[0], "u" + std::to_string(next++) + ".service");
    }
  }
  EXPECT_EQ(next, 500);
}

}  // namespace
}  // namespace fleet::engine
