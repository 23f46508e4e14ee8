#include "host/machine_facts.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::host {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class MachineFactsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/factsXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    Write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    Write("proc/sys/kernel/random/boot_id", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n");
    Write("proc/meminfo", "Garbage here\nMemTotal:        2048 kB\nMemFree:  1 kB\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& content) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << content;
  }
  absl::StatusOr<MachineFacts> Read() { return ReadMachineFactsBelow(root_.string()); }

  fs::path root_;
};

TEST_F(MachineFactsTest, ReadsIdsAndMemory) {
  const auto facts = Read();
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->machine_id, "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(facts->boot_id, "aaaaaaaabbbbccccddddeeeeeeeeeeee");
  EXPECT_EQ(facts->memory_bytes, 2048 * 1024);
  EXPECT_GE(facts->milli_cores, 1000);
}

TEST_F(MachineFactsTest, SaysThatTheMachineIdIsMissing) {
  fs::remove(root_ / "etc/machine-id");
  EXPECT_TRUE(absl::IsNotFound(Read().status()));
  EXPECT_THAT(Read().status().message(), HasSubstr("etc/machine-id"));
}

TEST_F(MachineFactsTest, RefusesAMachineIdThatIsNone) {
  for (const char* id : {"", "uninitialized\n", "0123456789ABCDEF0123456789abcdef\n", "0123\n",
                         "00000000000000000000000000000000\n"}) {
    Write("etc/machine-id", id);
    EXPECT_TRUE(absl::IsInvalidArgument(Read().status())) << id;
    EXPECT_THAT(Read().status().message(), HasSubstr("etc/machine-id"));
  }
}

TEST_F(MachineFactsTest, SaysWhatElseIsMissingOrBroken) {
  Write("proc/meminfo", "");
  EXPECT_THAT(Read().status().message(), HasSubstr("meminfo"));
  fs::remove(root_ / "proc/sys/kernel/random/boot_id");
  EXPECT_THAT(Read().status().message(), HasSubstr("boot_id"));
}

TEST(DefaultInterface, IsTheUsableOneWithTheLowestMetric) {
  const std::string head =
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
  EXPECT_EQ(DefaultInterface(head), "");
  EXPECT_EQ(DefaultInterface(head + "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"),
            "");
  EXPECT_EQ(
      DefaultInterface(head + "wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
                              "eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
                              "down0\t00000000\t0100A8C0\t0002\t0\t0\t1\t00000000\t0\t0\t0\n"
                              "dead0\t00000000\t0100A8C0\t0201\t0\t0\t1\t00000000\t0\t0\t0\n"),
      "eth0");
}

TEST(DefaultInterface, OfIPv6LeavesOutTheRefusingRouteOfLoopback) {
  const std::string zero(32, '0');
  const auto route = [&](const std::string& metric, const std::string& flags,
                         const std::string& interface) {
    return zero + " 00 " + zero + " 00 fe800000000000000000000000000001 " + metric +
           " 00000001 00000000 " + flags + " " + interface + "\n";
  };
  EXPECT_EQ(DefaultInterface6(route("ffffffff", "00200200", "lo")), "");
  EXPECT_EQ(DefaultInterface6(route("00000400", "00000003", "eth0") +
                              route("00000064", "00000003", "eth1")),
            "eth1");
}

}  // namespace
}  // namespace fleet::host
