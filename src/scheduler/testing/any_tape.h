#pragma once

// Random stories by RapidCheck, which makes up the tapes and shrinks those that show a failure.

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "rapidcheck.h"
#include "rapidcheck/detail/TestListenerAdapter.h"
#include "scheduler/testing/random_cluster.h"

namespace fleet::scheduler {

inline Tape AnyTape(size_t max_length) {
  const auto length = *rc::gen::inRange<size_t>(0, max_length);
  return Tape(*rc::gen::resize(rc::kNominalSize, rc::gen::container<std::vector<uint8_t>>(
                                                     length, rc::gen::arbitrary<uint8_t>())));
}

// A story of a small cluster, after which questions are asked that a second tape makes up. A
// failure tells it as a golden case.
struct Asked {
  Asked() {
    RC_LOG() << both.story();
    for (const std::string& mismatch : both.mismatches()) RC_FAIL(mismatch);
  }

  Tape tape = AnyTape(100);
  World world = tape.OneIn(3) ? CrowdedWorld() : SmallWorld();
  Both both = Story(AnyTape(900), world);
};

// Tries a property `times` times as often as RapidCheck would; for those of which one try is cheap.
inline void CheckOften(int times, void (*property)()) {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  rc::detail::TestMetadata metadata;
  metadata.id = std::string(info->test_suite_name()) + "/" + info->name();
  metadata.description = info->name();
  const rc::detail::Configuration& configuration = rc::detail::configuration();
  rc::detail::TestParams params = configuration.testParams;
  params.maxSuccess *= times;
  rc::detail::TestListenerAdapter listener;
  const rc::detail::TestResult result =
      rc::detail::checkTestable(property, metadata, params, listener, configuration.reproduce);
  if (result.is<rc::detail::SuccessResult>()) return;
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  FAIL() << text.str();
}

}  // namespace fleet::scheduler

// A property of stories, as a test.
#define STORY_PROP(Suite, Name)                                          \
  void Suite##Name();                                                    \
  TEST(Suite, Name) { ::fleet::scheduler::CheckOften(5, &Suite##Name); } \
  void Suite##Name()
