#pragma once

// An etcd of its own for a test: Debian's /usr/bin/etcd on free loopback ports, with its data in a
// temporary directory that goes with the object. It is not waited for: a store waits by itself.
// Started and destroyed in the thread that lives longest (the kernel ends etcd with that thread).

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace fleet::store {

// A directory below TMPDIR that is removed with everything in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

int FreePort();

// Runs a program to its end; its output if it exits with 0, otherwise the test fails.
std::string RunProgram(const std::vector<std::string>& command);

class EtcdProcess {
 public:
  struct Options {
    std::vector<std::string> args;  // more of them
    bool https = false;
  };

  EtcdProcess() : EtcdProcess(Options()) {}
  explicit EtcdProcess(Options options);
  ~EtcdProcess();
  EtcdProcess(const EtcdProcess&) = delete;
  EtcdProcess& operator=(const EtcdProcess&) = delete;

  const std::string& url() const { return url_; }

  void Start();       // again, after Kill(), with the same port and data
  void Kill();        // SIGKILL, and waits for its end
  void RemoveData();  // of one that was killed
  void Pause();       // SIGSTOP
  void Resume();      // SIGCONT

  // Runs etcdctl on this member.
  std::string Ctl(std::vector<std::string> args) const;

  // A cluster of `count` members.
  static std::vector<std::unique_ptr<EtcdProcess>> Cluster(int count);

 private:
  EtcdProcess(const std::string& name, int client_port, int peer_port, std::string cluster,
              Options options);

  TempDir dir_;
  std::string url_;
  std::vector<std::string> command_;
  pid_t pid_ = -1;
};

}  // namespace fleet::store
