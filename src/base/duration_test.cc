#include "base/duration.h"

#include <gtest/gtest.h>

namespace fleet {
namespace {

TEST(Duration, ReadsUnitsAndBareSeconds) {
  EXPECT_EQ(*ParseDuration("10s"), absl::Seconds(10));
  EXPECT_EQ(*ParseDuration("1m30s"), absl::Seconds(90));
  EXPECT_EQ(*ParseDuration("250ms"), absl::Milliseconds(250));
  EXPECT_EQ(*ParseDuration("2.5"), absl::Milliseconds(2500));
}

TEST(Duration, RefusesWhatIsNotASpanOfTime) {
  for (const char* text : {"", "soon", "-1s", "-3", "inf", "10 apples", "1e400"}) {
    EXPECT_EQ(ParseDuration(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(Duration, WritesWhatItReads) {
  EXPECT_EQ(DurationText(absl::Seconds(90)), "1m30s");
  EXPECT_EQ(*ParseDuration(DurationText(absl::Milliseconds(1500))), absl::Milliseconds(1500));
}

}  // namespace
}  // namespace fleet
