#include "fleetctl/ssh.h"

#include "fleetctl/process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using testing::ElementsAre;

SshOptions Basic() {
  return {.username = "core", .timeout_seconds = 10, .known_hosts_file = "/home/u/.fleetctl/kh"};
}

TEST(SshArgv, MapsFleetsFlagsToSshsOptions) {
  SshOptions options = Basic();
  options.port = "2222";
  options.forward_agent = true;
  EXPECT_THAT(
      SshArgv(options, "10.0.0.1", "", {"/home/u/.ssh/known_hosts"}),
      ElementsAre("ssh", "-o", "ConnectTimeout=10", "-o", "StrictHostKeyChecking=yes", "-o",
                  "UserKnownHostsFile=\"/home/u/.fleetctl/kh\" \"/home/u/.ssh/known_hosts\"", "-l",
                  "core", "-p", "2222", "-A", "10.0.0.1"));
}

TEST(SshArgv, WithoutStrictCheckingNothingIsAskedOrStored) {
  SshOptions options = Basic();
  options.strict = false;
  EXPECT_THAT(SshArgv(options, "h", "", {}),
              ElementsAre("ssh", "-o", "ConnectTimeout=10", "-o", "StrictHostKeyChecking=no", "-o",
                          "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null",
                          "-o", "LogLevel=ERROR", "-l", "core", "h"));
}

TEST(SshArgv, ACommandIsNoOptionOfSshs) {
  const auto argv = SshArgv(Basic(), "h", "-V", {});
  EXPECT_THAT(std::vector(argv.end() - 3, argv.end()), ElementsAre("h", "--", "-V"));
}

TEST(SshArgv, WhatSshSaysGoesToTheLogOfEachHop) {
  SshOptions options = Basic();
  options.log_file = "/log";
  options.tunnel_host = "jump";
  const auto argv = SshArgv(options, "h", "", {});
  EXPECT_THAT(std::vector(argv.begin(), argv.begin() + 3), ElementsAre("ssh", "-E", "/log"));
  EXPECT_THAT(argv, testing::Contains(testing::StartsWith("ProxyCommand=ssh -E /log -o ")));
}

TEST(ForwardArgv, ConnectsToAPortThatTheTunnelsHostKnows) {
  SshOptions options = Basic();
  options.tunnel_host = "jump";
  const auto argv = ForwardArgv(options, "fd00::1", "80", {});
  EXPECT_THAT(std::vector(argv.end() - 3, argv.end()), ElementsAre("-W", "[fd00::1]:80", "jump"));
}

TEST(SshArgv, ATunnelIsAProxyWithTheSameOptions) {
  SshOptions options = Basic();
  options.strict = false;
  options.tunnel_host = "jump";
  options.tunnel_port = "2200";
  const auto argv = SshArgv(options, "h", "", {});
  EXPECT_THAT(argv, testing::Contains(
                        "ProxyCommand=ssh -o ConnectTimeout=10 -o StrictHostKeyChecking=no -o "
                        "UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null -o "
                        "LogLevel=ERROR -l core -p 2200 -W '[%h]:%p' jump"));
}

TEST(ShellQuote, KeepsOneWordOneWord) {
  EXPECT_EQ(ShellQuote("web@1.service"), "web@1.service");
  EXPECT_EQ(ShellQuote("a\\x2db.mount"), "'a\\x2db.mount'");
  EXPECT_EQ(ShellQuote("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellQuote(""), "''");
}

TEST(RunCaptured, GivesBothStreamsAndTheStatus) {
  const auto result = RunCaptured({"sh", "-c", "echo out; echo err >&2; exit 3"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "out\n");
  EXPECT_EQ(result->err, "err\n");
  EXPECT_EQ(result->code, 3);
  EXPECT_FALSE(RunCaptured({"/nonexistent/program"}).ok());
}

}  // namespace
}  // namespace fleet::fleetctl
