// /metrics and /sd/prometheus.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "api/api.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "registry/codec.h"
#include "registry/mirror.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"

namespace fleet::api {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class MetricsApi : public ::testing::Test {
 protected:
  MetricsApi() {
    mirror_.SetHealthListener(
        [this](const absl::Status& health) { api_.OnRegistryHealth(health); });
    mirror_.Start();
    executor_.RunUntilIdle();
  }

  void PutUnit(const std::string& name, const UnitRecord& record) {
    store_.Set(keys_.Unit(name), registry::Encode(record));
    executor_.RunUntilIdle();
  }
  void Assign(const std::string& machine, const std::string& name, AssignmentState state) {
    store_.Set(keys_.Assignment(machine, name),
               registry::Encode(Assignment{.uid = "u", .state = state}));
    executor_.RunUntilIdle();
  }
  void Report(const std::string& machine, const std::string& name, const std::string& active) {
    store_.Set(keys_.State(machine, name),
               registry::Encode(StateReport{
                   .uid = "u", .load_state = "loaded", .active_state = active, .sub_state = "x"}));
    executor_.RunUntilIdle();
  }
  Response Send(const std::string& method, const std::string& target) {
    std::optional<Response> answer;
    Request request;
    request.method = method;
    request.target = target;
    api_.Handle(std::move(request), [&](Response response) { answer = std::move(response); });
    executor_.RunUntilIdle();
    return answer ? *std::move(answer) : Response{.code = 0};
  }
  std::string Text() { return Send("GET", "/metrics").body; }
  // The families that a text has, and which of them have samples.
  static std::map<std::string, bool> FamiliesOf(const std::string& text) {
    std::map<std::string, bool> families;
    std::string family;
    size_t begin = 0;
    while (begin < text.size()) {
      const size_t end = text.find('\n', begin);
      const std::string line = text.substr(begin, end - begin);
      begin = end + 1;
      if (line.starts_with("# HELP ")) {
        family = line.substr(7, line.find(' ', 7) - 7);
        EXPECT_TRUE(families.emplace(family, false).second) << family << " is there twice";
      } else if (!line.starts_with('#')) {
        EXPECT_TRUE(line.starts_with(family)) << line;
        families[family] = true;
      }
    }
    return families;
  }

  const registry::Keys keys_{"/fleet/"};
  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  metrics::Registry metrics_;
  Api api_{ApiContext{.executor = &executor_,
                      .store = &store_,
                      .keys = keys_,
                      .version = "2.0.0",
                      .machine_id = "m1",
                      .unavailable_cause = [] { return "no endpoint"; },
                      .metrics = &metrics_}};
  registry::Mirror mirror_{&store_, &executor_, keys_,
                           [this](const ViewChange& change) { api_.OnViewChange(change); }};
};

TEST_F(MetricsApi, TheTextIsOfPrometheusFormatAndEachFamilyIsThereOnce) {
  const Response response = Send("GET", "/metrics");
  EXPECT_EQ(response.code, 200);
  EXPECT_EQ(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(response.body, HasSubstr("\nfleet_build_info{version=\"2.0.0\"} 1\n"));
  const auto families = FamiliesOf(response.body);
  EXPECT_TRUE(families.at("process_resident_memory_bytes"));
  for (const auto& [name, has_samples] : families) {
    EXPECT_TRUE(name.starts_with("fleet_") || name.starts_with("process_")) << name;
  }
}

TEST_F(MetricsApi, UnitsAndCopiesAreCountedByTheirStatesAsTheyChange) {
  PutUnit("a.service", {.uid = "u", .desired = DesiredState::kLaunched});
  PutUnit("b.service", {.uid = "u", .desired = DesiredState::kLaunched, .refusal = "no machine"});
  PutUnit("c.service", {.uid = "u", .desired = DesiredState::kInactive, .refusal = "no machine"});
  Assign("m1", "a.service", AssignmentState::kLaunched);
  EXPECT_THAT(Text(), HasSubstr("fleet_units{desired_state=\"launched\"} 2\n"));
  EXPECT_THAT(Text(), HasSubstr("fleet_units{desired_state=\"inactive\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fleet_units_waiting 1\n"));
  EXPECT_THAT(
      Text(),
      HasSubstr("fleet_unit_copies{assigned=\"launched\",active_state=\"unreported\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fleet_machine_units 1\n"));

  Report("m1", "a.service", "active");
  EXPECT_THAT(Text(),
              HasSubstr("fleet_unit_copies{assigned=\"launched\",active_state=\"active\"} 1\n"));
  EXPECT_THAT(
      Text(),
      HasSubstr("fleet_unit_copies{assigned=\"launched\",active_state=\"unreported\"} 0\n"));
  store_.Erase(keys_.Assignment("m1", "a.service"));
  store_.Erase(keys_.Unit("a.service"));
  executor_.RunUntilIdle();
  EXPECT_THAT(Text(),
              HasSubstr("fleet_unit_copies{assigned=\"launched\",active_state=\"active\"} 0\n"));
  EXPECT_THAT(Text(),
              HasSubstr("fleet_unit_copies{assigned=\"none\",active_state=\"active\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fleet_units{desired_state=\"launched\"} 1\n"));
}

TEST_F(MetricsApi, WhatIsCountedByChangesIsWhatIsCountedAnewAfterAGap) {
  PutUnit("a.service", {.uid = "u", .desired = DesiredState::kLoaded});
  Assign("m1", "a.service", AssignmentState::kLoaded);
  Report("m1", "a.service", "inactive");
  Report("m1", "0.service", "failed");  // before and after what is assigned
  Report("m2", "z.service", "failed");
  const std::string units = "fleet_units{desired_state=\"loaded\"} 1\n";
  const std::string loaded = "fleet_unit_copies{assigned=\"loaded\",active_state=\"inactive\"} 1\n";
  const std::string left = "fleet_unit_copies{assigned=\"none\",active_state=\"failed\"} 2\n";
  for (const std::string& line : {units, loaded, left}) EXPECT_THAT(Text(), HasSubstr(line));
  store_.Compact(store_.revision());
  store_.BreakWatches(absl::OutOfRangeError("compacted"));
  executor_.Advance(absl::Seconds(10));
  for (const std::string& line : {units, loaded, left}) EXPECT_THAT(Text(), HasSubstr(line));
}

TEST_F(MetricsApi, AStateThatSystemdDoesNotHaveTodayAddsNoLabel) {
  Report("m1", "a.service", "dreaming");
  EXPECT_THAT(Text(), HasSubstr("active_state=\"other\"} 1\n"));
}

TEST_F(MetricsApi, UnitsThatSomebodyElseHasStoppedCountUntilTheyAreRestored) {
  Assign("m1", "a.service", AssignmentState::kLaunched);
  store_.Set(keys_.State("m1", "a.service"),
             registry::Encode(StateReport{.uid = "u",
                                          .load_state = "loaded",
                                          .active_state = "inactive",
                                          .drift = "stopped by hand"}));
  executor_.RunUntilIdle();
  EXPECT_THAT(Text(), HasSubstr("fleet_units_drifted 1\n"));
  Report("m1", "a.service", "active");
  EXPECT_THAT(Text(), HasSubstr("fleet_units_drifted 0\n"));
}

TEST_F(MetricsApi, MachinesAreCountedByState) {
  store_.Set(keys_.Machine("m1"), registry::Encode(MachineRecord{}));
  store_.Set(keys_.Machine("m2"), registry::Encode(MachineRecord{.leaving = true}));
  store_.Set(keys_.Machine("m3"), registry::Encode(MachineRecord{}));
  executor_.RunUntilIdle();
  EXPECT_THAT(Text(), HasSubstr("fleet_machines{state=\"leaving\"} 1\n"
                                "fleet_machines{state=\"ready\"} 2\n"));
}

TEST_F(MetricsApi, DrainsAreCountedByState) {
  MachineSettings settings;
  settings.Drain(absl::InfiniteFuture(), false);
  store_.Set(keys_.Settings("m1"), registry::Encode(settings));
  store_.Set(keys_.Settings("m2"), registry::Encode(settings));
  settings.drain_expired = true;
  store_.Set(keys_.Settings("m3"), registry::Encode(settings));
  Assign("m1", "a.service", AssignmentState::kLaunched);
  Assign("m3", "b.service", AssignmentState::kLaunched);
  executor_.RunUntilIdle();
  EXPECT_THAT(Text(), HasSubstr("fleet_drains{state=\"done\"} 1\n"
                                "fleet_drains{state=\"expired\"} 1\n"
                                "fleet_drains{state=\"running\"} 1\n"));
}

TEST_F(MetricsApi, RolloutsAreCountedByStateThoseOfSeveralUnitsOnce) {
  store_.Set(keys_.Rollout("a.service"), registry::Encode(RolloutRecord{.uid = "1"}));
  store_.Set(keys_.Rollout("b.service"), registry::Encode(RolloutRecord{.uid = "1"}));
  store_.Set(keys_.Rollout("c.service"),
             registry::Encode(RolloutRecord{.uid = "2", .state = RolloutState::kFailed}));
  executor_.RunUntilIdle();
  EXPECT_THAT(Text(), HasSubstr("fleet_rollouts{state=\"done\"} 0\n"
                                "fleet_rollouts{state=\"failed\"} 1\n"
                                "fleet_rollouts{state=\"paused\"} 0\n"
                                "fleet_rollouts{state=\"running\"} 1\n"));
}

TEST_F(MetricsApi, TheLagGrowsWhileTheRegistryIsNotHeardFrom) {
  EXPECT_THAT(Text(), HasSubstr("fleet_mirror_connected 1\n"));
  executor_.Advance(absl::Hours(1));
  EXPECT_THAT(Text(), HasSubstr("fleet_mirror_lag_seconds 0\n"));
  api_.OnRegistryHealth(absl::UnavailableError("down"));
  executor_.Advance(absl::Seconds(5));
  EXPECT_THAT(Text(), HasSubstr("fleet_mirror_connected 0\n"));
  EXPECT_THAT(Text(), HasSubstr("fleet_mirror_lag_seconds 5\n"));
  api_.OnRegistryHealth(absl::OkStatus());
  EXPECT_THAT(Text(), HasSubstr("fleet_mirror_lag_seconds 0\n"));
}

TEST_F(MetricsApi, RequestsAreCountedByMethodRouteAndCode) {
  Send("GET", "/fleet/v1/units/a.service");
  Send("GET", "/fleet/v1/units/b.service?x=1");
  Send("BREW", "/coffee");
  Send("PUT", "/secret/1");
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("fleet_api_requests_total{method=\"GET\","
                              "route=\"/fleet/v1/units/{unitName}\",code=\"404\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("{method=\"other\",route=\"none\",code=\"404\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("{method=\"PUT\",route=\"none\",code=\"404\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("fleet_api_request_duration_seconds_count{method=\"GET\","
                              "route=\"/fleet/v1/units/{unitName}\"} 2\n"));
  EXPECT_THAT(text, Not(HasSubstr("a.service")));
}

TEST_F(MetricsApi, RequestsThatTheServerRefusedAreCounted) {
  api_.OnRefused("PUT", "/fleet/v1/units/a.service?force", 413);
  api_.OnRefused("", "", 400);
  api_.OnRefused("BREW", "/coffee", 431);
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("fleet_api_requests_total{method=\"PUT\","
                              "route=\"/fleet/v1/units/{unitName}\",code=\"413\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("{method=\"other\",route=\"none\",code=\"400\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("{method=\"other\",route=\"none\",code=\"431\"} 1\n"));
}

TEST_F(MetricsApi, PrometheusFindsTheMachinesWhoseApiIsOnTheNetwork) {
  store_.Set(keys_.Machine("m1"),
             registry::Encode(MachineRecord{
                 .address = "10.0.0.1",
                 .hostname = "one",
                 .metadata = {{"zone", "a"}, {"disk.type", "ssd"}},
                 .version = "2.0.0",
                 .api_endpoints = {"https://10.0.0.1:49153", "https://10.1.0.1:49153"}}));
  store_.Set(keys_.Machine("m2"), registry::Encode(MachineRecord{.hostname = "two"}));
  store_.Set(keys_.Settings("m1"),
             registry::Encode(MachineSettings{.set_metadata = {{"zone", "b"}}}));
  executor_.RunUntilIdle();
  const Response response = Send("GET", "/sd/prometheus");
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(json::parse(response.body), json::parse(R"([{
      "targets": ["10.0.0.1:49153"],
      "labels": {
        "__scheme__": "https",
        "__meta_fleet_machine_id": "m1",
        "__meta_fleet_hostname": "one",
        "__meta_fleet_address": "10.0.0.1",
        "__meta_fleet_version": "2.0.0",
        "__meta_fleet_state": "ready",
        "__meta_fleet_metadata_zone": "b",
        "__meta_fleet_metadata_disk_type": "ssd"}}])"));
}

// Before this machine has joined: Prometheus keeps the targets it had when it is answered 503.
TEST(MetricsApiWithoutAView, SaysWhatItCanAndNamesNoTargets) {
  registry::testing::ManualExecutor executor;
  registry::testing::FakeStore store(&executor);
  metrics::Registry metrics;
  Api api(ApiContext{.executor = &executor, .store = &store, .metrics = &metrics});
  const auto send = [&](const char* target) {
    Request request;
    request.method = "GET";
    request.target = target;
    Response answer;
    api.Handle(std::move(request), [&](Response response) { answer = std::move(response); });
    return answer;
  };
  EXPECT_EQ(send("/sd/prometheus").code, 503);
  const Response text = send("/metrics");
  EXPECT_EQ(text.code, 200);
  EXPECT_THAT(text.body, HasSubstr("fleet_mirror_connected 0\n"));
  EXPECT_THAT(text.body, Not(HasSubstr("fleet_units")));
}

TEST(MetricsApiWithoutARegistry, HasNoSuchRoute) {
  registry::testing::ManualExecutor executor;
  registry::testing::FakeStore store(&executor);
  Api api(ApiContext{.executor = &executor, .store = &store});
  Request request;
  request.method = "GET";
  request.target = "/metrics";
  int code = 0;
  api.Handle(std::move(request), [&](const Response& response) { code = response.code; });
  EXPECT_EQ(code, 404);
}

}  // namespace
}  // namespace fleet::api
