#include "fleetctl/ssh_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

TEST(SshLog, IsWrittenToByItsName) {
  std::ostringstream echo;
  SshLog log(&echo);
  std::ofstream(log.path()) << "one\r\n";
  std::ofstream(log.path()) << "two\r\n";
  EXPECT_EQ(log.Finish(), "one\r\ntwo\r\n");
  EXPECT_EQ(echo.str(), "one\r\ntwo\r\n");
  EXPECT_EQ(log.Finish(), "");
}

TEST(SshLog, EndsAlthoughSomebodyStillHasIt) {
  SshLog log(nullptr);
  const int master = open(log.path().c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(master, 0);
  ASSERT_EQ(write(master, "x", 1), 1);
  EXPECT_EQ(log.Finish(), "x");
  close(master);
}

TEST(SshLog, KeepsTheEndOfALongOne) {
  SshLog log(nullptr);
  std::ofstream(log.path()) << std::string(1 << 20, '.') << "the end";
  const std::string text = log.Finish();
  EXPECT_EQ(text.size(), 64U << 10);
  EXPECT_TRUE(text.ends_with(".the end"));
}

TEST(InOneLine, JoinsLines) {
  EXPECT_EQ(InOneLine("channel 0: open failed\r\nstdio forwarding failed\r\n"),
            "channel 0: open failed; stdio forwarding failed");
  EXPECT_EQ(InOneLine(""), "");
}

TEST(LoginHint, IsGivenOnlyWhereTheLoginWasRefused) {
  EXPECT_NE(LoginHint("core@10.0.0.1: Permission denied (publickey,password).\r\n"), "");
  EXPECT_EQ(LoginHint("Permission denied, please try again.\r\n"), "");
  EXPECT_EQ(LoginHint("ssh: connect to host h port 22: Connection timed out\r\n"), "");
  EXPECT_EQ(LoginHint(""), "");
}

}  // namespace
}  // namespace fleet::fleetctl
