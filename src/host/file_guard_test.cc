#include "host/file_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "base/loop.h"
#include "host/guard_files.h"

namespace fleet::host {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class FileGuardTest : public ::testing::Test {
 protected:
  static std::string MakeRoot() {
    std::string path = ::testing::TempDir() + "file-guard-XXXXXX";
    const std::string root = mkdtemp(path.data());
    fs::create_directory(root + "/guard");
    fs::create_directory(root + "/links");
    return root;
  }
  ~FileGuardTest() override { fs::remove_all(root_); }

  // As the guard does, to the order that is there.
  void Answer(const std::set<std::string>& stopped) {
    const auto order = ReadOrder(*ReadGuardFile(OrderPath(root_ + "/guard")));
    ASSERT_TRUE(order.ok());
    ASSERT_TRUE(ReplaceFile(root_ + "/guard", AnswerPath(root_ + "/guard"),
                            WriteAnswer({order->id, stopped}))
                    .ok());
  }
  absl::StatusOr<std::set<std::string>> Arm(const GuardOrder& order, bool answered) {
    Loop loop("test");
    FileGuard guard(root_ + "/guard", root_ + "/links", &loop);
    absl::StatusOr<std::set<std::string>> result = absl::UnknownError("no answer");
    guard.Arm(order, [&](auto answer) {
      result = std::move(answer);
      loop.Stop();
    });
    if (answered) Answer({"x.service"});
    loop.Run();
    return result;
  }
  std::string DropIn(const std::string& unit) {
    return root_ + "/links/" + unit + ".d/50-fleet-guard.conf";
  }

  const std::string root_ = MakeRoot();
};

TEST_F(FileGuardTest, TheAnswerToThisOrderIsWaitedFor) {
  const auto stopped = Arm({.units = {"a.service"}}, /*answered=*/true);
  ASSERT_TRUE(stopped.ok()) << stopped.status();
  EXPECT_THAT(*stopped, ElementsAre("x.service"));
}

TEST_F(FileGuardTest, AnAnswerToAnotherOrderIsNone) {
  ASSERT_TRUE(Arm({.units = {"a.service"}}, /*answered=*/true).ok());
  const auto stopped = Arm({.units = {"a.service"}}, /*answered=*/false);
  EXPECT_TRUE(absl::IsUnavailable(stopped.status()));
}

TEST_F(FileGuardTest, WithoutTheGuardsDirectoryThereIsNoGuard) {
  fs::remove_all(root_ + "/guard");
  EXPECT_TRUE(absl::IsUnavailable(Arm({.units = {"a.service"}}, /*answered=*/false).status()));
}

TEST_F(FileGuardTest, EachUnitHasADropInThatClosesWithTheGateAndOthersHaveNone) {
  fs::create_directories(root_ + "/links/old.service.d");
  std::ofstream(DropIn("old.service")) << "[Unit]\n";
  ASSERT_TRUE(Arm({.units = {"a.service"}}, /*answered=*/true).ok());
  const std::string text = *ReadGuardFile(DropIn("a.service"));
  EXPECT_THAT(text, ::testing::HasSubstr("ConditionPathExists=!" + GatePath(root_ + "/guard")));
  EXPECT_FALSE(fs::exists(root_ + "/links/old.service.d"));
  ASSERT_TRUE(Arm({.units = {}}, /*answered=*/true).ok());
  EXPECT_FALSE(fs::exists(root_ + "/links/a.service.d"));
}

}  // namespace
}  // namespace fleet::host
