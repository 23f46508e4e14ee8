#include "host/systemd/jobs.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::host {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class JobsTest : public testing::Test {
 protected:
  JobRequest Start(const std::string& unit) { return Request(JobRequest::Kind::kStart, unit); }
  JobRequest Stop(const std::string& unit) { return Request(JobRequest::Kind::kStop, unit); }

  // Runs callbacks, so that each leaves its unit and result in ended_.
  void End(std::vector<JobCallback> callbacks, const std::string& result) {
    for (JobCallback& callback : callbacks) callback(result);
  }

  // The units of all requests that may be sent now.
  std::vector<std::string> SendAll() {
    std::vector<std::string> units;
    while (auto request = jobs_.Next()) {
      units.push_back(request->unit);
      sent_.push_back(std::move(request->done));
    }
    return units;
  }

  Jobs jobs_;
  std::vector<JobCallback> sent_;
  std::vector<std::string> ended_;

 private:
  JobRequest Request(JobRequest::Kind kind, const std::string& unit) {
    return {kind, unit, [this, unit](const absl::StatusOr<std::string>& result) {
              ended_.push_back(unit + " " + result.value_or("failed"));
            }};
  }
};

TEST_F(JobsTest, EndsAJobWhenItsRemovalIsSignalled) {
  EXPECT_THAT(jobs_.Add(Start("a")), IsEmpty());
  auto request = jobs_.Next();
  ASSERT_TRUE(request);
  EXPECT_FALSE(jobs_.Queued("/job/1", std::move(request->done)));
  EXPECT_THAT(ended_, IsEmpty());
  End(jobs_.Removed("/job/1", "done"), "done");
  EXPECT_THAT(ended_, ElementsAre("a done"));
  EXPECT_THAT(jobs_.Running(), IsEmpty());
}

TEST_F(JobsTest, EndsAJobThatWasRemovedBeforeTheReplyNamedIt) {
  jobs_.Add(Start("a"));
  auto request = jobs_.Next();
  EXPECT_THAT(jobs_.Removed("/job/1", "failed"), IsEmpty());
  auto ended = jobs_.Queued("/job/1", std::move(request->done));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->second, "failed");
}

TEST_F(JobsTest, EndsTwoRequestsThatShareAJobAlthoughOneReplyIsLate) {
  jobs_.Add(Start("a"));
  jobs_.Add(Start("a"));
  SendAll();
  EXPECT_FALSE(jobs_.Queued("/job/1", std::move(sent_[0])));
  End(jobs_.Removed("/job/1", "done"), "done");
  EXPECT_THAT(ended_, ElementsAre("a done"));
  auto ended = jobs_.Queued("/job/1", std::move(sent_[1]));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->second, "done");
}

TEST_F(JobsTest, ForgetsForeignResultsOnceNoReplyIsOutstanding) {
  jobs_.Add(Start("a"));
  SendAll();
  jobs_.Removed("/job/7", "done");  // somebody else's
  jobs_.Failed();
  jobs_.Add(Start("b"));
  SendAll();
  EXPECT_FALSE(jobs_.Queued("/job/7", std::move(sent_[1])));
}

TEST_F(JobsTest, SendsEverythingAtOnceWithoutAWindow) {
  for (int i = 0; i < 1000; ++i) jobs_.Add(Start("u"));
  EXPECT_EQ(SendAll().size(), 1000U);
}

TEST_F(JobsTest, KeepsRoomForStopsBesideStartsThatDoNotEnd) {
  jobs_.SetWindow(2, 3);
  for (const char* unit : {"a", "b", "c"}) jobs_.Add(Start(unit));
  EXPECT_THAT(SendAll(), ElementsAre("a", "b"));
  jobs_.Add(Stop("x"));
  jobs_.Add(Stop("y"));
  EXPECT_THAT(SendAll(), ElementsAre("x"));
  // The end of one job lets the next go: stops first.
  jobs_.Failed();
  EXPECT_THAT(SendAll(), ElementsAre("y"));
  jobs_.Failed();
  EXPECT_THAT(SendAll(), IsEmpty());
  jobs_.Failed();
  EXPECT_THAT(SendAll(), ElementsAre("c"));
}

TEST_F(JobsTest, CancelsAWaitingStartWhenTheUnitIsToStop) {
  jobs_.SetWindow(1, 2);
  jobs_.Add(Start("a"));
  SendAll();
  jobs_.Add(Start("b"));
  jobs_.Add(Start("c"));
  End(jobs_.Add(Stop("b")), "canceled");
  EXPECT_THAT(ended_, ElementsAre("b canceled"));
  EXPECT_THAT(SendAll(), ElementsAre("b"));  // its stop
}

TEST_F(JobsTest, FindsTheJobsThatAReloadDropped) {
  for (const char* unit : {"a", "b"}) jobs_.Add(Start(unit));
  SendAll();
  jobs_.Queued("/job/1", std::move(sent_[0]));
  const std::vector<std::string> expected = jobs_.Running();
  jobs_.Queued("/job/2", std::move(sent_[1]));  // after the question: not lost
  End(jobs_.TakeLost(expected, {"/job/9"}), "lost");
  EXPECT_THAT(ended_, ElementsAre("a lost"));
  EXPECT_THAT(jobs_.Running(), ElementsAre("/job/2"));
}

TEST_F(JobsTest, GivesUpWhatRunsAndWhatWaitsWhenTheConnectionIsLost) {
  jobs_.SetWindow(2, 2);
  for (const char* unit : {"a", "b", "c"}) jobs_.Add(Start(unit));
  SendAll();
  jobs_.Queued("/job/1", std::move(sent_[0]));
  End(jobs_.TakeAll(), "lost");
  EXPECT_THAT(ended_, ElementsAre("a lost", "c lost"));
  jobs_.Failed();  // b's call failed with the connection
  jobs_.Add(Start("d"));
  jobs_.Add(Start("e"));
  EXPECT_THAT(SendAll(), ElementsAre("d", "e"));
}

}  // namespace
}  // namespace fleet::host
