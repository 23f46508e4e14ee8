#include "host/metered_systemd.h"

#include <string>
#include <utility>

#include "base/testing/manual_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::host {
namespace {

using ::testing::HasSubstr;

// What it was asked for last, for the test to answer.
struct Asked {
  Systemd::Listener* listener = nullptr;
  JobCallback job;
  DoneCallback done;
};

class AskedSystemd final : public Systemd {
 public:
  explicit AskedSystemd(Asked* asked) : asked_(asked) {}
  void SetListener(Listener* listener) override { asked_->listener = listener; }
  void Start(const std::string& /*unit*/, JobCallback done) override {
    asked_->job = std::move(done);
  }
  void Stop(const std::string& /*unit*/, JobCallback done) override {
    asked_->job = std::move(done);
  }
  void ResetFailed(const std::string& /*unit*/, DoneCallback done) override {
    asked_->done = std::move(done);
  }
  void Reload(DoneCallback done) override { asked_->done = std::move(done); }
  void Enable(std::vector<std::string> /*units*/, DoneCallback done) override {
    asked_->done = std::move(done);
  }
  void ListUnits(Callback<std::vector<UnitStatus>> done) override {
    done(std::vector<UnitStatus>{{.name = "all"}});
  }
  void GetUnit(const std::string& unit, Callback<UnitStatus> done) override {
    done(UnitStatus{.name = unit});
  }
  void NeedsReload(const std::string& /*unit*/, Callback<bool> done) override { done(true); }
  void GetResult(const std::string& /*unit*/, Callback<std::string> done) override {
    done("signal");
  }

 private:
  Asked* const asked_;
};

class MeteredSystemdTest : public ::testing::Test {
 protected:
  std::string Text() const {
    metrics::TextWriter text;
    registry_.WriteTo(text);
    return text.Take();
  }

  testing::ManualClock clock_;
  metrics::Registry registry_;
  SystemdMetrics metrics_{registry_};
  Asked asked_;
  std::unique_ptr<Systemd> systemd_ =
      MeterSystemd(std::make_unique<AskedSystemd>(&asked_), &clock_, &metrics_);
};

TEST_F(MeteredSystemdTest, AJobIsCountedByItsResultAndTimedUntilThen) {
  std::string result;
  systemd_->Start("a.service", [&](absl::StatusOr<std::string> ended) { result = *ended; });
  clock_.Advance(absl::Milliseconds(300));
  asked_.job("timeout");
  EXPECT_EQ(result, "timeout");
  EXPECT_THAT(Text(), HasSubstr("fleet_agent_jobs_total{kind=\"start\",result=\"timeout\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fleet_agent_job_duration_seconds_sum{kind=\"start\"} 0.3\n"));
}

TEST_F(MeteredSystemdTest, WhatWasNotQueuedIsAnErrorAndAResultOfALaterSystemdIsOther) {
  systemd_->Stop("a.service", [](const auto&) {});
  asked_.job(absl::UnavailableError("systemd is not reached"));
  systemd_->Stop("a.service", [](const auto&) {});
  asked_.job("exploded");
  EXPECT_THAT(Text(), HasSubstr("{kind=\"stop\",result=\"error\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("{kind=\"stop\",result=\"other\"} 1\n"));
}

TEST_F(MeteredSystemdTest, CallsThatAreNoJobsAreCountedToo) {
  systemd_->Reload([](const auto&) {});
  asked_.done(absl::OkStatus());
  systemd_->ResetFailed("a.service", [](const auto&) {});
  asked_.done(absl::InternalError("no"));
  systemd_->Enable({"a.service"}, [](const auto&) {});
  asked_.done(absl::OkStatus());
  EXPECT_THAT(Text(), HasSubstr("{kind=\"reload\",result=\"ok\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("{kind=\"reset_failed\",result=\"error\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("{kind=\"enable\",result=\"ok\"} 1\n"));
}

TEST_F(MeteredSystemdTest, QuestionsAreHandedOn) {
  std::string name;
  systemd_->GetUnit("a.service", [&](auto unit) { name = unit->name; });
  EXPECT_EQ(name, "a.service");
  systemd_->ListUnits([&](auto units) { name = units->at(0).name; });
  EXPECT_EQ(name, "all");
  systemd_->GetResult("a.service", [&](auto result) { name = *result; });
  EXPECT_EQ(name, "signal");
  bool needs = false;
  systemd_->NeedsReload("a.service", [&](auto answer) { needs = *answer; });
  EXPECT_TRUE(needs);
}

}  // namespace
}  // namespace fleet::host
