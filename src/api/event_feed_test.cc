#include "api/event_feed.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/fake_sink.h"
#include "fmt/core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "registry/codec.h"
#include "registry/testing/fake_store.h"
#include "registry/testing/manual_executor.h"

namespace fleet::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class EventFeedTest : public ::testing::Test {
 protected:
  void Put(int64_t sequence, std::vector<EventEntry> entries) {
    store_.Set(keys_.Event("e", sequence),
               registry::Encode(EventRecord{absl::FromUnixSeconds(sequence), std::move(entries)}));
    executor_.RunUntilIdle();
  }
  void Put(int64_t sequence, const std::string& unit) {
    Put(sequence, {{"placed", unit, "m1", ""}});
  }

  std::shared_ptr<FakeSink> Follow(EventFilter filter = {}, std::string after = "") {
    auto sink = std::make_shared<FakeSink>(&executor_);
    feed_.Follow(std::move(filter), std::move(after), [&, sink](Response response) {
      code_ = response.code;
      if (response.events) response.events(sink);
    });
    executor_.RunUntilIdle();
    return sink;
  }
  std::string IdOf(int64_t sequence) const {
    return keys_.Event("e", sequence).substr(EventsPrefix(keys_).size());
  }

  registry::testing::ManualExecutor executor_;
  registry::testing::FakeStore store_{&executor_};
  registry::Keys keys_{"/fleet/"};
  EventFeed feed_{&executor_, &store_, keys_};
  int code_ = 0;
};

TEST_F(EventFeedTest, TellsWhatThereIsAndThenWhatComes) {
  Put(1, "old.service");
  const auto sink = Follow();
  EXPECT_EQ(code_, 200);
  EXPECT_THAT(sink->TakeText(), HasSubstr("\"unit\":\"old.service\""));
  Put(2, "new.service");
  const std::string told = sink->TakeText();
  EXPECT_THAT(told, HasSubstr("id: " + IdOf(2) + "\nevent: event\ndata: {"));
  EXPECT_THAT(told, HasSubstr("new.service"));
  EXPECT_THAT(told, Not(HasSubstr("old.service")));
}

TEST_F(EventFeedTest, GoesOnBehindTheRecordThatIsKnown) {
  Put(1, "one.service");
  Put(2, "two.service");
  const std::string told = Follow({}, IdOf(1))->TakeText();
  EXPECT_THAT(told, Not(HasSubstr("one.service")));
  EXPECT_THAT(told, HasSubstr("two.service"));
}

TEST_F(EventFeedTest, TellsOnlyWhatIsAskedFor) {
  const auto sink = Follow({.unit = "a.service"});
  Put(1, {{"placed", "a.service", "m1", ""}, {"placed", "b.service", "m1", ""}});
  const std::string told = sink->TakeText();
  EXPECT_THAT(told, HasSubstr("a.service"));
  EXPECT_THAT(told, Not(HasSubstr("b.service")));
}

TEST_F(EventFeedTest, ARecordHasItsIdOnlyOnceItIsToldWhole) {
  const auto sink = Follow();
  Put(1, {{"placed", "a.service", "m1", ""}, {"placed", "b.service", "m1", ""}});
  const std::string told = sink->TakeText();
  EXPECT_LT(told.find("a.service"), told.find("\nid: ") + 1);
  EXPECT_EQ(told.find("id: "), told.rfind("\nid: ") + 1);
}

TEST_F(EventFeedTest, ManyRecordsAreReadInParts) {
  for (int i = 1; i <= 2500; ++i) Put(i, "u" + std::to_string(i) + ".service");
  const std::string told = Follow()->TakeText();
  EXPECT_THAT(told, HasSubstr("u1.service"));
  EXPECT_THAT(told, HasSubstr("u2500.service"));
}

// Takes what is queued once the loop comes to it, as a connection does.
class NetworkSink : public FakeSink {
 public:
  explicit NetworkSink(Executor* executor) : FakeSink(executor), loop_(executor) {}

  void Send(std::shared_ptr<const std::string> bytes) override {
    if (closed()) return;
    queue_ += *bytes;
    most_queued = std::max(most_queued, queue_.size());
    if (std::exchange(writing_, true)) return;
    loop_->Post([this] {
      writing_ = false;
      text_ += std::exchange(queue_, std::string());
      if (auto drained = std::exchange(when_drained_, nullptr)) drained();
    });
  }
  size_t QueuedBytes() const override { return queue_.size(); }
  void DiscardQueued() override { queue_.clear(); }
  void OnDrained(absl::AnyInvocable<void()> drained) override {
    when_drained_ = std::move(drained);
  }

  size_t most_queued = 0;

 private:
  Executor* loop_;
  std::string queue_;
  bool writing_ = false;
  absl::AnyInvocable<void()> when_drained_;
};

TEST_F(EventFeedTest, AHistoryThatIsLongerThanAQueueMayBeIsToldToAClientThatReads) {
  for (int i = 1; i <= 24; ++i) {
    Put(i, {{"placed", fmt::format("u{}.service", i), "m1", std::string(512 << 10, 'x')}});
  }
  const auto sink = std::make_shared<NetworkSink>(&executor_);
  feed_.Follow({}, "", [&](Response response) { response.events(sink); });
  executor_.RunUntilIdle();
  EXPECT_FALSE(sink->closed());
  EXPECT_LT(sink->most_queued, 2 << 20);
  const std::string told = sink->TakeText();
  EXPECT_EQ(told.find("event: dropped"), std::string::npos);
  for (int i = 1; i <= 24; ++i) {
    const std::string unit = fmt::format("\"u{}.service\"", i);
    EXPECT_NE(told.find(unit), std::string::npos) << unit;
    EXPECT_EQ(told.find(unit), told.rfind(unit)) << unit;
  }
  Put(25, "new.service");
  EXPECT_THAT(sink->TakeText(), HasSubstr("new.service"));
}

TEST_F(EventFeedTest, ABrokenWatchEndsTheStreamSoThatTheClientComesBack) {
  const auto sink = Follow();
  store_.BreakWatches(absl::UnavailableError("gone"));
  executor_.RunUntilIdle();
  EXPECT_TRUE(sink->closed());
  EXPECT_EQ(feed_.followers(), 0);
}

TEST_F(EventFeedTest, AClientThatDoesNotReadIsDropped) {
  const auto sink = Follow();
  sink->stalled = true;
  for (int i = 1; i <= 8; ++i) Put(i, {{"placed", "a.service", "m1", std::string(1 << 20, 'x')}});
  EXPECT_FALSE(sink->closed());
  Put(9, "a.service");
  EXPECT_TRUE(sink->finished);
  EXPECT_THAT(sink->TakeText(), HasSubstr("event: dropped\n"));
}

TEST_F(EventFeedTest, AllStreamsShareOneWatchThatEndsWithTheLast) {
  const auto all = Follow();
  const auto some = Follow({.unit = "a.service"});
  EXPECT_EQ(store_.watches(), 1);
  Put(1, "a.service");
  Put(2, "b.service");
  EXPECT_THAT(all->TakeText(), HasSubstr("b.service"));
  const std::string told = some->TakeText();
  EXPECT_THAT(told, HasSubstr("a.service"));
  EXPECT_THAT(told, Not(HasSubstr("b.service")));
  all->Close();
  some->Close();
  Put(3, "a.service");
  EXPECT_EQ(store_.watches(), 0);
  const auto again = Follow({}, IdOf(2));
  EXPECT_THAT(again->TakeText(), HasSubstr(IdOf(3)));
  Put(4, "c.service");
  EXPECT_THAT(again->TakeText(), HasSubstr("c.service"));
}

TEST_F(EventFeedTest, WhatTheWatchTellsWhileAStreamIsReadIsNotLost) {
  Put(1, "one.service");
  const auto first = Follow();
  // Between the answer to the second one's read and its stream's begin.
  auto sink = std::make_shared<FakeSink>(&executor_);
  Response late;
  feed_.Follow({}, "", [&](Response response) { late = std::move(response); });
  executor_.RunUntilIdle();
  Put(2, "two.service");
  EXPECT_THAT(first->TakeText(), HasSubstr("two.service"));
  late.events(sink);
  executor_.RunUntilIdle();
  Put(3, "three.service");
  const std::string told = sink->TakeText();
  for (const char* unit : {"one.service", "two.service", "three.service"}) {
    EXPECT_EQ(told.find(unit), told.rfind(unit)) << unit;
    EXPECT_THAT(told, HasSubstr(unit));
  }
  EXPECT_EQ(store_.watches(), 1);
}

TEST_F(EventFeedTest, AFailedReadIsAnError) {
  store_.FailNext(absl::UnavailableError("away"));
  Follow();
  EXPECT_EQ(code_, 503);
}

}  // namespace
}  // namespace fleet::api
