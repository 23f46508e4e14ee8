#include "engine/event_reason.h"

#include "gtest/gtest.h"

namespace fleet::engine {
namespace {

TEST(EventReason, ASentenceIsOfTheClassOfWhatItSaysWhateverItsNames) {
  EXPECT_EQ(ReasonClass("its machine 1f3c is lost"), "machine_lost");
  EXPECT_EQ(ReasonClass("its machine 1f3c has left the cluster"), "machine_left");
  EXPECT_EQ(ReasonClass("least loaded eligible machine for the 2 units that share it"),
            "scheduled");
  EXPECT_EQ(ReasonClass("Conflicts with web@*.service"), "constraint");
  EXPECT_EQ(ReasonClass("a.service must leave: MachineMetadata zone=a"), "constraint");
  EXPECT_EQ(ReasonClass("big.service of priority 7 needs its room"), "preempted");
  EXPECT_EQ(ReasonClass("it has failed there (exit-code)"), "unit_failed");
}

TEST(EventReason, AnUnknownSentenceIsNoClassOfItsOwn) {
  EXPECT_EQ(ReasonClass("the moon is full"), "other");
  EXPECT_EQ(ReasonClass(""), "other");
}

}  // namespace
}  // namespace fleet::engine
