#include "fleetctl/driver.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/command.h"
#include "fleetctl/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using ::testing::HasSubstr;

std::string MessageIn(const absl::Status& status) { return std::string(status.message()); }

// fleetctl with another program in the place of fleetctl-etcd.
class EtcdDriver : public ::testing::Test {
 protected:
  EtcdDriver() {
    std::string folder = ::testing::TempDir() + "driver-XXXXXX";
    folder_ = mkdtemp(folder.data());
  }
  ~EtcdDriver() override { std::filesystem::remove_all(folder_); }

  std::string Program(const std::string& name, std::string_view script) const {
    const std::string path = Cat(folder_, "/", name);
    std::filesystem::create_directories(path.substr(0, path.rfind('/')));
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    chmod(path.c_str(), 0755);
    return path;
  }

  absl::Status SetUp(const std::string& program) {
    return SetUpEtcdDriver(flags_, {.err = &err_}, program, options_);
  }
  absl::Status Dial() const {
    return options_.dial(options_.endpoints[0], client::MonotonicNow() + absl::Seconds(10))
        .status();
  }

  std::string folder_;
  Flags flags_{GlobalFlags()};
  client::ClientOptions options_;
  std::ostringstream err_;
};

TEST_F(EtcdDriver, TellsTheProgramsCauseWhenItCannotServe) {
  ASSERT_TRUE(SetUp(Program("p", "echo error etcd sleeps")).ok());
  EXPECT_EQ(MessageIn(Dial()), "etcd sleeps");
}

TEST_F(EtcdDriver, SaysSoWhenTheProgramEndsWithoutACause) {
  ASSERT_TRUE(SetUp(Program("p", "exit 3")).ok());
  EXPECT_THAT(MessageIn(Dial()), HasSubstr("has ended"));
}

TEST_F(EtcdDriver, ConnectsToTheSocketThatTheProgramInherits) {
  ASSERT_TRUE(SetUp(Program("p", "echo ready; exec sleep 60")).ok());
  EXPECT_TRUE(Dial().ok());
  EXPECT_TRUE(Dial().ok());
  EXPECT_EQ(err_.str(), "");
}

TEST_F(EtcdDriver, NotesOnceThatThePrefixHasNoRecord) {
  flags_.Set("etcd-key-prefix", "else/where");
  ASSERT_TRUE(SetUp(Program("p", "echo empty; exec sleep 60")).ok());
  ASSERT_TRUE(Dial().ok());
  ASSERT_TRUE(Dial().ok());
  const std::string note = "nothing below /else/where/";
  EXPECT_THAT(err_.str(), HasSubstr(note));
  EXPECT_EQ(err_.str().find(note), err_.str().rfind(note));
}

TEST_F(EtcdDriver, GivesTheServersOfTheEndpointFlagOrThisMachines) {
  ASSERT_TRUE(SetUp(Program("p", "echo error $1")).ok());
  EXPECT_EQ(MessageIn(Dial()), "--servers=http://127.0.0.1:2379");
  flags_.Set("endpoint", "http://a:1, https://b");
  ASSERT_TRUE(SetUp(Program("p", "echo error $1")).ok());
  EXPECT_EQ(MessageIn(Dial()), "--servers=http://a:1,https://b");
}

TEST_F(EtcdDriver, RefusesWhatEtcdCannotHave) {
  flags_.Set("endpoint", "unix:///run/fleet.sock");
  EXPECT_EQ(ExitCodeOf(SetUp("p")), kUsage);
  flags_.Set("endpoint", "http://a:1");
  flags_.Set("tunnel", "host");
  EXPECT_EQ(ExitCodeOf(SetUp("p")), kUsage);
}

TEST_F(EtcdDriver, FindsItsProgramInABuildAndWhereItIsInstalled) {
  EXPECT_THAT(MessageIn(FindDriverProgram(folder_ + "/bin").status()),
              HasSubstr(folder_ + "/bin/fleetctl-etcd"));
  Program("bin/fleetctl", "");
  const std::string installed = Program("libexec/fleet/fleetctl-etcd", "");
  EXPECT_TRUE(std::filesystem::equivalent(*FindDriverProgram(folder_ + "/bin"), installed));
  const std::string beside = Program("bin/fleetctl-etcd", "");
  EXPECT_EQ(*FindDriverProgram(folder_ + "/bin"), beside);
}

}  // namespace
}  // namespace fleet::fleetctl
