#include "reconcile/reschedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fleet::reconcile {
namespace {

TEST(Reschedule, TheWaitDoublesWithEachFailureUpToFiveMinutes) {
  UnitRecord record;
  EXPECT_EQ(BackoffOf(record), absl::Seconds(1));
  record = WithFailure(record, "m1", 1);
  EXPECT_EQ(BackoffOf(record), absl::Seconds(2));
  record = WithFailure(record, "m2", 2);
  record = WithFailure(record, "m1", 3);
  EXPECT_EQ(BackoffOf(record), absl::Seconds(8));
  record.failed_on[0].count = int64_t{1} << 60;
  EXPECT_EQ(BackoffOf(record), absl::Minutes(5));
}

TEST(Reschedule, TenMachinesAreRememberedAndTheOneLongestAgoIsForgotten) {
  UnitRecord record;
  for (int i = 1; i <= 10; ++i) record = WithFailure(record, "m" + std::to_string(i), i);
  record = WithFailure(record, "m1", 11);  // again
  record = WithFailure(record, "m11", 12);
  EXPECT_EQ(record.failed_on.size(), 10u);
  EXPECT_EQ(FailedAt(record, "m1"), 11);
  EXPECT_EQ(FailedAt(record, "m2"), 0);
  EXPECT_EQ(FailedAt(record, "m11"), 12);
}

}  // namespace
}  // namespace fleet::reconcile
