#include "host/notify.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::host {
namespace {

using testing::IsEmpty;
using testing::StartsWith;

// Listens as systemd does.
class NotifyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/notifyXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ + "/socket";
    socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    ASSERT_LT(path_.size(), sizeof address.sun_path);
    std::memcpy(address.sun_path, path_.c_str(), path_.size());
    ASSERT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  }
  void TearDown() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
    close(socket_);
    unlink(path_.c_str());
    rmdir(directory_.c_str());
  }
  std::string Received() const {
    std::array<char, 4096> buffer{};
    const ssize_t n = recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    return n < 0 ? "" : std::string(buffer.data(), static_cast<size_t>(n));
  }

  std::string directory_;
  std::string path_;
  int socket_ = -1;
};

TEST_F(NotifyTest, SaysReadyWithAStatusOfOneLine) {
  NotifyReady("joined\nthe cluster");
  EXPECT_EQ(Received(), "READY=1\nSTATUS=joined the cluster");
}

TEST_F(NotifyTest, SaysWhenItReloadsAsTypeNotifyReloadWantsIt) {
  NotifyReloading();
  EXPECT_THAT(Received(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
}

TEST_F(NotifyTest, SaysWhenItStopsAndWhatItDoes) {
  NotifyStatus("12 units");
  EXPECT_EQ(Received(), "STATUS=12 units");
  NotifyStopping("leaving");
  EXPECT_EQ(Received(), "STOPPING=1\nSTATUS=leaving");
  NotifyWatchdog();
  EXPECT_EQ(Received(), "WATCHDOG=1");
}

TEST_F(NotifyTest, IsSilentWithoutAManager) {
  unsetenv("NOTIFY_SOCKET");
  NotifyReady("x");
  EXPECT_EQ(Received(), "");
}

TEST_F(NotifyTest, PingsAtHalfOfTheWatchdogsTime) {
  EXPECT_EQ(WatchdogInterval(), absl::InfiniteDuration());
  setenv("WATCHDOG_USEC", "30000000", 1);
  EXPECT_EQ(WatchdogInterval(), absl::Seconds(15));
  setenv("WATCHDOG_PID", "1", 1);  // meant for another process
  EXPECT_EQ(WatchdogInterval(), absl::InfiniteDuration());
}

TEST(PassedSockets, AreNoneWhenNonePassed) { EXPECT_THAT(PassedSockets(), IsEmpty()); }

TEST(PassedSockets, AreNotTakenWhenMeantForAnotherProcess) {
  setenv("LISTEN_PID", "1", 1);
  setenv("LISTEN_FDS", "1", 1);
  EXPECT_THAT(PassedSockets(), IsEmpty());
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
}

}  // namespace
}  // namespace fleet::host
