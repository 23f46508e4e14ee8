#include "model/following.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr FollowsBy kOf = FollowsBy::kMachineOf;
constexpr FollowsBy kWithin = FollowsBy::kCollocateWithin;

using Follows = std::map<std::string, std::vector<Followed>>;

absl::Status Check(const Follows& follows, const std::string& unit) {
  return CheckFollowingEnds(unit, follows.at(unit), [&](const std::string& other) {
    auto found = follows.find(other);
    return found == follows.end() ? std::vector<Followed>{} : found->second;
  });
}

std::string Message(const Follows& follows, const std::string& unit) {
  const absl::Status status = Check(follows, unit);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(UnitsFollowed, AreThoseOfBothKeysEachOnce) {
  Requirements requirements;
  requirements.machine_of = {"a", "b"};
  requirements.collocate_within = {{"region", "c"}, {"zone", "b"}, {"zone", "c"}};
  EXPECT_THAT(UnitsFollowed(requirements),
              ElementsAre(Followed{"a", kOf}, Followed{"b", kOf}, Followed{"c", kWithin}));
}

TEST(CheckFollowingEnds, AllowsChainsDiamondsAndUnknownUnits) {
  EXPECT_TRUE(Check({{"a", {{"b", kOf}, {"c", kWithin}}},
                     {"b", {{"d", kWithin}}},
                     {"c", {{"d", kOf}}},
                     {"d", {{"e", kOf}}}},
                    "a")
                  .ok());
}

TEST(CheckFollowingEnds, PrintsTheCircleAndTheKeysOnIt) {
  EXPECT_EQ(
      Message({{"a", {{"x", kWithin}, {"b", kOf}}}, {"b", {{"c", kOf}}}, {"c", {{"a", kOf}}}}, "a"),
      "a: [X-Fleet] MachineOf= leads in a circle: a -> b -> c -> a");
  EXPECT_EQ(Message({{"a", {{"x", kOf}, {"b", kWithin}}}, {"b", {{"a", kWithin}}}}, "a"),
            "a: [X-Fleet] CollocateWithin= leads in a circle: a -> b -> a");
  EXPECT_EQ(Message({{"a", {{"b", kOf}}}, {"b", {{"a", kWithin}}}}, "a"),
            "a: [X-Fleet] MachineOf= and CollocateWithin= lead in a circle: a -> b -> a");
}

TEST(CheckFollowingEnds, RefusesAUnitThatFollowsItself) {
  EXPECT_THAT(Message({{"a", {{"a", kOf}}}}, "a"),
              HasSubstr("MachineOf= leads in a circle: a -> a"));
  EXPECT_THAT(Message({{"a", {{"a", kWithin}}}}, "a"),
              HasSubstr("CollocateWithin= leads in a circle: a -> a"));
}

TEST(CheckFollowingEnds, PrintsOnlyTheCircleWhenTheUnitIsNotPartOfIt) {
  EXPECT_THAT(Message({{"a", {{"b", kWithin}}}, {"b", {{"c", kOf}}}, {"c", {{"b", kOf}}}}, "a"),
              HasSubstr("MachineOf= leads in a circle: b -> c -> b"));
}

TEST(CheckFollowingEnds, FollowsALongChain) {
  Follows follows;
  for (int i = 0; i < 20000; ++i) {
    follows[std::to_string(i)] = {{std::to_string(i + 1), i % 2 == 0 ? kOf : kWithin}};
  }
  EXPECT_TRUE(Check(follows, "0").ok());
  follows["20000"] = {{"0", kOf}};
  EXPECT_FALSE(Check(follows, "0").ok());
}

}  // namespace
}  // namespace fleet
