#include "fleetctl/unbuffered_input.h"

#include <fcntl.h>

#include <array>
#include <istream>
#include <string>

#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

TEST(UnbufferedInput, LeavesWhatFollowsALineToOthers) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  ASSERT_EQ(write(ends[1], "yes\nthe rest", 12), 12);
  close(ends[1]);
  UnbufferedInput buffer(ends[0]);
  std::istream in(&buffer);
  std::string answer;
  std::getline(in, answer);
  EXPECT_EQ(answer, "yes");
  char rest[32];
  EXPECT_EQ(read(ends[0], rest, sizeof(rest)), 8);
  close(ends[0]);
}

TEST(UnbufferedInput, GivesAllToWhoeverReadsToTheEnd) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  ASSERT_EQ(write(ends[1], "abcdef", 6), 6);
  close(ends[1]);
  UnbufferedInput buffer(ends[0]);
  std::istream in(&buffer);
  EXPECT_EQ(in.peek(), 'a');
  char bytes[4];
  EXPECT_TRUE(in.read(bytes, sizeof(bytes)));
  EXPECT_EQ(std::string(bytes, 4), "abcd");
  EXPECT_FALSE(in.read(bytes, sizeof(bytes)));
  EXPECT_EQ(in.gcount(), 2);
  close(ends[0]);
}

}  // namespace
}  // namespace fleet::fleetctl
