#include "fleetctl/driver.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/descriptor.h"
#include "base/duration.h"
#include "base/status.h"
#include "client/child.h"
#include "client/clock.h"
#include "client/text.h"
#include "fleetctl/exit_code.h"

namespace fleet::fleetctl {
namespace {

constexpr std::string_view kProgram = "fleetctl-etcd";
constexpr std::string_view kDefaultServers = "http://127.0.0.1:2379";
// The program tells of a silent etcd by itself, after some requests' time.
constexpr absl::Duration kPatience = absl::Seconds(30);

absl::Status Cannot(std::string_view what) {
  return absl::UnavailableError(Cat("cannot ", what, ": ", std::strerror(errno)));
}

// A listening unix socket that has no name any more: only who has `node` can connect to it.
struct HiddenSocket {
  Descriptor listening;
  Descriptor node;  // O_PATH

  std::string path() const { return Cat("/proc/self/fd/", node.get()); }
};

absl::StatusOr<HiddenSocket> ListenHidden() {
  const char* const temporary = std::getenv("TMPDIR");
  std::string folder =
      Cat(temporary != nullptr && *temporary != 0 ? temporary : "/tmp", "/fleetctl-XXXXXX");
  HiddenSocket hidden;
  hidden.listening = Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (hidden.listening.get() < 0) return Cannot("make a socket");
  if (mkdtemp(folder.data()) == nullptr) return Cannot(Cat("make the directory ", folder));
  const std::string path = folder + "/api";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  absl::Status status;
  if (path.size() >= sizeof(address.sun_path)) {
    status = absl::UnavailableError(Cat("the path ", path, " is too long for a socket"));
  } else {
    path.copy(address.sun_path, path.size());
    if (bind(hidden.listening.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0 ||
        listen(hidden.listening.get(), SOMAXCONN) != 0) {
      status = Cannot(Cat("listen at ", path));
    }
    hidden.node = Descriptor(open(path.c_str(), O_PATH | O_CLOEXEC));
    if (status.ok() && hidden.node.get() < 0) status = Cannot(Cat("open ", path));
    unlink(path.c_str());
  }
  rmdir(folder.c_str());
  if (!status.ok()) return status;
  return hidden;
}

// The line that the program tells when it serves, or cannot; without what it had told if it ends.
absl::StatusOr<std::string> ReadLine(int fd, absl::Time deadline) {
  std::string line;
  for (;;) {
    RETURN_IF_ERROR(client::WaitFor(fd, POLLIN, deadline));
    std::array<char, 4096> bytes;
    const ssize_t n = read(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::UnavailableError(Cat(kProgram, " has ended without a word"));
    line.append(bytes.data(), static_cast<size_t>(n));
    const size_t end = line.find('\n');
    if (end != std::string::npos) return line.substr(0, end);
  }
}

// fleetctl-etcd while it runs, and the socket that it serves.
class Driver {
 public:
  // An empty `program` is looked for when it is needed.
  Driver(std::string program, std::vector<std::string> arguments, std::string prefix,
         absl::Duration timeout, std::ostream* err)
      : program_(std::move(program)),
        arguments_(std::move(arguments)),
        prefix_(std::move(prefix)),
        timeout_(timeout),
        err_(err) {}
  ~Driver() { End(); }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  absl::StatusOr<std::unique_ptr<client::Stream>> Dial(absl::Time deadline) {
    if (pid_ != 0) {
      auto stream = Connect(deadline);
      if (stream.ok()) return stream;
      End();
    }
    RETURN_IF_ERROR(Start());
    return Connect(deadline);
  }

 private:
  absl::StatusOr<std::unique_ptr<client::Stream>> Connect(absl::Time deadline) const {
    client::Endpoint endpoint;
    endpoint.path = socket_.path();
    return client::Dial(endpoint, {}, deadline);
  }

  absl::Status Start() {
    if (program_.empty()) {
      std::array<char, 4096> own;
      const ssize_t length = readlink("/proc/self/exe", own.data(), own.size());
      if (length < 0) return Cannot("find out where fleetctl is");
      const std::string_view path(own.data(), static_cast<size_t>(length));
      ASSIGN_OR_RETURN(program_, FindDriverProgram(std::string(path.substr(0, path.rfind('/')))));
    }
    ASSIGN_OR_RETURN(socket_, ListenHidden());
    std::array<int, 2> pair{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
      return Cannot("make a pair of sockets");
    report_ = Descriptor(pair[0]);
    Descriptor its_report(pair[1]);
    std::vector<std::string> argv = {program_};
    argv.insert(argv.end(), arguments_.begin(), arguments_.end());
    // Nothing of it is to be put in order: it is killed.
    ASSIGN_OR_RETURN(pid_, client::StartChild(argv, {.in = socket_.listening.get(),
                                                     .out = its_report.get(),
                                                     .death_signal = SIGKILL}));
    // Only the program has these now: when it ends, so does what is read, and connecting fails.
    its_report = Descriptor();
    socket_.listening = Descriptor();
    auto report = Heard();
    if (!report.ok()) End();
    return report;
  }

  absl::Status Heard() {
    ASSIGN_OR_RETURN(const std::string line,
                     ReadLine(report_.get(), client::MonotonicNow() + timeout_ + kPatience));
    if (line == "ready") return absl::OkStatus();
    if (line == "empty") {
      *err_ << "Note: etcd has nothing below " << prefix_
            << " (--etcd-key-prefix says where the registry is)\n"
            << std::flush;
      return absl::OkStatus();
    }
    return absl::UnavailableError(std::string(WithoutPrefix(line, "error ")));
  }

  void End() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    client::ReapChild(std::exchange(pid_, 0));
  }

  std::string program_;
  std::vector<std::string> arguments_;
  std::string prefix_;
  absl::Duration timeout_;
  std::ostream* err_;
  HiddenSocket socket_;
  Descriptor report_;  // its other end is the program's, which ends when this one is closed
  pid_t pid_ = 0;
};

absl::StatusOr<std::string> ServersFrom(const Flags& flags) {
  if (!flags.Given("endpoint")) return std::string(kDefaultServers);
  std::vector<std::string> servers = SplitList(flags.Text("endpoint"), ',');
  const auto endpoints = client::ParseEndpoints(flags.Text("endpoint"));
  if (!endpoints.ok()) return UsageError(MessageOf(endpoints.status()));
  for (const client::Endpoint& endpoint : *endpoints) {
    if (endpoint.scheme != client::Endpoint::Scheme::kUnix) continue;
    return UsageError(Cat("endpoint \"", endpoint.text,
                          "\": with --driver=etcd, endpoints are servers of etcd, "
                          "http://host:2379 or https://host:2379"));
  }
  return Join(servers, ",");
}

std::string WithSlashes(std::string prefix) {
  if (!prefix.starts_with("/")) prefix = "/" + prefix;
  if (!prefix.ends_with("/")) prefix += "/";
  return prefix;
}

}  // namespace

absl::Status SetUpEtcdDriver(const Flags& flags, const Environment& environment,
                             client::ClientOptions& options) {
  return SetUpEtcdDriver(flags, environment, "", options);
}

absl::Status SetUpEtcdDriver(const Flags& flags, const Environment& environment,
                             const std::string& program, client::ClientOptions& options) {
  if (!flags.Text("tunnel").empty()) {
    return UsageError(
        "--tunnel does not reach etcd: run fleetctl on the tunnel's host, or leave --driver=etcd "
        "out and use a fleetd's API through the tunnel");
  }
  ASSIGN_OR_RETURN(const std::string servers, ServersFrom(flags));
  const std::string prefix = WithSlashes(flags.Text("etcd-key-prefix"));
  // User name and password come to it in the environment: arguments are for everybody to see.
  std::vector<std::string> arguments = {
      Cat("--servers=", servers),
      Cat("--prefix=", prefix),
      Cat("--timeout=", DurationText(options.request_timeout)),
      Cat("--ca-file=", options.tls.ca_file),
      Cat("--cert-file=", options.tls.cert_file),
      Cat("--key-file=", options.tls.key_file),
  };
  if (flags.On("debug")) arguments.emplace_back("--debug");
  client::Endpoint endpoint;
  endpoint.text = "the registry";
  options.endpoints = {endpoint};
  options.hint = "is etcd running? --endpoint names its servers";
  const auto driver = std::make_shared<Driver>(program, std::move(arguments), prefix,
                                               options.request_timeout, environment.err);
  options.dial = [driver](const client::Endpoint&, absl::Time deadline) {
    return driver->Dial(deadline);
  };
  return absl::OkStatus();
}

absl::StatusOr<std::string> FindDriverProgram(const std::string& folder) {
  std::vector<std::string> tried;
  for (const std::string_view below : {"/", "/../libexec/fleet/"}) {
    tried.push_back(Cat(folder, below, kProgram));
    if (access(tried.back().c_str(), X_OK) == 0) return tried.back();
  }
  return absl::UnavailableError(
      Cat("the program for --driver=etcd is not installed: neither ", Join(tried, " nor ")));
}

}  // namespace fleet::fleetctl
