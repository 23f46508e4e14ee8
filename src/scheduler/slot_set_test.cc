#include "scheduler/slot_set.h"

#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

template <typename Set>
std::vector<Slot> Members(const Set& set) {
  std::vector<Slot> members;
  set.ForEach([&](Slot slot) { members.push_back(slot); });
  return members;
}

Bits Of(const std::vector<Slot>& slots) {
  Bits bits;
  for (const Slot slot : slots) bits.Set(slot);
  return bits;
}

SlotSet SetOf(const std::vector<Slot>& slots) {
  SlotSet set;
  for (const Slot slot : slots) set.Insert(slot);
  return set;
}

// 0, 3, 6, …: enough of them that the set is no longer kept as a list.
std::vector<Slot> Many() {
  std::vector<Slot> slots;
  for (Slot slot = 0; slot < 300; slot += 3) slots.push_back(slot);
  return slots;
}

TEST(Bits, CombineWhateverTheirLengths) {
  Bits bits = Of({1, 64, 200});
  bits |= Of({2});
  EXPECT_THAT(Members(bits), ElementsAre(1, 2, 64, 200));
  EXPECT_EQ(bits.Count(), 4U);
  bits -= Of({64, 1000});
  EXPECT_THAT(Members(bits), ElementsAre(1, 2, 200));
  bits &= Of({2, 3});
  EXPECT_THAT(Members(bits), ElementsAre(2));
  bits |= Of({500});
  EXPECT_TRUE(bits.Test(500));
  EXPECT_FALSE(bits.Test(501));
  EXPECT_FALSE(bits.Test(100000));
}

TEST(Bits, AreEmptyAgainWhenAllAreCleared) {
  Bits bits;
  EXPECT_TRUE(bits.Empty());
  bits.Set(100);
  EXPECT_FALSE(bits.Empty());
  bits.Clear(100);
  EXPECT_TRUE(bits.Empty());
}

TEST(SlotSet, IsTheSameSetFewOrMany) {
  SlotSet set;
  std::set<Slot> expected;
  for (const Slot slot : Many()) {
    set.Insert(slot);
    set.Insert(slot);
    expected.insert(slot);
    ASSERT_EQ(set.size(), expected.size());
    ASSERT_THAT(Members(set), ElementsAreArray(expected));
  }
  set.Erase(1);
  for (const Slot slot : Many()) {
    set.Erase(slot);
    set.Erase(slot);
    expected.erase(slot);
    ASSERT_FALSE(set.Contains(slot));
    ASSERT_THAT(Members(set), ElementsAreArray(expected));
  }
  EXPECT_TRUE(set.empty());
}

TEST(SlotSet, CombinesWithBitsFewOrMany) {
  for (const std::vector<Slot>& slots : {std::vector<Slot>{6, 7, 99}, Many()}) {
    const SlotSet set = SetOf(slots);
    Bits all = Of({1});
    all |= set;
    EXPECT_EQ(all.Count(), slots.size() + 1);
    Bits common = Of({1, 6, 99});
    common &= set;
    EXPECT_THAT(Members(common), ElementsAre(6, 99));
    Bits rest = Of({1, 6, 99});
    rest -= set;
    EXPECT_THAT(Members(rest), ElementsAre(1));
  }
}

TEST(SlotCounts, CountPerMachine) {
  SlotCounts counts;
  counts.Increment(7);
  counts.Increment(7);
  counts.Increment(7);
  counts.Increment(2);
  EXPECT_EQ(counts.At(7), 3U);
  EXPECT_EQ(counts.At(2), 1U);
  EXPECT_EQ(counts.At(3), 0U);
  counts.Decrement(7);
  EXPECT_EQ(counts.At(7), 2U);
  counts.Decrement(7);
  counts.Decrement(7);
  EXPECT_EQ(counts.At(7), 0U);
  EXPECT_THAT(Members(counts.slots()), ElementsAre(2));
}

}  // namespace
}  // namespace fleet::scheduler
