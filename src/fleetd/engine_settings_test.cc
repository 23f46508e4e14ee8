#include "fleetd/engine_settings.h"

#include <gtest/gtest.h>

#include "absl/strings/string_view.h"

namespace fleet::fleetd {
namespace {

reconcile::EngineSettings Settings(absl::string_view text) {
  const auto loaded = ParseConfig(text, "fleet.conf", {});
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return EngineSettingsOf(loaded.ok() ? loaded->config : Config());
}

TEST(EngineSettings, AreTheEnginesOwnDefaultsWithoutAConfiguration) {
  const reconcile::EngineSettings settings = Settings("");
  const reconcile::EngineSettings defaults;
  EXPECT_EQ(settings.ttl, defaults.ttl);
  EXPECT_EQ(settings.placement, defaults.placement);
  EXPECT_EQ(settings.disruption_budget.amount, defaults.disruption_budget.amount);
  EXPECT_EQ(settings.disruption_budget.percent, defaults.disruption_budget.percent);
  EXPECT_EQ(settings.rebalances, defaults.rebalances);
  EXPECT_EQ(settings.rebalance_after, defaults.rebalance_after);
}

TEST(EngineSettings, AreWhatTheConfigurationSays) {
  const reconcile::EngineSettings settings =
      Settings("agent_ttl=30s\nplacement=pack\ndisruption_budget=25%\nrebalance=auto\n");
  EXPECT_EQ(settings.ttl, absl::Seconds(30));
  EXPECT_EQ(settings.placement, scheduler::Placement::kPack);
  EXPECT_EQ(settings.disruption_budget.amount, 25);
  EXPECT_TRUE(settings.disruption_budget.percent);
  EXPECT_TRUE(settings.rebalances);
  EXPECT_EQ(settings.rebalance_after, absl::Minutes(5));
}

TEST(EngineSettings, HaveABudgetOfANumberOfMachines) {
  const reconcile::EngineSettings settings = Settings("disruption_budget=3");
  EXPECT_EQ(settings.disruption_budget.amount, 3);
  EXPECT_FALSE(settings.disruption_budget.percent);
}

}  // namespace
}  // namespace fleet::fleetd
