#include "base/persistent_map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace fleet {
namespace {

using Map = PersistentMap<std::string, int>;

std::map<std::string, int> ToStd(const Map& map) { return {map.begin(), map.end()}; }

TEST(PersistentMap, BehavesLikeAnOrderedMap) {
  std::mt19937 random(7);
  Map map;
  std::map<std::string, int> expected;
  for (int step = 0; step < 20000; ++step) {
    const std::string key = std::to_string(random() % 2000);
    if (random() % 3 == 0) {
      EXPECT_EQ(map.Erase(key), expected.erase(key) == 1);
    } else {
      map.Set(key, step);
      expected[key] = step;
    }
    if (step % 1000 == 0) map.Freeze();
  }
  EXPECT_EQ(map.size(), expected.size());
  EXPECT_EQ(ToStd(map), expected);
  for (int i = 0; i < 2000; ++i) {
    const std::string key = std::to_string(i);
    const auto it = expected.lower_bound(key);
    const auto found = map.lower_bound(key);
    if (it == expected.end()) {
      EXPECT_EQ(found, map.end());
    } else {
      ASSERT_NE(found, map.end());
      EXPECT_EQ(found->first, it->first);
    }
    EXPECT_EQ(map.Find(key) != nullptr, expected.contains(key));
  }
}

TEST(PersistentMap, ACopyNeverSeesLaterChanges) {
  Map map;
  for (int i = 0; i < 1000; ++i) map.Set(std::to_string(i), i);
  map.Freeze();
  const Map frozen_copy = map;
  const auto before = ToStd(frozen_copy);
  map.Set("5", -1);
  map.Erase("6");
  map.Set("new", 1);
  EXPECT_EQ(ToStd(frozen_copy), before);
  const Map unfrozen_copy = map;  // of a map in the middle of an edit
  const auto middle = ToStd(unfrozen_copy);
  map.Set("5", -2);
  EXPECT_EQ(ToStd(unfrozen_copy), middle);
  EXPECT_EQ(*map.Find("5"), -2);
}

TEST(PersistentMap, AnEmptiedMapCanBeFilledAgain) {
  Map map;
  map.Set("a", 1);
  EXPECT_TRUE(map.Erase("a"));
  EXPECT_FALSE(map.Erase("a"));
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.begin(), map.end());
  map.Set("b", 2);
  EXPECT_EQ(*map.Find("b"), 2);
}

}  // namespace
}  // namespace fleet
