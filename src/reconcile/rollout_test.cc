#include "reconcile/rollout.h"

#include <gtest/gtest.h>

#include "fmt/core.h"

namespace fleet::reconcile {
namespace {

// The texts that one rollout after the other brings to a template, which begins with "t0".
class Texts {
 public:
  RolloutRecord& Bring(const std::string& hash, const std::string& how = "update") {
    const RolloutRecord before = last_;
    last_ = RolloutOf(count_ == 0 ? nullptr : &before, fmt::format("{}", count_), hash, current_,
                      absl::UnixEpoch(), how);
    ++count_;
    current_ = hash;
    return last_;
  }
  void End(RolloutState state) { last_.state = state; }
  void Submit(const std::string& hash) { current_ = hash; }
  const RolloutRecord& last() const { return last_; }

 private:
  RolloutRecord last_;
  std::string current_ = "t0";
  int count_ = 0;
};

TEST(RolloutHistory, KeepsTheLastTenTextsEachOnce) {
  Texts texts;
  for (int i = 1; i < 14; ++i) texts.Bring(fmt::format("t{}", i));
  const RolloutRecord& rollout = texts.Bring("t12", "undo");
  ASSERT_EQ(rollout.history.size(), 10u);
  EXPECT_EQ(rollout.history[0].content_hash, "t12");
  EXPECT_EQ(rollout.history[1].content_hash, "t13");
  EXPECT_EQ(rollout.history[2].content_hash, "t11");
}

TEST(RolloutHistory, TheTextBeforeComesBack) {
  Texts texts;
  EXPECT_EQ(texts.Bring("t1").former_hash, "t0");
  texts.End(RolloutState::kDone);
  EXPECT_EQ(texts.Bring("t2").former_hash, "t1");
  texts.End(RolloutState::kDone);
  EXPECT_EQ(texts.Bring("t1", "undo").former_hash, "t2") << "an undo is undone";
}

TEST(RolloutHistory, ATextThatIsBroughtAgainHasTheSameBeforeIt) {
  Texts texts;
  EXPECT_EQ(texts.Bring("t0").former_hash, "") << "there was none before";
  texts.Bring("t1");
  texts.End(RolloutState::kDone);
  EXPECT_EQ(texts.Bring("t1").former_hash, "t0");
  texts.End(RolloutState::kDone);
  EXPECT_EQ(texts.Bring("t1").former_hash, "t0");
  texts.End(RolloutState::kDone);
  texts.Submit("t2");
  EXPECT_EQ(texts.Bring("t2").former_hash, "t1") << "the template has had it before its instances";
}

TEST(RolloutHistory, ATextThatNeverGotToAllIsNotOneToGoBackTo) {
  Texts texts;
  texts.Bring("good");
  texts.End(RolloutState::kDone);
  texts.Bring("bad");
  texts.End(RolloutState::kPaused);
  EXPECT_EQ(texts.Bring("as bad").former_hash, "good");
  texts.End(RolloutState::kPaused);
  EXPECT_EQ(texts.Bring("good", "undo").former_hash, "as bad");
  EXPECT_EQ(texts.Bring("new").former_hash, "good") << "also when the way back was not finished";
}

TEST(RolloutHistory, WhatARollBackHasBroughtBackIsGood) {
  Texts texts;
  texts.Bring("good");
  texts.End(RolloutState::kDone);
  const RolloutRecord back =
      RollBackOf(texts.Bring("bad"), "web@1.service has failed", absl::UnixEpoch());
  EXPECT_EQ(back.content_hash, "good");
  EXPECT_TRUE(IsRollBack(back));
  EXPECT_EQ(RolloutOf(&back, "next", "new", "good", absl::UnixEpoch(), "update").former_hash,
            "good");
}

TEST(RunsToItsEnd, IsSoOfOneshots) {
  const auto ends = [](const std::string& service) {
    return RunsToItsEnd(*UnitFile::Parse("[Service]\n" + service));
  };
  EXPECT_TRUE(ends("Type=simple\nType=oneshot\nExecStart=/bin/true\n"));
  EXPECT_TRUE(ends("ExecStop=/bin/true\n"));
  EXPECT_FALSE(ends("ExecStart=/bin/true\n"));
  EXPECT_FALSE(ends("Type=notify\nExecStart=/bin/true\n"));
}

}  // namespace
}  // namespace fleet::reconcile
