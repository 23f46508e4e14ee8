// What fleetd learns about itself from a real systemd; run inside a machine of the lab.

#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "host/machine_facts.h"
#include "host/own_job.h"
#include "host/systemd/lab_fixture.h"

namespace fleet::host {
namespace {

class OwnService : public SystemdTest {
 protected:
  static std::string Itself() { return Shell("readlink /proc/$PPID/exe"); }

  // This very program as a service that leaves its answer in a file.
  void InstallWith(const std::string& role) {
    Shell("rm -f /run/t.answer");
    Install("t.service",
            "[Service]\nType=notify\nExecStart=" + Itself() + " " + role + " /run/t.answer\n");
  }
  void StartWith(const std::string& role) {
    InstallWith(role);
    ExpectDone("t.service");
  }
  void ExpectDone(const std::string& unit) {
    const auto started = Start(unit);
    ASSERT_TRUE(started.ok()) << started.status();
    EXPECT_EQ(*started, "done");
  }
  static std::string Answer() { return Shell("cat /run/t.answer"); }
};

TEST_F(OwnService, KnowsThatItIsStopped) {
  StartWith("--own-job");
  EXPECT_TRUE(Stop("t.service").ok());
  EXPECT_EQ(Answer(), "stop");
}

TEST_F(OwnService, KnowsThatItIsRestarted) {
  StartWith("--own-job");
  EXPECT_EQ(Shell("systemctl restart t.service"), "");
  EXPECT_EQ(Answer(), "restart");
}

TEST_F(OwnService, KnowsThatASignalIsNoJob) {
  StartWith("--own-job");
  Shell("systemctl kill t.service");
  WaitForSignal("t.service", "inactive/dead");
  EXPECT_EQ(Answer(), "none");
}

TEST_F(OwnService, HasNoJobOutsideOfAnyUnit) {
  const auto job = FindOwnJob(false);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(*job, OwnJob::kNone);
}

TEST_F(OwnService, DoesNotWaitForASystemdThatDoesNotAnswer) {
  const auto job = FindOwnJob(false, absl::ZeroDuration());
  EXPECT_TRUE(absl::IsDeadlineExceeded(job.status())) << job.status();
}

TEST_F(OwnService, TakesPassedSocketsWithTheirNames) {
  InstallWith("--passed-sockets");
  Install("t.socket",
          "[Socket]\nListenStream=/run/t.sock\nListenStream=127.0.0.1:7998\n"
          "FileDescriptorName=api\n");
  ExpectDone("t.socket");
  ExpectDone("t.service");
  EXPECT_EQ(Answer(), "3 api\n4 api");
  EXPECT_TRUE(StopAll({"t.socket", "t.service"})[0].ok());
}

TEST_F(OwnService, ReadsTheFactsOfThisMachine) {
  const auto facts = ReadMachineFacts();
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->machine_id, Shell("cat /etc/machine-id"));
  EXPECT_EQ(facts->boot_id, Shell("tr -d - < /proc/sys/kernel/random/boot_id"));
  EXPECT_EQ(facts->hostname, Shell("hostname"));
  EXPECT_EQ(facts->default_address,
            Shell("ip -o -4 addr show scope global | head -1 | tr -s ' ' | cut -d' ' -f4 | "
                  "cut -d/ -f1"));
}

}  // namespace
}  // namespace fleet::host
