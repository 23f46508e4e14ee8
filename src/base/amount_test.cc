#include "base/amount.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace fleet {
namespace {

TEST(Bytes, ReadsBase1024Suffixes) {
  EXPECT_EQ(*ParseBytes("0"), 0);
  EXPECT_EQ(*ParseBytes("1024"), 1024);
  EXPECT_EQ(*ParseBytes("64K"), 65536);
  EXPECT_EQ(*ParseBytes("3M"), 3 << 20);
  EXPECT_EQ(*ParseBytes("1.5G"), 1610612736);
  EXPECT_EQ(*ParseBytes("1T"), int64_t{1} << 40);
  EXPECT_EQ(*ParseBytes("007K"), 7168);
  EXPECT_EQ(*ParseBytes(".5K"), 512);
}

TEST(Bytes, CountsAPartOfAByteAsOne) {
  EXPECT_EQ(*ParseBytes("0.5"), 1);
  EXPECT_EQ(*ParseBytes("1.0"), 1);
  EXPECT_EQ(*ParseBytes("0.1K"), 103);  // 102.4
  EXPECT_EQ(*ParseBytes("0.0000000000000000000000000000000000001T"), 1);
}

// 1/1024 has ten digits after the point.
TEST(Bytes, AreExactWithManyDigits) {
  EXPECT_EQ(*ParseBytes("0.0009765625K"), 1);
  EXPECT_EQ(*ParseBytes("0.00097656250000000000000000000000000001K"), 2);
  EXPECT_EQ(*ParseBytes("0.00097656249999999999999999999999999999K"), 1);
  EXPECT_EQ(*ParseBytes("9007199254740993"), 9007199254740993);
}

TEST(Bytes, RefusesOtherText) {
  for (const char* text : {"", "K", ".", ".K", "-1", "+1", "1KB", "1KiB", "1k", "1 K", " 1", "nan",
                           "inf", "1e3", "0x10", "1.2.3", "1,5G", "50%"}) {
    EXPECT_EQ(ParseBytes(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(Bytes, RefusesMoreThanItCanCount) {
  const std::string max = std::to_string(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(*ParseBytes(max), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(*ParseBytes("8388607T"), int64_t{8388607} << 40);
  for (const std::string& text :
       {max + ".1", std::string("9223372036854775808"), std::string("8388608T"),
        std::string("8388607.9999999999999999999T"), std::string(100, '9')}) {
    EXPECT_EQ(ParseBytes(text).status().code(), absl::StatusCode::kOutOfRange) << text;
  }
}

TEST(MilliCores, AreReadFromCoresAndFromAShareOfOne) {
  EXPECT_EQ(*ParseMilliCores("0"), 0);
  EXPECT_EQ(*ParseMilliCores("2"), 2000);
  EXPECT_EQ(*ParseMilliCores("0.5"), 500);
  EXPECT_EQ(*ParseMilliCores("1.25"), 1250);
  EXPECT_EQ(*ParseMilliCores("50%"), 500);
  EXPECT_EQ(*ParseMilliCores("250%"), 2500);
  EXPECT_EQ(*ParseMilliCores("0.1"), 100);
  EXPECT_EQ(*ParseMilliCores("1000000"), 1'000'000'000);
}

TEST(MilliCores, CountAPartOfAThousandthAsOne) {
  EXPECT_EQ(*ParseMilliCores("0.0001"), 1);
  EXPECT_EQ(*ParseMilliCores("0.3331"), 334);
  EXPECT_EQ(*ParseMilliCores("33.33%"), 334);
  EXPECT_EQ(*ParseMilliCores("0.00100000000000000000000000000001"), 2);
}

TEST(MilliCores, RefuseOtherText) {
  for (const char* text : {"", "%", "-1", "nan", "inf", "2x", "1 %", "50%%", "1e3", "500m"}) {
    EXPECT_EQ(ParseMilliCores(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  for (const char* text : {"1000000.0001", "100000001%", "99999999999999999999"}) {
    EXPECT_EQ(ParseMilliCores(text).status().code(), absl::StatusCode::kOutOfRange) << text;
  }
}

}  // namespace
}  // namespace fleet
