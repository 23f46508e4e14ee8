#include "fleetctl/standard_streams.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

TEST(StandardStreams, ThatAreClosedAreNotWhatIsOpenedNext) {
  const pid_t child = fork();
  if (child == 0) {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) close(fd);
    FillStandardStreams();
    char byte = 0;
    const bool reads_nothing = read(STDIN_FILENO, &byte, 1) == 0;
    const bool cannot_print = write(STDOUT_FILENO, "x", 1) == -1;
    const bool is_above = open("/dev/null", O_RDONLY) > STDERR_FILENO;
    _exit(reads_nothing && cannot_print && is_above ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace fleet::fleetctl
