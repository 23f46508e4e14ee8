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
  EXPECT_EQ(ReasonClass("machine 1f3c is drained"), "drain");
  EXPECT_EQ(ReasonClass("machine 1f3c is drained, and its deadline has passed"), "drain");
  EXPECT_EQ(ReasonClass("the deadline of its drain has passed with 2 units left"), "drain");
  EXPECT_EQ(ReasonClass("machine 1f3c is about to reboot (FleetLock)"), "fleetlock");
  EXPECT_EQ(ReasonClass("rolling restart of web@.service"), "rollout");
  EXPECT_EQ(ReasonClass("web@.service asks for 3 instances"), "scale");
}

TEST(EventReason, AnUnknownSentenceIsNoClassOfItsOwn) {
  EXPECT_EQ(ReasonClass("the moon is full"), "other");
  EXPECT_EQ(ReasonClass(""), "other");
}

}  // namespace
}  // namespace fleet::engine
