#include "base/metrics.h"

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::metrics {
namespace {

using ::testing::HasSubstr;

std::string TextOf(const Registry& registry) {
  TextWriter text;
  registry.WriteTo(text);
  return text.Take();
}

TEST(Metrics, EachFamilyHasItsHelpItsTypeAndASampleForEachCombinationOfLabels) {
  Registry registry;
  auto& requests = registry.Counters({"fleet_requests_total", "Requests.", {"kind", "result"}});
  requests.With({"put", "ok"}).Add(2);
  requests.With({"get", "ok"}).Add();
  requests.With({"put", "ok"}).Add();
  registry.Gauges({"fleet_lag_seconds", "How far behind.", {}}).With({}).Set(0.25);
  EXPECT_EQ(TextOf(registry),
            "# HELP fleet_requests_total Requests.\n"
            "# TYPE fleet_requests_total counter\n"
            "fleet_requests_total{kind=\"get\",result=\"ok\"} 1\n"
            "fleet_requests_total{kind=\"put\",result=\"ok\"} 3\n"
            "# HELP fleet_lag_seconds How far behind.\n"
            "# TYPE fleet_lag_seconds gauge\n"
            "fleet_lag_seconds 0.25\n");
}

TEST(Metrics, AFamilyWithoutSamplesIsDescribedAllTheSame) {
  Registry registry;
  registry.Counters({"fleet_nothing_total", "Nothing.", {"kind"}});
  EXPECT_EQ(TextOf(registry),
            "# HELP fleet_nothing_total Nothing.\n# TYPE fleet_nothing_total counter\n");
}

TEST(Metrics, BucketsOfAHistogramAreCumulativeAndIncludeTheirBound) {
  static constexpr std::array kBounds = {0.1, 1.0};
  Registry registry;
  auto& histogram = registry.Histograms({"fleet_took_seconds", "Time.", {"kind"}}, kBounds);
  for (const double value : {0.05, 0.1, 0.5, 7.0}) histogram.With({"x"}).Observe(value);
  EXPECT_THAT(TextOf(registry), HasSubstr("fleet_took_seconds_bucket{kind=\"x\",le=\"0.1\"} 2\n"
                                          "fleet_took_seconds_bucket{kind=\"x\",le=\"1\"} 3\n"
                                          "fleet_took_seconds_bucket{kind=\"x\",le=\"+Inf\"} 4\n"
                                          "fleet_took_seconds_sum{kind=\"x\"} 7.65\n"
                                          "fleet_took_seconds_count{kind=\"x\"} 4\n"));
}

TEST(Metrics, LabelValuesAndHelpAreEscaped) {
  TextWriter text;
  text.Head("fleet_x", "a \\ and\na \"line\"", Type::kGauge);
  text.Sample("fleet_x", {{"path", "C:\\ \"a\"\nb"}}, 1.0);
  EXPECT_EQ(text.Take(),
            "# HELP fleet_x a \\\\ and\\na \"line\"\n"
            "# TYPE fleet_x gauge\n"
            "fleet_x{path=\"C:\\\\ \\\"a\\\"\\nb\"} 1\n");
}

TEST(Metrics, ThreadsThatCountTheSameNewThingAtOnceLoseNothing) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  Registry registry;
  auto& counters = registry.Counters({"fleet_total", "All.", {"round"}});
  auto& histogram = registry.Histograms({"fleet_seconds", "Time.", {}});
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        counters.With({std::to_string(round)}).Add();
        histogram.With({}).Observe(0.5);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int round = 0; round < kRounds; ++round) {
    EXPECT_EQ(counters.With({std::to_string(round)}).value(), kThreads);
  }
  EXPECT_EQ(histogram.With({}).sum(), 0.5 * kThreads * kRounds);
}

}  // namespace
}  // namespace fleet::metrics
