#include "fleetctl/since.h"

#include "fleetctl/exit_code.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

const absl::TimeZone kZone = absl::FixedTimeZone(2 * 3600);
const absl::Time kNow = absl::FromCivil(absl::CivilSecond(2026, 3, 4, 12, 30, 0), kZone);

absl::Time At(int day, int hour, int minute, int second = 0) {
  return absl::FromCivil(absl::CivilSecond(2026, 3, day, hour, minute, second), kZone);
}

absl::Time Since(std::string_view text) {
  const auto time = ParseSince(text, kNow, kZone);
  EXPECT_TRUE(time.ok()) << time.status();
  return time.value_or(absl::InfinitePast());
}

TEST(Since, IsASpanBeforeNow) {
  for (const char* const text : {"10m", "-10m", "10m ago", "600"})
    EXPECT_EQ(Since(text), At(4, 12, 20)) << text;
  EXPECT_EQ(Since("2h"), At(4, 10, 30));
}

TEST(Since, IsATimeWhereTheUserIs) {
  EXPECT_EQ(Since("2026-03-03 01:02:03"), At(3, 1, 2, 3));
  EXPECT_EQ(Since("2026-03-03 01:02"), At(3, 1, 2));
  EXPECT_EQ(Since("2026-03-03"), At(3, 0, 0));
  EXPECT_EQ(Since("01:02"), At(4, 1, 2));
  EXPECT_EQ(Since("today"), At(4, 0, 0));
  EXPECT_EQ(Since("yesterday"), At(3, 0, 0));
  EXPECT_EQ(Since("now"), kNow);
}

// As events have it.
TEST(Since, MayNameItsZone) {
  EXPECT_EQ(Since("2026-03-03T23:02:03.5+00:00"), At(4, 1, 2, 3) + absl::Milliseconds(500));
  EXPECT_EQ(Since("2026-03-03T23:02:03Z"), At(4, 1, 2, 3));
}

TEST(Since, IsNothingElse) {
  for (const char* const text : {"", "soon", "-", "2026-13-01", "25:00"}) {
    const auto time = ParseSince(text, kNow, kZone);
    ASSERT_FALSE(time.ok()) << text;
    EXPECT_EQ(ExitCodeOf(time.status()), kUsage);
  }
}

}  // namespace
}  // namespace fleet::fleetctl
