#include "model/entity_tag.h"

#include "gtest/gtest.h"

namespace fleet {
namespace {

TEST(EntityTag, OfAUnitFollowsWhatClientsSetAndNothingElse) {
  const UnitRecord record{.uid = "u", .content_hash = "h"};
  const auto changed = [&](auto change) {
    UnitRecord other = record;
    change(other);
    return TagOf(other) != TagOf(record);
  };
  EXPECT_FALSE(changed([](UnitRecord&) {}));
  EXPECT_TRUE(changed([](UnitRecord& r) { r.uid = "v"; }));
  EXPECT_TRUE(changed([](UnitRecord& r) { r.desired = DesiredState::kLoaded; }));
  EXPECT_TRUE(changed([](UnitRecord& r) { r.content_hash = "i"; }));
  EXPECT_TRUE(changed([](UnitRecord& r) { r.replicas = 0; }));
  EXPECT_FALSE(changed([](UnitRecord& r) { r.refusal = "no machine is eligible"; }));
  EXPECT_FALSE(changed([](UnitRecord& r) { r.nominated_machine = "m"; }));
  EXPECT_FALSE(changed([](UnitRecord& r) { r.failed_on = {{"m", 1, 1}}; }));
  EXPECT_FALSE(changed([](UnitRecord& r) { r.restarts = 3; }));
}

TEST(EntityTag, OfSettingsFollowsAllThatIsShownOfThem) {
  const MachineSettings settings{.set_metadata = {{"a", "b"}}, .removed_metadata = {"c"}};
  const auto changed = [&](auto change) {
    MachineSettings other = settings;
    change(other);
    return TagOf(other) != TagOf(settings);
  };
  EXPECT_TRUE(changed([](MachineSettings& s) { s.cordoned = true; }));
  EXPECT_TRUE(changed([](MachineSettings& s) { s.drained = true; }));
  EXPECT_TRUE(changed([](MachineSettings& s) { s.set_metadata["a"] = "c"; }));
  EXPECT_TRUE(changed([](MachineSettings& s) { s.removed_metadata.clear(); }));
  EXPECT_TRUE(changed([](MachineSettings& s) {
    s.set_metadata.clear();
    s.removed_metadata = {"a", "b", "c"};
  }));
  EXPECT_TRUE(changed([](MachineSettings& s) { s.drain_deadline = absl::FromUnixSeconds(9); }));
  EXPECT_TRUE(changed([](MachineSettings& s) { s.drain_forces = true; }));
  EXPECT_TRUE(changed([](MachineSettings& s) { s.drain_expired = true; }));
  EXPECT_TRUE(changed([](MachineSettings& s) { s.lock_group = "web"; }));
  EXPECT_TRUE(changed([](MachineSettings& s) { s.lock_granted = true; }));
  EXPECT_FALSE(changed([](MachineSettings& s) { s.forgotten = true; }));
}

TEST(EntityTag, OfARolloutFollowsWhichItIsAndItsState) {
  const RolloutRecord rollout{.uid = "u", .content_hash = "h"};
  const auto changed = [&](auto change) {
    RolloutRecord other = rollout;
    change(other);
    return TagOf(other) != TagOf(rollout);
  };
  EXPECT_FALSE(changed([](RolloutRecord&) {}));
  EXPECT_TRUE(changed([](RolloutRecord& r) { r.uid = "v"; }));
  EXPECT_TRUE(changed([](RolloutRecord& r) { r.content_hash = "i"; }));
  EXPECT_TRUE(changed([](RolloutRecord& r) { r.state = RolloutState::kPaused; }));
  EXPECT_FALSE(changed([](RolloutRecord& r) { r.reason = "paused by hand"; }));
}

TEST(Precondition, HoldsAsRfc9110HasIt) {
  const std::optional<std::string> none;
  EXPECT_TRUE(Precondition().Holds(none));
  EXPECT_TRUE(Precondition().Holds("t"));
  const Precondition match{.match = {{"s", "t"}}};
  EXPECT_TRUE(match.Holds("t"));
  EXPECT_FALSE(match.Holds("u"));
  EXPECT_FALSE(match.Holds(none));
  const Precondition exists{.match = {{"*"}}};
  EXPECT_TRUE(exists.Holds("t"));
  EXPECT_FALSE(exists.Holds(none));
  const Precondition is_new{.none_match = {{"*"}}};
  EXPECT_FALSE(is_new.Holds("t"));
  EXPECT_TRUE(is_new.Holds(none));
  const Precondition other{.none_match = {{"t"}}};
  EXPECT_FALSE(other.Holds("t"));
  EXPECT_TRUE(other.Holds("u"));
  EXPECT_FALSE((Precondition{.match = {{"t"}}, .none_match = {{"t"}}}).Holds("t"));
}

}  // namespace
}  // namespace fleet
