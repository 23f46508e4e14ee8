#include "store/testing/etcd_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace fleet::store {
namespace {

// Between fork and exec only what is async-signal-safe may run: everything is prepared before.
pid_t Spawn(const std::vector<std::string>& command, int output) {
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (const std::string& arg : command) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);
  setenv("ETCDCTL_API", "3", 1);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  close_range(3, ~0U, 0);
  execvp(argv[0], argv.data());
  _exit(127);
}

}  // namespace

TempDir::TempDir() {
  const char* const base = std::getenv("TMPDIR");
  path_ = absl::StrCat(base == nullptr ? "/tmp" : base, "/fleet-store-XXXXXX");
  if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "cannot make " << path_;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(fd, generic, size), 0);
  EXPECT_EQ(getsockname(fd, generic, &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

std::string RunProgram(const std::vector<std::string>& command) {
  int pipe_fds[2];
  EXPECT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
  const pid_t pid = Spawn(command, pipe_fds[1]);
  close(pipe_fds[1]);
  std::string output;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(pipe_fds[0], buffer, sizeof(buffer))) > 0;) {
    output.append(buffer, static_cast<size_t>(n));
  }
  close(pipe_fds[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0) << absl::StrJoin(command, " ") << "\n" << output;
  return output;
}

EtcdProcess::EtcdProcess(Options options)
    : EtcdProcess("one", FreePort(), FreePort(), "", std::move(options)) {}

EtcdProcess::EtcdProcess(const std::string& name, int client_port, int peer_port,
                         std::string cluster, Options options)
    : url_(absl::StrCat(options.https ? "https" : "http", "://127.0.0.1:", client_port)) {
  const std::string peer = absl::StrCat("http://127.0.0.1:", peer_port);
  if (cluster.empty()) cluster = absl::StrCat(name, "=", peer);
  command_ = {"/usr/bin/etcd",
              absl::StrCat("--name=", name),
              absl::StrCat("--data-dir=", dir_.path(), "/data"),
              absl::StrCat("--listen-client-urls=", url_),
              absl::StrCat("--advertise-client-urls=", url_),
              absl::StrCat("--listen-peer-urls=", peer),
              absl::StrCat("--initial-advertise-peer-urls=", peer),
              absl::StrCat("--initial-cluster=", cluster)};
  command_.insert(command_.end(), options.args.begin(), options.args.end());
  Start();
}

EtcdProcess::~EtcdProcess() { Kill(); }

void EtcdProcess::Start() {
  const std::string log = dir_.path() + "/log";
  const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  pid_ = Spawn(command_, fd);
  close(fd);
}

void EtcdProcess::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void EtcdProcess::RemoveData() { std::filesystem::remove_all(dir_.path() + "/data"); }
void EtcdProcess::Pause() { kill(pid_, SIGSTOP); }
void EtcdProcess::Resume() { kill(pid_, SIGCONT); }

std::string EtcdProcess::Ctl(std::vector<std::string> args) const {
  std::vector<std::string> command = {"/usr/bin/etcdctl", "--endpoints=" + url_};
  command.insert(command.end(), args.begin(), args.end());
  return RunProgram(command);
}

std::vector<std::unique_ptr<EtcdProcess>> EtcdProcess::Cluster(int count) {
  struct Ports {
    std::string name;
    int client;
    int peer;
  };
  std::vector<Ports> ports;
  std::vector<std::string> cluster;
  for (int i = 0; i < count; ++i) {
    ports.push_back({absl::StrCat("m", i), FreePort(), FreePort()});
    cluster.push_back(absl::StrCat(ports.back().name, "=http://127.0.0.1:", ports.back().peer));
  }
  std::vector<std::unique_ptr<EtcdProcess>> members;
  members.reserve(ports.size());
  for (const Ports& p : ports) {
    members.emplace_back(
        new EtcdProcess(p.name, p.client, p.peer, absl::StrJoin(cluster, ","), Options{}));
  }
  return members;
}

}  // namespace fleet::store
