// Runs testdata/*.case; README.md describes the format.

#include <algorithm>
#include <cctype>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/testing/case_file.h"
#include "scheduler/testing/case_runner.h"

namespace fleet::scheduler {

void PrintTo(const Case& one, std::ostream* out) { *out << one.file << ": " << one.name; }

namespace {

std::vector<Case> AllCases() {
  const auto cases = ReadAllCases(SCHEDULER_TESTDATA);
  if (cases.ok()) return *cases;
  return {{"testdata", std::string(cases.status().message()), {}}};
}

class GoldenTest : public ::testing::TestWithParam<Case> {};

// Steps that change something, whose answer need not be written.
bool MayBeSilent(const std::string& verb) {
  return verb == "start" || verb == "start-together" || verb == "fill" || verb == "lose" ||
         verb == "rebalance";
}

TEST_P(GoldenTest, DecidesAsWritten) {
  ASSERT_FALSE(GetParam().steps.empty());
  CaseRunner runner;
  for (const Step& step : GetParam().steps) {
    SCOPED_TRACE(fmt::format("testdata/{}.case:{}: {}", GetParam().file, step.line,
                             fmt::join(step.words, " ")));
    const absl::StatusOr<std::vector<std::string>> answer = runner.Run(step);
    ASSERT_TRUE(answer.ok()) << answer.status();
    if (step.expected.empty() && MayBeSilent(step.words[0])) continue;
    if (!IsAsExpected(*answer, step.expected)) {
      ADD_FAILURE() << fmt::format("expected\n  = {}\nbut it is\n  = {}",
                                   fmt::join(step.expected, "\n  = "),
                                   fmt::join(*answer, "\n  = "));
    }
  }
}

std::string TestName(const ::testing::TestParamInfo<Case>& info) {
  std::string name = info.param.file + "_" + info.param.name;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenTest, ::testing::ValuesIn(AllCases()), TestName);

}  // namespace
}  // namespace fleet::scheduler
