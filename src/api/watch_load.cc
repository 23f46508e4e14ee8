// watch-load: how /watch does with many clients. It opens CLIENTS streams, changes units RATE times
// a second over the same API, and checks that each stream tells of each change, in its order. One
// thread, epoll: it must not be what is slow. Prints one line of JSON. For `bench/run watch`.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"
#include "fmt/core.h"

namespace {

constexpr size_t kWriters = 16;  // changes under way at once
constexpr int kEvents = 512;     // that one epoll_wait takes
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kPatience =
    60 * kSecond;                    // for the streams' beginnings, and for the last changes
constexpr size_t kBuckets = 20'000;  // of delays, 100 µs each

struct Options {
  sockaddr_in address{};
  size_t clients = 1000;
  int64_t rate = 100;
  int64_t seconds = 30;
  size_t units = 200;
  pid_t pid = 0;  // of fleetd
};

[[noreturn]] void Die(const std::string& why) {
  fmt::print(stderr, "watch-load: {}\n", why);
  std::exit(1);
}

int64_t ClockOf(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}
int64_t Now() { return ClockOf(CLOCK_MONOTONIC); }

fleet::Descriptor Connect(const sockaddr_in& address) {
  fleet::Descriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    Die(fmt::format("cannot connect: {}", std::strerror(errno)));
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

void SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0) Die(fmt::format("cannot send: {}", std::strerror(errno)));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

int64_t NumberAt(std::string_view text) {
  int64_t number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string_view After(std::string_view text, std::string_view mark) {
  const size_t at = text.find(mark);
  return at == std::string_view::npos ? std::string_view() : text.substr(at + mark.size());
}

constexpr std::string_view kUnitPrefix = "watch-load-";

// What all streams have told of.
struct Tally {
  int64_t delivered = 0;
  int64_t out_of_order =
      0;  // a version that is not the one after the last, or an id that goes back
  std::vector<int64_t> delays = std::vector<int64_t>(kBuckets);
};

// One stream: takes the chunks apart, then the messages.
class Stream {
 public:
  Stream(fleet::Descriptor fd, size_t units) : fd_(std::move(fd)), versions_(units, -1) {}

  int fd() const { return fd_.get(); }
  bool synced() const { return synced_; }
  const std::vector<int64_t>& versions() const { return versions_; }

  void Feed(std::string_view bytes, Tally& tally) {
    raw_.append(bytes);
    std::string_view rest = raw_;
    if (in_head_) {
      const size_t end = rest.find("\r\n\r\n");
      if (end == std::string_view::npos) return;
      if (!rest.starts_with("HTTP/1.1 200")) Die(fmt::format("the answer is {}", rest));
      rest.remove_prefix(end + 4);
      in_head_ = false;
    }
    while (!rest.empty()) {
      const size_t line = rest.find("\r\n");
      if (line == std::string_view::npos) break;
      size_t size = 0;
      std::from_chars(rest.data(), rest.data() + line, size, 16);
      if (size == 0) Die("the server has ended a stream");
      if (rest.size() < line + 2 + size + 2) break;
      Take(rest.substr(line + 2, size), tally);
      rest.remove_prefix(line + 2 + size + 2);
    }
    raw_.erase(0, raw_.size() - rest.size());
  }

 private:
  // fleetd sends whole messages in each chunk.
  void Take(std::string_view chunk, Tally& tally) {
    while (!chunk.empty()) {
      const size_t end = chunk.find("\n\n");
      if (end == std::string_view::npos) Die("a chunk ends within a message");
      Message(chunk.substr(0, end), tally);
      chunk.remove_prefix(end + 2);
    }
  }

  void Message(std::string_view message, Tally& tally) {
    if (message == ":") return;
    const int64_t id = NumberAt(After(message, "id: "));
    if (id < last_id_ && synced_) ++tally.out_of_order;
    last_id_ = id;
    if (After(message, "event: ").starts_with("sync")) {
      synced_ = true;
      return;
    }
    const std::string_view unit = After(message, kUnitPrefix);
    const std::string_view description = After(unit, "\"description\":\"");
    const int64_t number = NumberAt(unit);
    if (number < 0 || static_cast<size_t>(number) >= versions_.size()) return;
    const int64_t version = NumberAt(description);
    int64_t& known = versions_[static_cast<size_t>(number)];
    if (synced_) {
      if (version != known + 1) ++tally.out_of_order;
      ++tally.delivered;
      const int64_t sent = NumberAt(After(description, " "));
      const int64_t bucket = (Now() - sent) / 100'000;
      ++tally.delays[static_cast<size_t>(std::clamp<int64_t>(bucket, 0, kBuckets - 1))];
    }
    known = version;
  }

  fleet::Descriptor fd_;
  std::string raw_;  // what is incomplete
  bool in_head_ = true;
  bool synced_ = false;
  int64_t last_id_ = 0;
  std::vector<int64_t> versions_;
};

struct Writer {
  fleet::Descriptor fd;
  bool busy = false;
  std::string answer;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), versions_(options.units, -1) {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_ = fleet::Descriptor(epoll_create1(EPOLL_CLOEXEC));
    buffer_.resize(256 << 10);
  }

  void Run() {
    for (size_t i = 0; i < kWriters; ++i) {
      writers_.push_back({.fd = Connect(options_.address)});
      Add(writers_.back().fd.get(), i);
    }
    for (size_t i = 0; i < options_.units; ++i) {
      while (!TryChange()) Turn(100);
    }
    while (AnyBusy()) Turn(100);
    OpenStreams();
    const int64_t quiet_rss = Resident();
    const int64_t began = Now();
    const int64_t cpu_before = CpuOf(options_.pid);
    const int64_t own_before = ClockOf(CLOCK_PROCESS_CPUTIME_ID);
    const int64_t changes = options_.rate * options_.seconds;
    int64_t late = 0;
    int64_t next_look = began;
    for (int64_t made = 0; made < changes;) {
      const int64_t due = began + made * kSecond / options_.rate;
      const int64_t now = Now();
      if (now >= due && TryChange()) {
        late = std::max(late, now - due);
        ++made;
        continue;
      }
      if (now >= next_look) {
        rss_ = std::max(rss_, Resident());
        next_look = now + kSecond;
      }
      // Late ones wait for a writer to be free.
      Turn(now >= due ? 10 : std::max<int64_t>(1, (due - now) / 1'000'000));
    }
    const int64_t expected = changes * static_cast<int64_t>(options_.clients);
    const int64_t deadline = Now() + kPatience;
    while ((AnyBusy() || tally_.delivered < expected) && Now() < deadline) Turn(100);
    const int64_t spent = Now() - began;
    const int64_t cpu = CpuOf(options_.pid) - cpu_before;
    const int64_t own = ClockOf(CLOCK_PROCESS_CPUTIME_ID) - own_before;
    rss_ = std::max(rss_, Resident());
    const auto behind = std::count_if(streams_.begin(), streams_.end(), [&](const auto& stream) {
      return stream->versions() != versions_;
    });
    fmt::print(
        "{{\"clients\":{},\"changes\":{},\"seconds\":{:.3f},\"delivered\":{},\"missing\":{},"
        "\"out_of_order\":{},\"clients_behind\":{},\"cpu_percent\":{:.1f},\"rss_mib\":{:.1f},"
        "\"rss_before_mib\":{:.1f},\"delay_median\":{:.4f},\"delay_p99\":{:.4f},"
        "\"delay_max\":{:.4f},\"latest_change\":{:.4f},\"own_cpu_percent\":{:.1f}}}\n",
        options_.clients, changes, Seconds(spent), tally_.delivered, expected - tally_.delivered,
        tally_.out_of_order, behind, 100.0 * Seconds(cpu) / Seconds(spent), MiB(rss_),
        MiB(quiet_rss), DelayAt(0.5), DelayAt(0.99), DelayAt(1), Seconds(late),
        100.0 * Seconds(own) / Seconds(spent));
  }

 private:
  static double Seconds(int64_t nanos) { return static_cast<double>(nanos) / kSecond; }
  static double MiB(int64_t kib) { return static_cast<double>(kib) / 1024; }

  void Add(int fd, size_t index) const {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }

  void OpenStreams() {
    for (size_t i = 0; i < options_.clients; ++i) {
      streams_.push_back(std::make_unique<Stream>(Connect(options_.address), options_.units));
      SendAll(streams_.back()->fd(),
              "GET /fleet/v1/watch?resource=units HTTP/1.1\r\nHost: fleet\r\n\r\n");
      Add(streams_.back()->fd(), kWriters + i);
      if (i % 32 == 0) Turn(0);
    }
    const int64_t deadline = Now() + kPatience;
    while (std::any_of(streams_.begin(), streams_.end(),
                       [](const auto& stream) { return !stream->synced(); })) {
      if (Now() > deadline) Die("the streams do not begin");
      Turn(100);
    }
  }

  bool AnyBusy() const {
    return std::any_of(writers_.begin(), writers_.end(), [](const Writer& w) { return w.busy; });
  }

  // Gives the next unit a new text, which says its version and when it was asked for.
  bool TryChange() {
    const auto writer = std::find_if(writers_.begin(), writers_.end(),
                                     [](const Writer& each) { return !each.busy; });
    if (writer == writers_.end()) return false;
    const size_t unit = next_unit_;
    next_unit_ = (next_unit_ + 1) % options_.units;
    const std::string body = fmt::format(
        "{{\"desiredState\":\"inactive\",\"replace\":true,\"content\":\"[Unit]\\nDescription={} {}"
        "\\n[Service]\\nExecStart=/bin/true\\n\"}}",
        ++versions_[unit], Now());
    writer->busy = true;
    SendAll(writer->fd.get(),
            fmt::format("PUT /fleet/v1/units/{}{}.service HTTP/1.1\r\nHost: fleet\r\n"
                        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                        kUnitPrefix, unit, body.size(), body));
    return true;
  }

  void Turn(int64_t milliseconds) {
    epoll_event events[kEvents];
    const int n = epoll_wait(epoll_.get(), events, kEvents, static_cast<int>(milliseconds));
    for (int i = 0; i < n; ++i) {
      const size_t index = events[i].data.u64;
      Writer* const writer = index < kWriters ? &writers_[index] : nullptr;
      const int fd = writer ? writer->fd.get() : streams_[index - kWriters]->fd();
      const ssize_t got = recv(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) Die("the server has closed a connection");
      const std::string_view bytes(buffer_.data(), static_cast<size_t>(got));
      if (writer) {
        TakeAnswer(*writer, bytes);
      } else {
        streams_[index - kWriters]->Feed(bytes, tally_);
      }
    }
  }

  static void TakeAnswer(Writer& writer, std::string_view bytes) {
    writer.answer.append(bytes);
    if (writer.answer.find("\r\n\r\n") == std::string::npos) return;
    const int64_t code = NumberAt(After(writer.answer, "HTTP/1.1 "));
    if (code != 201 && code != 204) Die(fmt::format("a change was answered {}", writer.answer));
    writer.answer.clear();
    writer.busy = false;
  }

  static int64_t CpuOf(pid_t pid) {
    clockid_t clock{};
    if (clock_getcpuclockid(pid, &clock) != 0) Die("there is no such process");
    return ClockOf(clock);
  }

  // KiB.
  int64_t Resident() const {
    std::ifstream status(fmt::format("/proc/{}/status", options_.pid));
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) return std::atoll(line.c_str() + 6);
    }
    return 0;
  }

  double DelayAt(double share) const {
    const auto wanted = static_cast<int64_t>(share * static_cast<double>(tally_.delivered));
    int64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += tally_.delays[i];
      if (seen > 0 && seen >= wanted) return static_cast<double>(i + 1) / 10'000;
    }
    return 0;
  }

  const Options options_;
  fleet::Descriptor epoll_;
  std::string buffer_;
  std::vector<Writer> writers_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<int64_t> versions_;
  size_t next_unit_ = 0;
  int64_t rss_ = 0;
  Tally tally_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    fmt::print(stderr, "usage: watch-load ADDRESS PORT FLEETD-PID CLIENTS RATE SECONDS\n");
    return 2;
  }
  const auto number = [&](int i) { return std::max<int64_t>(1, std::atoll(argv[i])); };
  Options options;
  options.address.sin_family = AF_INET;
  options.address.sin_port = htons(static_cast<uint16_t>(number(2)));
  if (inet_pton(AF_INET, argv[1], &options.address.sin_addr) != 1)
    Die(fmt::format("{} is no address", argv[1]));
  options.pid = static_cast<pid_t>(number(3));
  options.clients = static_cast<size_t>(number(4));
  options.rate = number(5);
  options.seconds = number(6);
  Load(options).Run();
  return 0;
}
