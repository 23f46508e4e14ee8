// main() of host_systemd_test. Beside the tests it plays the services that they start:
//   --own-job FILE         waits for SIGTERM and writes what FindOwnJob() says
//   --passed-sockets FILE  writes the names of the sockets it was passed, and waits for SIGTERM

#include <csignal>
#include <fstream>
#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "host/notify.h"
#include "host/own_job.h"

namespace fleet::host {
namespace {

const char* Name(OwnJob job) {
  switch (job) {
    case OwnJob::kNone:
      return "none";
    case OwnJob::kRestart:
      return "restart";
    case OwnJob::kStop:
      return "stop";
    case OwnJob::kShutdown:
      return "shutdown";
  }
  return "?";
}

// Blocked from the start, so that it cannot come too early.
void WaitForSigterm(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
}

int Serve(std::string_view role, const std::string& path) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  if (role == "--passed-sockets") {
    std::ofstream file(path);
    for (const PassedSocket& socket : PassedSockets())
      file << socket.fd << " " << socket.name << "\n";
    file.close();
    NotifyReady("passed on");
    WaitForSigterm(signals);
    return 0;
  }
  NotifyReady("waiting");
  WaitForSigterm(signals);
  const auto job = FindOwnJob(false);
  std::ofstream(path) << (job.ok() ? Name(*job) : job.status().ToString()) << "\n";
  return 0;
}

}  // namespace
}  // namespace fleet::host

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--own-job") {
    return fleet::host::Serve("--own-job", argv[2]);
  }
  if (argc == 3 && std::string_view(argv[1]) == "--passed-sockets") {
    return fleet::host::Serve("--passed-sockets", argv[2]);
  }
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
