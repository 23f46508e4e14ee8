// Commands that run something elsewhere, with stand-ins for ssh and systemctl on the PATH. What
// those do is written to files: their output is this process's.

#include "fleetctl/remote.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "client/fake_server.h"
#include "client/fake_tls_server.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"
#include "fleetctl/fake_fleet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fleet::fleetctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// As OpenSSH: options are read after the host, too, until "--" or the command. The user "refused"
// cannot log in; a port that nobody listens on cannot be forwarded to.
constexpr char kSsh[] = R"(#!/bin/bash
log=/dev/stderr host= user= forward=
while [ $# -gt 0 ]; do
  case "$1" in
    --) shift; break ;;
    -E) log=$2; shift 2 ;;
    -l) user=$2; shift 2 ;;
    -W) forward=$2; shift 2 ;;
    -o|-p) shift 2 ;;
    -A) shift ;;
    -*) echo "unknown option $1" >&2; exit 250 ;;
    *) [ -n "$host" ] && break; host=$1; shift ;;
  esac
done
if [ "$user" = refused ]; then
  printf '%s@%s: Permission denied (publickey).\r\n' "$user" "$host" >>"$log"
  exit 255
fi
if [ -n "$forward" ]; then
  port=${forward##*:}
  if ! { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null; then
    printf 'channel 0: open failed: connect failed: Connection refused\r\n' >>"$log"
    exit 255
  fi
  exec 4<&0
  cat <&3 &
  reader=$!
  cat <&4 >&3 &
  trap "kill $reader $! 2>/dev/null" EXIT
  wait $reader
  exit
fi
sh -c "$*"
code=$?
[ $code -gt 128 ] && code=255
exit $code
)";

class Remote : public testing::Test {
 protected:
  void SetUp() override {
    Program("ssh", kSsh);
    const std::string record = "#!/bin/sh\necho \"$0 $*\" >>" + Path("calls") + "\n";
    Program("systemctl", record);
    Program("journalctl", record);
    Program("runuser", record);
    const char* path = getenv("PATH");
    old_path_ = path == nullptr ? "" : path;
    setenv("PATH", Cat(fleet_.directory(), "bin:", old_path_).c_str(), 1);
    fleet_.variables["FLEETCTL_STRICT_HOST_KEY_CHECKING"] = "false";
  }
  void TearDown() override { setenv("PATH", old_path_.c_str(), 1); }

  std::string Path(const std::string& name) const { return fleet_.directory() + name; }

  void Program(const std::string& name, const std::string& script) const {
    std::filesystem::create_directory(Path("bin"));
    std::ofstream(Path("bin/") + name) << script;
    std::filesystem::permissions(Path("bin/") + name, std::filesystem::perms::owner_all);
  }

  // The lines of a file, as words of a shell wrote them.
  std::vector<std::string> Lines(const std::string& name) const {
    std::ifstream file(Path(name));
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    std::vector<std::string> lines = SplitList(text, '\n');
    for (std::string& line : lines) {
      if (line.starts_with(Path("bin/"))) line.erase(0, Path("bin/").size());
    }
    return lines;
  }

  FakeFleet fleet_;
  std::string old_path_;
};

TEST_F(Remote, TheWordsOfACommandMakeOneLineThere) {
  const std::string to = Cat(">>", Path("said"));
  EXPECT_EQ(fleet_.Run({"ssh", "8be9", "echo", "-l", "a;", "echo", "b", to}).code, kDone);
  EXPECT_EQ(fleet_.Run({"ssh", "8be9", "--", "echo", "--full", to}).code, kDone);
  EXPECT_EQ(fleet_.Run({"ssh", "--machine=8be9", "--", "echo", "c", to}).code, kDone);
  EXPECT_THAT(Lines("said"), ElementsAre("b", "--full", "c"));
  EXPECT_EQ(fleet_.Run({"ssh", "8be9", "-V"}).code, 2);  // an option of the shell there, not of ssh
}

TEST_F(Remote, OnlyALoginThatWasRefusedIsToldToBeOne) {
  for (const std::string command : {"exit 255", "kill -TERM $$"}) {
    const Result result = fleet_.Run({"ssh", "8be9", command});
    EXPECT_EQ(result.code, 255) << command;
    EXPECT_THAT(result.err, IsEmpty()) << command;
  }
  const Result refused = fleet_.Run({"--ssh-username=refused", "ssh", "8be9", "true"});
  EXPECT_EQ(refused.code, 255);
  EXPECT_EQ(refused.err,
            "refused@10.0.0.1: Permission denied (publickey).\r\n"
            "Error: ssh to refused@10.0.0.1 failed; is a key that it accepts in your ssh agent "
            "(ssh-add -l), and --ssh-username right?\n");
}

TEST_F(Remote, AnAddressThatIsAnOptionIsNotGivenToSsh) {
  fleet_.machines[0]["primaryIP"] = "-oProxyCommand=touch x";
  const Result result = fleet_.Run({"ssh", "8be9", "true"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("says that its address is \"-oProxyCommand"));
  EXPECT_EQ(fleet_.Run({"--tunnel=-oX=y", "list-machines"}).code, kUsage);
}

TEST_F(Remote, StatusAndJournalAskTheSystemsSystemd) {
  fleet_.Add("a.service", "launched");
  EXPECT_EQ(fleet_.Run({"status", "a"}).code, kDone);
  EXPECT_EQ(fleet_.Run({"journal", "--lines=3", "-f", "--output=cat", "a"}).code, kDone);
  EXPECT_THAT(Lines("calls"),
              ElementsAre("systemctl status -l a.service",
                          "journalctl --unit a.service --no-pager -n 3 -f --output cat"));
}

TEST_F(Remote, StatusAndJournalAskTheSystemdOfTheUserWhoRunsFleetd) {
  const std::string me = getpwuid(geteuid())->pw_name;
  fleet_.Add("a.service", "launched");
  fleet_.machines[0]["systemdUser"] = me;
  const std::vector<std::string> mine = {"systemctl --user status -l a.service",
                                         "journalctl --user-unit a.service --no-pager -n 10"};
  // Here, and there as that user.
  for (const std::string_view local : {FakeFleet::kMachine, std::string_view()}) {
    fleet_.local_machine_id = local;
    std::filesystem::remove(Path("calls"));
    EXPECT_EQ(fleet_.Run({"--ssh-username", me, "status", "a"}).code, kDone);
    EXPECT_EQ(fleet_.Run({"--ssh-username", me, "journal", "a"}).code, kDone);
    EXPECT_EQ(Lines("calls"), mine);
  }
}

TEST_F(Remote, AnotherUsersSystemdIsNamed) {
  fleet_.local_machine_id = FakeFleet::kMachine;
  fleet_.Add("a.service", "launched");
  fleet_.machines[0]["systemdUser"] = "nobody";
  EXPECT_EQ(fleet_.Run({"status", "a"}).code, kDone);
  EXPECT_EQ(fleet_.Run({"journal", "a"}).code, kDone);
  const std::string uid = std::to_string(getpwnam("nobody")->pw_uid);
  EXPECT_THAT(Lines("calls"),
              ElementsAre(Cat("runuser -u nobody -- env XDG_RUNTIME_DIR=/run/user/", uid,
                              " systemctl --user status -l a.service"),
                          Cat("journalctl _SYSTEMD_USER_UNIT=a.service _UID=", uid,
                              " + USER_UNIT=a.service _UID=", uid, " --no-pager -n 10")));
}

class TunnelTest : public Remote {
 protected:
  Result Through(const std::string& endpoint, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--tunnel=gate", "--endpoint", endpoint});
    return fleet_.Run(arguments);
  }

  client::FakeServer server_{client::FakeServer::kLoopback, [](const client::FakeRequest&) {
                               return client::FakeResponse{.body = R"({"machines":[{"id":"m"}]})"};
                             }};
};

TEST_F(TunnelTest, ATcpEndpointIsForwardedTo) {
  const Result result = Through(server_.endpoint(), {"list-machines", "-o", "name"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "m\n");
  EXPECT_THAT(result.err, IsEmpty());
}

TEST_F(TunnelTest, HttpsGoesThroughIt) {
  const client::FakeTlsServer server(Path("ca.pem"), R"({"machines":[{"id":"t"}]})");
  const Result result =
      Through(server.endpoint(), {"--ca-file", Path("ca.pem"), "list-machines", "-o", "name"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "t\n");
  const Result unknown = Through(server.endpoint(), {"list-machines"});
  EXPECT_EQ(unknown.code, kNotConnected);
  EXPECT_THAT(unknown.err, HasSubstr("certificate is refused"));
}

TEST_F(TunnelTest, AnEndpointThatIsNotThereIsNoConnection) {
  const std::string file = fleet_.Write("a.service", "[Service]\nExecStart=/x\n");
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"list-machines"}, {"submit", file}}) {
    const Result result = Through("http://127.0.0.1:1", command);
    EXPECT_EQ(result.code, kNotConnected);
    EXPECT_THAT(result.err, HasSubstr("http://127.0.0.1:1: ssh to core@gate: channel 0: open "
                                      "failed: connect failed: Connection refused"));
  }
}

TEST_F(TunnelTest, ASocketIsForwardedToByFleetctlThere) {
  // What it says itself goes to standard error, as all that a remote program says there.
  Program("fleetctl", "#!/bin/sh\necho \"$*\" >>" + Path("forwarded") + "\nexit 1\n");
  const Result result = Through("unix:///run/none.sock", {"list-machines"});
  EXPECT_EQ(result.code, kNotConnected);
  EXPECT_THAT(result.err, HasSubstr("unix:///run/none.sock: ssh to core@gate, fleetctl fd-forward "
                                    "/run/none.sock gave no answer"));
  EXPECT_THAT(Lines("forwarded"), ElementsAre("fd-forward /run/none.sock"));
}

TEST_F(TunnelTest, ARefusedLoginIsAClearError) {
  const Result result = Through(server_.endpoint(), {"--ssh-username=refused", "list-machines"});
  EXPECT_EQ(result.code, kNotConnected);
  EXPECT_THAT(result.err, HasSubstr("refused@gate: Permission denied (publickey).; is a key that"));
  EXPECT_THAT(result.err, HasSubstr("ssh-add"));
}

TEST_F(TunnelTest, TheNextEndpointIsTried) {
  const Result result =
      Through(Cat("http://127.0.0.1:1,", server_.endpoint()), {"list-machines", "-o", "name"});
  EXPECT_EQ(result.code, kDone) << result.err;
  EXPECT_EQ(result.out, "m\n");
  EXPECT_THAT(result.err, Not(HasSubstr("refused")));
}

}  // namespace
}  // namespace fleet::fleetctl
