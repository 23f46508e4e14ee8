#include "model/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace fleet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Features, AUnitNeedsThoseOfTheKeysThatItHas) {
  EXPECT_THAT(FeaturesOf({}), IsEmpty());
  EXPECT_THAT(FeaturesOf({.stops_on_isolation = true}), ElementsAre("isolation"));
  EXPECT_THAT(FeaturesOf({.stops_on_isolation = true, .reschedules_on_failure = true}),
              ElementsAre("isolation", "reschedule"));
}

TEST(Features, ThoseOfANewerVersionAreUnknown) {
  EXPECT_EQ(UnknownFeature({}), "");
  EXPECT_EQ(UnknownFeature(KnownFeatures()), "");
  EXPECT_EQ(UnknownFeature({"isolation", "teleportation"}), "teleportation");
  EXPECT_EQ(UnknownFeature({"isolation", "reschedule"}, {"isolation"}), "reschedule");
}

TEST(Features, AreStoredInTheirOrder) {
  EXPECT_TRUE(std::is_sorted(KnownFeatures().begin(), KnownFeatures().end()));
}

// A cluster of machines whose versions know these features, with those enabled.
ClusterView View(const std::map<std::string, std::vector<std::string>>& machines,
                 const std::vector<std::string>& enabled) {
  ClusterView view;
  for (const auto& [machine, features] : machines) {
    view.machines.Set(machine, {.value = {.version = "1." + machine, .features = features}});
  }
  if (!enabled.empty()) view.features = Stored<FeaturesRecord>{.value = {.enabled = enabled}};
  return view;
}

TEST(Features, AreAskedForByTheNamesOfTheMachinesThatDoNotKnowThem) {
  const ClusterView view = View({{"m1", {"rollout-set"}}, {"m2", {}}, {"m3", {"rollout-set"}}}, {});
  const absl::Status status = CheckEnabled(view, kRolloutSetFeature, "a rollout of several units");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("a rollout of several units needs the feature "
                                          "rollout-set, which is not enabled: m2 (version 1.m2) "
                                          "does not know it"));
}

TEST(Features, OfManyMachinesNameAFew) {
  const ClusterView view = View({{"m1", {}}, {"m2", {}}, {"m3", {}}, {"m4", {}}, {"m5", {}}}, {});
  EXPECT_EQ(WhyNotEnabled(view, kRolloutSetFeature),
            "m1 (version 1.m1), m2 (version 1.m2), m3 (version 1.m3) and 2 more do not know it");
}

TEST(Features, OfAMachineWhoseRecordCannotBeReadAreNotKnown) {
  ClusterView view = View({{"m1", {"isolation"}}}, {});
  EXPECT_EQ(WhyNotEnabled(view, kIsolationFeature), "");
  view.unreadable.Set("machines/m0", 7);
  view.unreadable.Set("units/m.service", 7);
  EXPECT_THAT(MachinesWithout(view, kIsolationFeature), ElementsAre("m0"));
}

TEST(Features, MayBeUsedOnceTheyAreEnabledAndNotBefore) {
  EXPECT_THAT(CheckEnabled(View({{"m1", {"isolation"}}}, {}), kIsolationFeature, "it").message(),
              HasSubstr("has yet to do that"));
  // Also when a machine of an older version comes later.
  const ClusterView view = View({{"m1", {"isolation"}}, {"m2", {}}}, {"isolation"});
  EXPECT_TRUE(CheckEnabled(view, kIsolationFeature, "it").ok());
  EXPECT_FALSE(CheckEnabled(view, kRolloutSetFeature, "it").ok());
}

TEST(Features, AreMetadataThatNobodyElseHas) {
  Requirements requirements = {.metadata = {{"zone", {"a"}}}, .stops_on_isolation = true};
  RequireFeatures(requirements);
  const auto metadata = WithFeatures({{"zone", "a"}}, {"isolation", "reschedule"});
  for (const auto& [key, values] : requirements.metadata) {
    ASSERT_TRUE(metadata.contains(key)) << key;
    EXPECT_TRUE(values.contains(metadata.at(key))) << key;
  }
  EXPECT_EQ(requirements.metadata.size(), 2);
  EXPECT_FALSE(IsFeature("zone"));
}

}  // namespace
}  // namespace fleet
