#include "reconcile/absences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fleet::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const absl::Time kStart = absl::UnixEpoch();

Absences Make() {
  return Absences({.ttl = absl::Seconds(10),
                   .loss_grace = absl::Milliseconds(500),
                   .isolation_stop_timeout = absl::Seconds(5)});
}

TEST(Absences, AMachineIsLostAMomentAfterItsRecordHasGone) {
  Absences absences = Make();
  absences.BeginLeading(kStart, {});
  const MachineRecord record;
  EXPECT_TRUE(absences.Note("m1", &record));
  EXPECT_FALSE(absences.Note("m1", &record));
  EXPECT_TRUE(absences.Note("m1", nullptr));
  absences.Advance(kStart + absl::Seconds(3));
  EXPECT_EQ(absences.LostAt("m1"), kStart + absl::Milliseconds(3500));
  EXPECT_THAT(absences.MissingSince(kStart), ElementsAre("m1"));
  EXPECT_THAT(absences.MissingSince(kStart + absl::Seconds(4)), IsEmpty());
}

TEST(Absences, OneNeverSeenIsLostOneTtlAfterTheTakeOver) {
  Absences absences = Make();
  absences.BeginLeading(kStart, {"m1"});
  EXPECT_EQ(absences.LostAt("m1"), kStart + absl::Seconds(10));
  EXPECT_EQ(absences.LostAt("m2"), kStart + absl::Seconds(10));
  EXPECT_THAT(absences.MissingSince(kStart), ElementsAre("m1"));
}

TEST(Absences, OneThatHasLeftIsLostAtOnceAndNotMissing) {
  Absences absences = Make();
  const MachineRecord record{.leaving = true};
  absences.Note("m1", &record);
  absences.Note("m1", nullptr);
  absences.Advance(kStart);
  EXPECT_EQ(absences.LostAt("m1"), kStart);
  EXPECT_TRUE(absences.HasLeft("m1"));
  EXPECT_THAT(absences.MissingSince(absl::InfinitePast()), IsEmpty());
}

TEST(Absences, ANewLeaderStartsEveryWaitAnew) {
  Absences absences = Make();
  const MachineRecord record;
  absences.Note("m1", &record);
  absences.Note("m2", &record);
  absences.Note("m1", nullptr);
  absences.Note("m2", nullptr);
  absences.Advance(kStart);
  const absl::Time later = kStart + absl::Hours(1);
  absences.BeginLeading(later, {"m1"});
  EXPECT_EQ(absences.Since("m1"), later);
  EXPECT_THAT(absences.MissingSince(later), ElementsAre("m1"));  // m2 had nothing to lose
}

TEST(Absences, WhatStopsOnIsolationIsGivenTheGrantedTtlAndTheTimeToStop) {
  Absences absences = Make();
  const MachineRecord record{.ttl_millis = 20'000};
  const MachineRecord with_less{.ttl_millis = 2'000};
  absences.Note("m1", &record);
  absences.Note("m2", &with_less);
  absences.BeginLeading(kStart, {"m3"});
  absences.Note("m1", nullptr);
  absences.Note("m2", nullptr);
  absences.Advance(kStart);
  EXPECT_EQ(absences.MustHaveStoppedAt("m1"), kStart + 1.03 * absl::Seconds(25));
  EXPECT_EQ(absences.MustHaveStoppedAt("m2"), kStart + 1.03 * absl::Seconds(15));
  // Of one that it has not seen it supposes the longest.
  EXPECT_EQ(absences.MustHaveStoppedAt("m3"), kStart + 1.03 * absl::Seconds(25));
}

void LoseAndReturn(Absences& absences, absl::Time& now) {
  const MachineRecord record;
  absences.Note("m1", nullptr);
  absences.Advance(now += absl::Minutes(1));
  absences.Note("m1", &record);
  absences.Advance(now += absl::Minutes(1));
}

TEST(Absences, AMachineLostThreeTimesInTenMinutesIsUnsteadyForFive) {
  Absences absences = Make();
  absl::Time now = kStart;
  const MachineRecord record;
  absences.Note("m1", &record);
  absences.BeginLeading(now, {});
  LoseAndReturn(absences, now);
  LoseAndReturn(absences, now);
  EXPECT_THAT(absences.Unsteady(now), IsEmpty());
  EXPECT_EQ(absences.NextSteady(now), absl::InfiniteFuture());
  LoseAndReturn(absences, now);
  EXPECT_THAT(absences.Unsteady(now), ElementsAre("m1"));
  EXPECT_EQ(absences.NextSteady(now), now + absl::Minutes(5));
  EXPECT_THAT(absences.Unsteady(now + absl::Minutes(5)), IsEmpty());
}

TEST(Absences, LossesThatAreFarApartOrCleanDoNotCount) {
  Absences absences = Make();
  absl::Time now = kStart;
  const MachineRecord record;
  const MachineRecord leaving{.leaving = true};
  absences.Note("m1", &record);
  for (int i = 0; i < 5; ++i) {
    LoseAndReturn(absences, now);
    now += absl::Minutes(4);
    EXPECT_THAT(absences.Unsteady(now), IsEmpty());
    absences.Note("m2", &leaving);
    absences.Note("m2", nullptr);
    absences.Advance(now);
    absences.Note("m2", &record);
    absences.Advance(now);
    EXPECT_THAT(absences.Unsteady(now), IsEmpty());
  }
}

}  // namespace
}  // namespace fleet::reconcile
