#include "host/journal_process.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <thread>

#include "gtest/gtest.h"

namespace fleet::host {
namespace {

class JournalProcessTest : public ::testing::Test {
 protected:
  JournalProcessTest() {
    char name[] = "/tmp/journal-process-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~JournalProcessTest() override {
    unlink(Program().c_str());
    rmdir(directory_.c_str());
  }
  std::string Program() const { return directory_ + "/journalctl"; }
  void Write(const std::string& script) const {
    std::ofstream(Program()) << "#!/bin/sh\n" << script << "\n";
    chmod(Program().c_str(), 0755);
  }
  static std::string ReadAll(int fd) {
    std::string text;
    char bytes[4096];
    for (ssize_t n = 0; (n = read(fd, bytes, sizeof(bytes))) > 0;)
      text.append(bytes, static_cast<size_t>(n));
    return text;
  }

  std::string directory_;
};

TEST_F(JournalProcessTest, AsksForTheLastLinesOfTheUnit) {
  Write(R"(printf '%s\n' "$@")");
  const auto process = JournalProcess::Start({.unit = "a.service", .lines = 7}, Program());
  ASSERT_TRUE(process.ok()) << process.status();
  const std::string asked = ReadAll((*process)->descriptor());
  EXPECT_NE(asked.find("--unit=a.service\n"), std::string::npos) << asked;
  EXPECT_NE(asked.find("--lines=7\n"), std::string::npos);
  EXPECT_EQ(asked.find("--follow"), std::string::npos);
}

TEST_F(JournalProcessTest, GoesOnBehindACursorWithAllThatCame) {
  Write(R"(printf '%s\n' "$@")");
  const auto process = JournalProcess::Start(
      {.unit = "a.service", .user = true, .follow = true, .after = "s=1;i=2"}, Program());
  const std::string asked = ReadAll((*process)->descriptor());
  EXPECT_NE(asked.find("--user-unit=a.service\n"), std::string::npos) << asked;
  EXPECT_NE(asked.find("--after-cursor=s=1;i=2\n--lines=all\n--follow\n"), std::string::npos);
}

TEST_F(JournalProcessTest, EndsWithItsOwner) {
  Write("echo $$; exec sleep 1000");
  pid_t pid = 0;
  {
    const auto process = JournalProcess::Start({.unit = "a.service"}, Program());
    char bytes[16] = {};
    ASSERT_GT(read((*process)->descriptor(), bytes, sizeof(bytes) - 1), 0);
    pid = atoi(bytes);
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_NE(kill(pid, 0), 0);
}

TEST_F(JournalProcessTest, SaysHowItHasEnded) {
  const auto end_of = [this](const std::string& script) {
    Write(script);
    const auto process = JournalProcess::Start({.unit = "a.service"}, Program());
    ReadAll((*process)->descriptor());
    for (;;) {
      if (const auto ended = (*process)->Ended()) {
        EXPECT_EQ((*process)->Ended(), ended) << "it stays so";
        return *ended;
      }
      std::this_thread::yield();
    }
  };
  EXPECT_TRUE(end_of("echo line").ok());
  EXPECT_EQ(end_of("echo line; exit 3").message(), "journalctl failed with exit status 3");
  EXPECT_EQ(end_of("kill -9 $$").message(), "journalctl was ended by signal 9");
}

TEST_F(JournalProcessTest, HasNotEndedAsLongAsItRuns) {
  Write("echo $$; exec sleep 1000");
  const auto process = JournalProcess::Start({.unit = "a.service"}, Program());
  char bytes[16] = {};
  ASSERT_GT(read((*process)->descriptor(), bytes, sizeof(bytes) - 1), 0);
  EXPECT_EQ((*process)->Ended(), std::nullopt);
}

TEST_F(JournalProcessTest, SaysThatThereIsNoJournalctl) {
  const auto process = JournalProcess::Start({.unit = "a.service"}, directory_ + "/none");
  EXPECT_FALSE(process.ok());
}

}  // namespace
}  // namespace fleet::host
