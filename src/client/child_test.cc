#include "client/child.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>

#include "client/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::client {
namespace {

std::string ReadAll(int fd) {
  std::string text;
  char bytes[256];
  for (ssize_t n = 0; (n = read(fd, bytes, sizeof(bytes))) > 0;)
    text.append(bytes, static_cast<size_t>(n));
  return text;
}

TEST(StartChild, GivesTheChildItsStreams) {
  std::array<int, 2> out{};
  ASSERT_EQ(pipe2(out.data(), O_CLOEXEC), 0);
  const auto pid = StartChild({"sh", "-c", "echo \"$0\"; exit 3", "two words"}, {.out = out[1]});
  ASSERT_TRUE(pid.ok()) << pid.status();
  close(out[1]);
  EXPECT_EQ(ReadAll(out[0]), "two words\n");
  close(out[0]);
  EXPECT_EQ(ReapChild(*pid), 3);
}

TEST(StartChild, NamesAProgramThatCannotBeRun) {
  const auto pid = StartChild({"/nonexistent/program"}, {});
  EXPECT_EQ(MessageOf(pid.status()), "cannot run /nonexistent/program: No such file or directory");
}

TEST(ReapChild, TellsASignalAsAShellDoes) {
  const auto pid = StartChild({"sh", "-c", "kill -TERM $$"}, {});
  ASSERT_TRUE(pid.ok()) << pid.status();
  EXPECT_EQ(ReapChild(*pid), 128 + SIGTERM);
}

TEST(StartChild, TheChildEndsWithItsParentHoweverThatEnds) {
  std::array<int, 2> out{};
  ASSERT_EQ(pipe2(out.data(), O_CLOEXEC), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    const auto child = StartChild({"sh", "-c", "echo runs; exec sleep 1000"}, {.out = out[1]});
    if (!child.ok()) _exit(1);
    pause();
    _exit(0);
  }
  close(out[1]);
  char line[5];
  ASSERT_EQ(read(out[0], line, sizeof(line)), 5);
  kill(parent, SIGKILL);
  EXPECT_EQ(ReadAll(out[0]), "");  // comes back only when nobody has the pipe any more
  close(out[0]);
  ReapChild(parent);
}

}  // namespace
}  // namespace fleet::client
